// The screen of `weir status`: what is wrong first.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "lb/cli/read_json.h"
#include "lb/cli/render.h"
#include "lb/cli/status_text.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;
using Now = std::chrono::system_clock::time_point;

std::string capitals(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string coloured(const std::string& text, std::string_view escape, const Terminal& terminal) {
  return escape.empty() || !terminal.colour ? text : fmt::format("{}{}\x1b[m", escape, text);
}

/// "connect p50 0.4 p99 1.9 ms"; "" when there have been no connects of late.
std::string latency_text(const Json& in) {
  const auto found = in.find("connect_ms");
  if (found == in.end() || !found->is_object()) return "";
  const auto one = [&](const char* name) {
    const double value = real(*found, name);
    return value < 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
  };
  return fmt::format("connect p50 {} p99 {} ms", one("p50"), one("p99"));
}

/// "pool web, round_robin, 1 of 2 up, DEGRADED, connect p50 0.4 p99 1.9 ms": what is not as it should be is
/// in capitals.
std::string pool_title(const Json& pool, const Terminal& terminal) {
  const auto name = text(pool, "name"), verdict = text(pool, "verdict");
  if (flag(pool, "removed")) return fmt::format("pool {} (removed)", name);
  std::string out = fmt::format("pool {}, {}", name, text(pool, "balance"));
  if (verdict.empty()) return out;
  out += ", " + text(pool, "up");
  if (const auto queued = number(pool, "queued"); queued > 0)
    out += fmt::format(", {} OF {} QUEUED", queued, number(pool, "queue"));
  const auto latency = latency_text(pool);
  const auto word = verdict == "ok" ? verdict : capitals(verdict);
  // Escapes take no room, so that the line is cut before they are put in.
  const auto plain = fmt::format("{}, {}{}{}", out, word, latency.empty() ? "" : ", ", latency);
  if (terminal.width > 0 && columns_of(plain) > terminal.width)
    return fitted(out + ", " + word, terminal.width);
  const auto escape = verdict == "ok" ? "" : verdict == "down" ? "\x1b[31m" : "\x1b[33m";
  return fmt::format("{}, {}{}{}", out, coloured(word, escape, terminal), latency.empty() ? "" : ", ",
                     latency);
}

/// The problems first, in the order of the file otherwise.
std::vector<const Json*> worst_first(const Json& backends) {
  std::vector<const Json*> out;
  for (const auto& backend : backends)
    if (backend.is_object()) out.push_back(&backend);
  std::stable_partition(out.begin(), out.end(), [](const Json* backend) { return is_problem(*backend); });
  return out;
}

/// Of its backends the first `most`, in the order of worst_first().
std::string render_pool(const Json& pool, const Terminal& terminal, Now now, std::size_t most) {
  const auto numeric = [](std::string header, int spare = 0) {
    return Cell{std::move(header), Colour::None, true, spare};
  };
  TextTable table({{"  BACKEND"},
                   {"ADDRESS", Colour::None, false, 2},
                   {"WEIGHT", Colour::None, false, 3},
                   {"STATE"},
                   numeric("SINCE", 7),
                   numeric("ACTIVE"),
                   numeric("TOTAL", 1),
                   numeric("NEW/S", 6),
                   numeric("IN/S", 5),
                   numeric("OUT/S", 5),
                   numeric("FAIL", 4),
                   {"CHECK"}});
  const auto rate = [](const Json& backend, const char* name) {
    return terse_bytes(static_cast<std::uint64_t>(std::max(0.0, real(backend, name))));
  };
  auto backends = worst_first(list(pool, "backends"));
  backends.resize(std::min(backends.size(), most));
  for (const Json* one : backends) {
    const Json& backend = *one;
    table.add({{(is_problem(backend) ? "! " : "  ") + text(backend, "name")},
               {text(backend, "address")},
               {weight_text(backend)},
               state_cell(backend),
               numeric(since_text(backend, now)),
               numeric(active_text(backend)),
               numeric(short_number(number(backend, "total"))),
               numeric(rate_text(real(backend, "sessions_per_second"))),
               numeric(rate(backend, "bytes_to_backend_per_second")),
               numeric(rate(backend, "bytes_to_client_per_second")),
               numeric(short_number(number(backend, "connect_failures"))),
               {why_text(backend, terminal, now)}});
  }
  return pool_title(pool, terminal) + "\n" + table.render({terminal.width, terminal.colour, 0});
}

std::string render_predecessors(const Json& all) {
  std::string out;
  for (const auto& one : list(all, "predecessors"))
    out += fmt::format(
        "process {}, superseded by an upgrade: {}\n", number(one, "pid"),
        text(one, "error").empty() ? sessions_text(number(one, "active")) + " left" : text(one, "error"));
  return out.empty() ? "" : "\n" + out;
}

constexpr std::size_t kAll = SIZE_MAX;

std::string cut_to(const std::string& line, const Terminal& terminal) {
  return terminal.width > 0 ? fitted(line, terminal.width) : line;
}

/// What is not as it should be, in `most` lines.
std::string render_problems(const Json& root, const Terminal& terminal, std::size_t most) {
  std::string out;
  const auto problems = list(root, "problems");
  const std::size_t shown = problems.size() <= most ? problems.size() : most - std::min<std::size_t>(most, 1);
  for (std::size_t i = 0; i < shown; ++i)
    if (problems[i].is_string())
      out += coloured(cut_to("! " + problems[i].get<std::string>(), terminal), "\x1b[31m", terminal) + "\n";
  if (shown < problems.size()) out += fmt::format("… {} more problems\n", problems.size() - shown);
  return out;
}

std::string render_listeners(const Json& root, const Terminal& terminal) {
  TextTable listeners(
      {{"LISTENER"}, {"POOL"}, {"ACTIVE", Colour::None, true}, {"TOTAL", Colour::None, true}, {"BIND"}});
  for (const auto& listener : list(root, "listeners"))
    listeners.add({{text(listener, "name")},
                   {text(listener, "pool")},
                   {short_number(number(listener, "active")), Colour::None, true},
                   {short_number(number(listener, "total")), Colour::None, true},
                   {joined(list(listener, "bind"))}});
  return listeners.empty() ? "" : "\n" + listeners.render({terminal.width, terminal.colour, 0});
}

/// Those that are not well first.
std::vector<const Json*> pools_of(const Json& all) {
  std::vector<const Json*> pools;
  for (const auto& pool : all)
    if (pool.is_object()) pools.push_back(&pool);
  std::stable_partition(pools.begin(), pools.end(), [](const Json* pool) {
    const auto verdict = text(*pool, "verdict");
    return !verdict.empty() && verdict != "ok";
  });
  return pools;
}

/// How many backends of each pool have room on a screen: of all pools the problems come first.
class Selection {
 public:
  /// A pool's title and header, and the line before.
  static constexpr std::size_t kLinesOfPool = 3;

  explicit Selection(const std::vector<const Json*>& pools) {
    for (const Json* pool : pools) {
      Count count;
      for (const auto& backend : list(*pool, "backends")) {
        if (!backend.is_object()) continue;
        ++count.all;
        if (is_problem(backend)) ++count.problems;
      }
      pools_.push_back(count);
    }
  }
  std::size_t lines_of_all() const {
    std::size_t lines = 0;
    for (const Count& pool : pools_) lines += kLinesOfPool + pool.all;
    return lines;
  }
  void take(std::size_t lines) {
    take(lines, &Count::problems);
    take(lines, &Count::all);
  }
  std::size_t shown(std::size_t pool) const { return pools_[pool].shown; }
  std::size_t left_out() const {
    std::size_t out = 0;
    for (const Count& pool : pools_) out += pool.all - pool.shown;
    return out;
  }
  std::size_t problems_left_out() const {
    std::size_t out = 0;
    for (const Count& pool : pools_) out += pool.problems - std::min(pool.problems, pool.shown);
    return out;
  }

 private:
  struct Count {
    std::size_t all = 0, problems = 0, shown = 0;
  };
  void take(std::size_t& lines, std::size_t Count::*most) {
    for (Count& pool : pools_) {
      const std::size_t first = pool.shown == 0 ? kLinesOfPool : 0;
      if (pool.shown >= pool.*most || lines <= first) continue;
      const std::size_t more = std::min(pool.*most - pool.shown, lines - first);
      pool.shown += more;
      lines -= first + more;
    }
  }

  std::vector<Count> pools_;
};

}  // namespace

std::string render_status(std::string_view json, const Terminal& terminal, Now now) {
  const auto root = parse_object(json);
  std::string out = cut_to(status_title(root), terminal) + "\n" + render_problems(root, terminal, kAll);
  const auto all = list(root, "pools");
  for (const Json* pool : pools_of(all)) out += "\n" + render_pool(*pool, terminal, now, kAll);
  return out + render_listeners(root, terminal) + render_predecessors(root);
}

std::string render_screen(std::string_view json, const Terminal& terminal, Now now) {
  const auto root = parse_object(json);
  const auto all = list(root, "pools");
  const auto pools = pools_of(all);
  Selection selection(pools);
  // The cursor has the last line, and a title and what is left out one each.
  const std::size_t height = std::max<std::size_t>(terminal.height, 4) - 1;
  const std::size_t listeners = list(root, "listeners").size(), problems = list(root, "problems").size();
  const std::size_t predecessors = list(root, "predecessors").size();
  const std::size_t of_lists =
      (listeners > 0 ? listeners + 2 : 0) + (predecessors > 0 ? predecessors + 1 : 0);
  if (1 + problems + selection.lines_of_all() + of_lists <= height) return render_status(json, terminal, now);
  const std::size_t of_problems = std::min(problems, std::max<std::size_t>(1, height / 3));
  selection.take(height - std::min(height, 2 + of_problems));
  std::string out =
      cut_to(status_title(root), terminal) + "\n" + render_problems(root, terminal, of_problems);
  for (std::size_t i = 0; i < pools.size(); ++i)
    if (selection.shown(i) > 0) out += "\n" + render_pool(*pools[i], terminal, now, selection.shown(i));
  out += fmt::format("… {} more backend{}", selection.left_out(), selection.left_out() == 1 ? "" : "s");
  if (const auto bad = selection.problems_left_out(); bad > 0) out += fmt::format(", {} with problems", bad);
  if (listeners > 0) out += fmt::format(", {} listener{}", listeners, listeners == 1 ? "" : "s");
  return out + "\n";
}

}  // namespace weir
