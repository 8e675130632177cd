#include "lb/cli/render.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>

#include "lb/base/log.h"
#include "lb/cli/read_json.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

/// Both words in one: the operator's when there is one, the checker's when it matters.
Cell state_cell(const Json& backend) {
  const auto admin = text(backend, "admin"), health = text(backend, "health");
  const std::string suffix = flag(backend, "backup") ? ", backup" : "";
  if (flag(backend, "removed")) return {"removed", Colour::Faint};
  if (admin == "disabled") return {admin + suffix, Colour::Warn};
  if (admin == "drained") return {admin + (health == "up" ? "" : ", " + health) + suffix, Colour::Warn};
  const auto colour = flag(backend, "eligible") ? Colour::Good
                      : health == "down"        ? Colour::Bad
                                                : Colour::Warn;
  return {health + suffix, colour};
}

std::string weight_text(const Json& backend) {
  auto out = fmt::format("{}", number(backend, "weight"));
  if (const auto share = number(backend, "share_percent"); share != 100 && share != 0)
    out += fmt::format(" at {}%", share);
  return out;
}

using Now = std::chrono::system_clock::time_point;

/// Seconds from then ("2026-01-31T10:00:00.123Z") to now; nothing when it is no such time.
std::optional<double> seconds_since(const std::string& then, Now now) {
  const auto time = parse_time(then);
  if (!time) return std::nullopt;
  return std::chrono::duration<double>(now - *time).count();
}

/// Since when the operator or the file keeps it out, else since when its health is what it is.
std::string since_text(const Json& backend, Now now) {
  const bool kept_out = text(backend, "admin") != "enabled" && !flag(backend, "removed");
  const auto passed = seconds_since(text(backend, kept_out ? "admin_since" : "since"), now);
  return passed ? age(*passed) : "";
}

/// "an operator", or who it was; how long it goes on; why.
std::string word_text(const Json& backend, const char* name, Now now) {
  const auto word = backend.value(name, Json::object());
  const auto by = text(word, "by"), comment = text(word, "comment");
  std::string out = by.empty() ? "an operator" : by;
  // What is left, and a minute of it is still one.
  if (const auto late = seconds_since(text(word, "until"), now)) out += ", for " + age(std::max(0.0, -*late));
  return comment.empty() ? out : out + ": " + comment;
}

/// Whose word `admin` is, where it is not what one would expect.
std::string admin_text(const Json& backend, Now now) {
  const auto admin = text(backend, "admin"), file = text(backend, "configured_admin");
  if (flag(backend, "removed")) return "";
  if (text(backend, "admin_by") != "operator") return admin == "enabled" ? "" : admin + " by the file";
  return admin + " by " + word_text(backend, "admin_word", now) +
         (file == "enabled" ? "" : fmt::format(" (file: {})", file));
}

/// "probe failed 3 times (tcp): connection refused" as "connection refused ×3 (tcp)": what is cut is what is
/// wanted least.
std::string failure_first(const std::string& reason) {
  static const std::regex kFailed(R"(probe failed (?:(\d+) times )?(\(\w+\)): (.*))");
  std::smatch parts;
  if (!std::regex_match(reason, parts, kFailed)) return reason;
  return fmt::format("{}{}{} {}", parts[3].str(), parts[1].matched ? " ×" : "", parts[1].str(),
                     parts[2].str());
}

/// What the checker says: of one that passes, how long its last probe took.
std::string check_text(const Json& backend, const Terminal& terminal) {
  const auto reason = text(backend, "reason");
  if (terminal.width > 0 && text(backend, "health") == "down") return failure_first(reason);
  const auto took = backend.find("last_probe_ms");
  constexpr std::string_view kPassed = "probe passed (";
  if (text(backend, "health") != "up" || took == backend.end() || !took->is_number() ||
      !reason.starts_with(kPassed) || !reason.ends_with(" ms)"))
    return reason;
  const auto kind = reason.substr(kPassed.size(), reason.find_first_of(",)") - kPassed.size());
  return fmt::format("{} {:.1f} ms", kind, took->get<double>());
}

/// What an operator has set in motion first, then the word of the checker.
std::string why_text(const Json& backend, const Terminal& terminal, Now now) {
  std::string out;
  const auto add = [&](const std::string& part) { out += (out.empty() || part.empty() ? "" : "; ") + part; };
  if (const auto late = seconds_since(text(backend, "closes_at"), now))
    add(*late >= 0 ? "closing" : "closes in " + age(*late > -60 ? std::ceil(-*late) : 30 - *late));
  if (const auto configured = number(backend, "configured_weight"); configured != number(backend, "weight"))
    add(fmt::format("weight {}{} (file: {})", number(backend, "weight"),
                    backend.contains("weight_word") ? " by " + word_text(backend, "weight_word", now) : "",
                    configured));
  if (flag(backend, "added")) add("added");
  add(admin_text(backend, now));
  add(check_text(backend, terminal));
  return out;
}

std::string rate_text(double per_second) {
  return per_second < 9.95 ? fmt::format("{:.1f}", per_second)
                           : short_number(static_cast<std::uint64_t>(std::lround(per_second)));
}

std::string sessions_text(std::uint64_t count) {
  return fmt::format("{} session{}", count, count == 1 ? "" : "s");
}

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

/// Nobody has taken it out, and it does not serve as it should.
bool is_problem(const Json& backend) {
  return !flag(backend, "removed") && text(backend, "admin") == "enabled" && text(backend, "health") != "up";
}

/// The problems first, in the order of the file otherwise.
std::vector<const Json*> worst_first(const Json& backends) {
  std::vector<const Json*> out;
  for (const auto& backend : backends)
    if (backend.is_object()) out.push_back(&backend);
  std::ranges::stable_partition(out, [](const Json* backend) { return is_problem(*backend); });
  return out;
}

std::string render_pool(const Json& pool, const Terminal& terminal, Now now) {
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
  for (const Json* one : worst_first(list(pool, "backends"))) {
    const Json& backend = *one;
    table.add({{(is_problem(backend) ? "! " : "  ") + text(backend, "name")},
               {text(backend, "address")},
               {weight_text(backend)},
               state_cell(backend),
               numeric(since_text(backend, now)),
               numeric(short_number(number(backend, "active"))),
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

std::string status_title(const Json& root) {
  const auto sessions = root.value("sessions", Json::object());
  double per_second = 0, bytes = 0;
  for (const auto& pool : list(root, "pools"))
    for (const auto& backend : list(pool, "backends")) {
      per_second += real(backend, "sessions_per_second");
      bytes += real(backend, "bytes_to_backend_per_second") + real(backend, "bytes_to_client_per_second");
    }
  std::string out =
      fmt::format("weir {}, up {}, pid {}, {}/s, {}/s, {} of {} sessions", text(root, "version"),
                  age(real(root, "uptime_seconds")), number(root, "pid"), rate_text(per_second),
                  terse_bytes(static_cast<std::uint64_t>(std::max(0.0, bytes))), number(sessions, "active"),
                  number(sessions, "max"));
  if (const auto last = root.value("last_reload", Json()); last.is_object())
    out += fmt::format(", last reload {} {}", flag(last, "ok") ? "ok" : "REFUSED",
                       text(last, "time").substr(0, 16));
  const auto problems = list(root, "problems").size();
  if (problems > 0) out += fmt::format(", {} problem{}", problems, problems == 1 ? "" : "s");
  return out;
}

}  // namespace

Terminal standard_terminal() {
  Terminal out;
  if (::isatty(STDOUT_FILENO) == 0) return out;
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  out.width = known && size.ws_col > 0 ? size.ws_col : 80;
  out.height = known && size.ws_row > 0 ? size.ws_row : 24;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  out.colour =
      (no_colour == nullptr || *no_colour == '\0') && term != nullptr && std::string_view(term) != "dumb";
  return out;
}

std::string render_status(std::string_view json, const Terminal& terminal, Now now) {
  const auto root = parse_object(json);
  const auto cut = [&](const std::string& line) {
    return terminal.width > 0 ? fitted(line, terminal.width) : line;
  };
  std::string out = cut(status_title(root)) + "\n";
  for (const auto& problem : list(root, "problems"))
    if (problem.is_string())
      out += coloured(cut("! " + problem.get<std::string>()), "\x1b[31m", terminal) + "\n";
  TextTable listeners(
      {{"LISTENER"}, {"POOL"}, {"ACTIVE", Colour::None, true}, {"TOTAL", Colour::None, true}, {"BIND"}});
  for (const auto& listener : list(root, "listeners"))
    listeners.add({{text(listener, "name")},
                   {text(listener, "pool")},
                   {short_number(number(listener, "active")), Colour::None, true},
                   {short_number(number(listener, "total")), Colour::None, true},
                   {joined(list(listener, "bind"))}});
  std::vector<const Json*> pools;
  for (const auto& pool : list(root, "pools"))
    if (pool.is_object()) pools.push_back(&pool);
  std::ranges::stable_partition(pools, [](const Json* pool) {
    const auto verdict = text(*pool, "verdict");
    return !verdict.empty() && verdict != "ok";
  });
  for (const Json* pool : pools) out += "\n" + render_pool(*pool, terminal, now);
  if (!listeners.empty()) out += "\n" + listeners.render({terminal.width, terminal.colour, 0});
  return out + render_predecessors(root);
}

std::string in_place(std::string_view text, std::size_t height) {
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  // The cursor's line below the text is one of them.
  const std::size_t most = height > 2 ? height - 1 : 2;
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < lines; ++i) {
    if (lines > most && i + 1 == most) {
      out += fmt::format("and {} more lines\x1b[K\n", lines - i);
      break;
    }
    const auto end = text.find('\n');
    out += fmt::format("{}\x1b[K\n", text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return out + "\x1b[J";
}

std::string render_sessions(std::string_view json, const Terminal& terminal) {
  const auto root = parse_object(json);
  TextTable table({{"ID"},
                   {"CLIENT"},
                   {"BACKEND"},
                   {"STATE"},
                   {"AGE", Colour::None, true},
                   {"IDLE", Colour::None, true},
                   {"TO BACKEND", Colour::None, true},
                   {"TO CLIENT", Colour::None, true}});
  for (const auto& session : list(root, "sessions"))
    table.add(
        {{text(session, "id")},
         {text(session, "client")},
         {text(session, "pool") + "/" + (text(session, "backend").empty() ? "-" : text(session, "backend"))},
         {text(session, "state")},
         {short_duration(real(session, "age_seconds")), Colour::None, true},
         {short_duration(real(session, "idle_seconds")), Colour::None, true},
         {short_bytes(number(session, "bytes_to_backend")), Colour::None, true},
         {short_bytes(number(session, "bytes_to_client")), Colour::None, true}});
  std::string out = table.render({terminal.width, terminal.colour, 0});
  if (const auto more = number(root, "left_out"); more > 0)
    out += fmt::format("and {} more; narrow it with --pool, --backend or --client\n", more);
  return out;
}

std::string render_clients(std::string_view json, const Terminal& terminal) {
  const auto root = parse_object(json);
  TextTable table({{"CLIENT"},
                   {"SESSIONS", Colour::None, true},
                   {"TO BACKEND", Colour::None, true},
                   {"TO CLIENT", Colour::None, true}});
  for (const auto& client : list(root, "clients"))
    table.add({{text(client, "client")},
               {short_number(number(client, "sessions")), Colour::None, true},
               {short_bytes(number(client, "bytes_to_backend")), Colour::None, true},
               {short_bytes(number(client, "bytes_to_client")), Colour::None, true}});
  std::string out = table.render({terminal.width, terminal.colour, 0});
  if (const auto more = number(root, "left_out"); more > 0) out += fmt::format("and {} more clients\n", more);
  return out;
}

std::string render_changed(std::string_view json, std::string_view verb) {
  std::string out;
  const auto root = parse_object(json);
  for (const auto& item : list(root, "changed")) {
    const auto sessions = sessions_text(number(item, "sessions"));
    out += text(item, "backend") + ": ";
    if (verb == "weight")
      out += fmt::format("weight {}\n", number(item, "weight"));
    else if (verb == "add")
      out +=
          fmt::format("added, weight {}; it gets sessions when its health allows\n", number(item, "weight"));
    else if (flag(item, "removed"))
      out += fmt::format("removed, {} left\n", sessions);
    else if (text(item, "admin") == "enabled")
      out += fmt::format("enabled, {}; it gets new ones when its health allows\n", sessions);
    else
      out += fmt::format("{}, {} left\n", text(item, "admin"), sessions);
  }
  return out;
}

std::string render_killed(std::string_view json) {
  return fmt::format("{} killed\n", sessions_text(number(parse_object(json), "killed")));
}

std::string render_explanation(std::string_view json) {
  const auto root = parse_object(json);
  const auto backend = text(root, "backend"), pool = text(root, "pool");
  std::string out = backend.empty()
                        ? fmt::format("{} would get no backend of pool {}\n", text(root, "client"), pool)
                        : fmt::format("{} would get {}/{}\n", text(root, "client"), pool, backend);
  for (const auto& step : list(root, "because"))
    if (step.is_string()) out += "  " + fitted(step.get<std::string>(), 1000) + "\n";
  TextTable excluded({{"NOT"}, {"WHY"}});
  for (const auto& one : list(root, "excluded"))
    excluded.add({{text(one, "backend")}, {text(one, "reason")}});
  return excluded.empty() ? out : out + excluded.render({});
}

std::string render_reload(std::string_view json) {
  const auto root = parse_object(json);
  std::string out;
  for (const auto& change : list(root, "changes"))
    if (change.is_string()) out += change.get<std::string>() + "\n";
  if (out.empty()) out = "nothing has changed\n";
  return out + fmt::format("reloaded, generation {}\n", number(root, "generation"));
}

Difference read_difference(std::string_view json) {
  const auto root = parse_object(json);
  Difference out;
  out.accepted = flag(root, "accepted");
  const auto place = [](const Json& fault) {
    const auto line = number(fault, "line");
    return line == 0 ? text(fault, "file")
                     : fmt::format("{}:{}:{}", text(fault, "file"), line, number(fault, "column"));
  };
  for (const auto& fault : list(root, "faults"))
    out.complaints.push_back(fmt::format("{}: {}", place(fault), text(fault, "message")));
  if (out.accepted)
    for (const auto& fault : list(root, "warnings"))
      out.complaints.push_back(fmt::format("{}: {} (warning)", place(fault), text(fault, "message")));
  if (!out.accepted) {
    out.complaints.push_back("weir: a reload would be refused: " + text(root, "refusal"));
    return out;
  }
  for (const auto& change : list(root, "changes"))
    if (change.is_string()) out.text += change.get<std::string>() + "\n";
  for (const auto& note : list(root, "notes"))
    if (note.is_string()) out.text += "! " + note.get<std::string>() + "\n";
  if (out.text.empty()) out.text = "no changes\n";
  return out;
}

std::string render_upgrade(std::string_view json) {
  const auto root = parse_object(json);
  const auto left = number(root, "sessions_left");
  std::string out;
  for (const auto& change : list(root, "changes"))
    if (change.is_string()) out += change.get<std::string>() + "\n";
  return out + fmt::format("process {} serves, of {}\nthe old process {} {}\n", number(root, "pid"),
                           text(root, "binary"), number(root, "predecessor"),
                           left == 0 ? "had no sessions and ends" : "finishes " + sessions_text(left));
}

std::string render_stop(std::string_view json) {
  const auto root = parse_object(json);
  const auto left = number(root, "sessions");
  if (left == 0) return "stopping";
  return fmt::format("stopping; {} {} {} to finish", sessions_text(left), left == 1 ? "has" : "have",
                     short_duration(real(root, "grace_ms") / 1000));
}

std::string render_version(std::string_view json) {
  const auto root = parse_object(json);
  const auto features = joined(list(root, "features"));
  return fmt::format("weir {}{}\n", text(root, "version"), features.empty() ? "" : " (" + features + ")");
}

std::vector<std::string> warnings_of(std::string_view json) {
  std::vector<std::string> out;
  const auto root = parse_object(json);
  for (const auto* name : {"warnings", "notes"})
    for (const auto& line : list(root, name))
      if (line.is_string()) out.push_back(line.get<std::string>());
  return out;
}

}  // namespace weir
