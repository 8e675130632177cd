#include "lb/cli/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "lb/cli/status_text.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

using Now = std::chrono::system_clock::time_point;
using Lines = std::vector<std::string>;

constexpr std::string_view kRed = "\x1b[31m", kFaint = "\x1b[2m", kReverse = "\x1b[7m", kPlain = "\x1b[0m";
/// Of a question: more is not read.
constexpr std::size_t kMostOfQuestion = 5;
/// Below so many columns a table has no reasons.
constexpr std::size_t kWideEnoughForReasons = 60;
/// Below so many lines the selected backend has no line of its own.
constexpr std::size_t kRoomy = 16;

std::string styled(std::string_view escape, const std::string& text, const Terminal& terminal) {
  return terminal.colour ? fmt::format("{}{}{}", escape, text, kPlain) : text;
}

Lines lines_of(const std::string& text) {
  Lines out;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

void append(Lines& to, Lines more) {
  for (auto& line : more) to.push_back(std::move(line));
}

Lines head(const TopModel& model, const Terminal& terminal) {
  Lines out;
  if (!model.silence().empty())
    out.push_back(styled(kRed, fitted("! " + model.silence(), terminal.width), terminal));
  else
    out.push_back(fitted(status_title(model.root()), terminal.width));
  const auto& problems = list(model.root(), "problems");
  const std::size_t most = std::max<std::size_t>(1, terminal.height / 5);
  const std::size_t shown = problems.size() <= most ? problems.size() : most - 1;
  for (std::size_t i = 0; i < shown; ++i)
    if (problems[i].is_string())
      out.push_back(styled(kRed, fitted("! " + problems[i].get<std::string>(), terminal.width), terminal));
  if (shown < problems.size())
    out.push_back(styled(kRed,
                         fitted(fmt::format("! {} {}problems; weir status tells them",
                                            problems.size() - shown, shown > 0 ? "more " : ""),
                                terminal.width),
                         terminal));
  return out;
}

std::string latency(const AnswerJson& backend) {
  const auto found = backend.find("connect_ms");
  if (found == backend.end() || !found->is_object()) return "";
  const double p99 = real(*found, "p99");
  return p99 < 10 ? fmt::format("{:.1f}", p99) : fmt::format("{:.0f}", p99);
}

/// Columns of the history in a row; 0: it has no room there.
std::size_t history_columns(const Terminal& terminal) {
  return terminal.width >= 140 ? 40 : terminal.width >= 110 ? 24 : terminal.width >= 80 ? 8 : 0;
}

Cell header(const char* name, TopModel::Sort of, TopModel::Sort now, int spare = 0) {
  return {std::string(name) + (of == now ? "▾" : ""), Colour::None, true, spare};
}

/// Names and numbers go before reasons where there is no room for all of them.
std::vector<Cell> as_wide_as(std::vector<Cell> cells, const Terminal& terminal) {
  if (terminal.width < kWideEnoughForReasons) cells.pop_back();
  return cells;
}

std::vector<Cell> headers(const TopModel& model, const Terminal& terminal) {
  using enum TopModel::Sort;
  const auto sort = model.sort();
  const bool history = history_columns(terminal) > 0;
  return as_wide_as({{sort == Name ? "  BACKEND▾" : "  BACKEND"},
                     {"STATE"},
                     {"SINCE", Colour::None, true, 4},
                     header("ACTIVE", Active, sort),
                     header("NEW/S", New, sort, 7),
                     {history ? "HISTORY" : "", Colour::None, false, history ? 6 : 1},
                     header("IN/S", In, sort, sort == In ? 7 : 3),
                     header("OUT/S", Out, sort, sort == Out ? 7 : 5),
                     {"P99 MS", Colour::None, true, 1},
                     header("FAIL", Failed, sort, sort == Failed ? 7 : 2),
                     {"CHECK"}},
                    terminal);
}

std::vector<Cell> cells(const TopModel& model, std::size_t i, const Terminal& terminal, Now now) {
  const auto& row = model.rows()[i];
  const AnswerJson& backend = *row.backend;
  const auto right = [](std::string text) { return Cell{std::move(text), Colour::None, true}; };
  const auto rate = [&](const char* name) {
    return right(terse_bytes(static_cast<std::uint64_t>(std::max(0.0, real(backend, name)))));
  };
  const std::size_t columns = history_columns(terminal);
  return as_wide_as(
      {{fmt::format("{}{}{}", i == model.selected() ? ">" : " ", is_problem(backend) ? "!" : " ", row.name)},
       state_cell(backend),
       right(since_text(backend, now)),
       right(active_text(backend)),
       right(rate_text(real(backend, "sessions_per_second"))),
       {columns > 0 ? model.history().sparkline(row.name, model.measure(), columns) : ""},
       rate("bytes_to_backend_per_second"),
       rate("bytes_to_client_per_second"),
       right(latency(backend)),
       right(short_number(number(backend, "connect_failures"))),
       {why_text(backend, terminal, now)}},
      terminal);
}

/// Of the rows from the first in view on, as many as a screen has lines.
TextTable table_of(const TopModel& model, const Terminal& terminal, Now now) {
  TextTable table(headers(model, terminal));
  const auto end = std::min(model.rows().size(), model.first() + terminal.height);
  for (std::size_t i = model.first(); i < end; ++i) table.add(cells(model, i, terminal, now));
  return table;
}

std::string in_reverse(const std::string& line, std::size_t width) {
  return fmt::format("{}{}{}{}", kReverse, line, std::string(width - std::min(width, columns_of(line)), ' '),
                     kPlain);
}

Lines rows(const TopModel& model, const Terminal& terminal, std::size_t room, Now now) {
  const TextTable table = table_of(model, terminal, now);
  Lines out = lines_of(table.render({terminal.width, terminal.colour, 0}));
  const std::size_t selected = 1 + model.selected() - model.first();
  if (terminal.colour && selected < out.size())
    out[selected] = in_reverse(lines_of(table.render({terminal.width, false, 0}))[selected], terminal.width);
  // Of a terminal that is narrower than a table can be.
  if (!terminal.colour)
    for (auto& line : out) line = fitted(line, terminal.width);
  out.resize(std::min(out.size(), room + 1));
  if (model.rows().empty())
    out.push_back(fitted(model.filter().empty() ? "  there is no backend"
                                                : fmt::format("  none of {} backends is like \"{}\"",
                                                              model.all_rows(), model.filter()),
                         terminal.width));
  return out;
}

/// Of the selected backend: what its history shows in numbers, and all of why.
std::string detail(const TopModel& model, const Terminal& terminal, Now now) {
  const auto* row = model.selected_row();
  if (row == nullptr) return "";
  const std::size_t columns = std::min<std::size_t>(terminal.width / 3, Sparklines::kMost);
  const auto measure = model.measure();
  const double most = model.history().most(row->name, measure, columns);
  const auto whole = static_cast<std::uint64_t>(most);
  const auto largest = measure == &SparkSample::bytes   ? terse_bytes(whole) + "/s"
                       : measure == &SparkSample::fresh ? rate_text(most) + " new/s"
                                                        : short_number(whole) + " active";
  auto line = model.history().sparkline(row->name, measure, columns);
  line.erase(0, line.find_first_not_of(' '));
  line = fmt::format("{} {} at most {}; {}", row->name, line, largest, why_text(*row->backend, {}, now));
  return styled(kFaint, fitted(line, terminal.width), terminal);
}

Lines sessions_pane(TopModel& model, const Terminal& terminal, std::size_t height) {
  const auto* row = model.selected_row();
  if (row == nullptr || height < 2) return {};
  const auto& sessions = list(model.sessions(), "sessions");
  const auto found = sessions.size() + number(model.sessions(), "left_out");
  // A line for the title, and one for the table's.
  const std::size_t room = std::max<std::size_t>(height, 3) - 2;
  model.set_session_room(room);
  const auto first = std::min(model.first_session(), sessions.size());
  const auto end = std::min(first + room, sessions.size());
  const bool all = sessions.size() <= room;
  Lines out{
      fitted(fmt::format("── {} of {}, {}the oldest first; {}tab closes ", sessions_text(found), row->name,
                         all ? "" : fmt::format("{} to {}, ", first + 1, end), all ? "" : "[ ] scroll, "),
             terminal.width)};
  if (found == 0) return out;
  AnswerJson shown{{"sessions", AnswerJson::array()}};
  for (std::size_t i = first; i < end; ++i) shown["sessions"].push_back(sessions[i]);
  append(out, lines_of(render_sessions(shown.dump(-1, ' ', false, AnswerJson::error_handler_t::replace),
                                       terminal)));
  out.resize(std::min(out.size(), height));
  for (auto& line : out) line = fitted(line, terminal.width);  // a table has a least width
  return out;
}

/// As many of these as there is room for, the most needed first.
std::string hints(const TopModel& model, std::size_t width) {
  std::string out;
  if (!model.filter().empty())
    out = fmt::format("/{}: {} of {}, esc ends it", model.filter(), model.rows().size(), model.all_rows());
  const std::array<std::string, 9> all{"q quit",
                                       "d drain",
                                       "e enable",
                                       "w weight",
                                       fmt::format("s sort: {}", name_of(model.sort())),
                                       "/ filter",
                                       "tab sessions",
                                       "↑↓ PgUp PgDn",
                                       "S sort back"};
  for (const auto& one : all)
    if (columns_of(out) + (out.empty() ? 0 : 2) + columns_of(one) <= width)
      out += (out.empty() ? "" : "  ") + one;
  return fitted(out, width);
}

/// The last lines: what is asked or was answered, else which keys there are.
Lines foot(const TopModel& model, const Terminal& terminal) {
  const auto most = std::min(kMostOfQuestion, std::max<std::size_t>(1, terminal.height / 2));
  switch (model.mode()) {
    case TopModel::Mode::Filter:
      return {fitted(fmt::format("/{}_  {} of {}; enter keeps it, esc ends it", model.typed(),
                                 model.rows().size(), model.all_rows()),
                     terminal.width)};
    case TopModel::Mode::Weight:
      return {fitted(fmt::format("weight, 1 to 256 or default: {}_", model.typed()), terminal.width)};
    case TopModel::Mode::Confirm: {
      Lines out = wrapped(model.question(), terminal.width, most);
      if (terminal.colour)
        for (auto& line : out) line = in_reverse(line, terminal.width);
      return out;
    }
    case TopModel::Mode::Browse:
      break;
  }
  if (model.note().text.empty()) return {hints(model, terminal.width)};
  Lines out = wrapped(model.note().text, terminal.width, most);
  if (model.note().bad)
    for (auto& line : out) line = styled(kRed, line, terminal);
  return out;
}

}  // namespace

std::vector<std::string> wrapped(const std::string& text, std::size_t columns, std::size_t most) {
  Lines out;
  std::string rest = text;
  while (columns_of(rest) > columns && out.size() + 1 < most) {
    // As much as fits, without the "…" of what is cut, up to the last blank.
    std::size_t end = 0, blank = 0;
    for (std::size_t i = 1; i <= rest.size(); ++i) {
      const bool within = i < rest.size() && (static_cast<unsigned char>(rest[i]) & 0xc0) == 0x80;
      if (within) continue;
      if (columns_of(std::string_view(rest).substr(0, i)) > columns) break;
      end = i;
      if (i < rest.size() && rest[i] == ' ') blank = i;
    }
    const std::size_t cut = blank > 0 ? blank : std::max<std::size_t>(end, 1);
    out.push_back(fitted(rest.substr(0, cut), columns));
    rest.erase(0, blank > 0 ? cut + 1 : cut);
  }
  out.push_back(fitted(rest, columns));
  return out;
}

std::vector<std::string> top_lines(TopModel& model, const Terminal& terminal, Now now) {
  Lines out = head(model, terminal);
  const Lines last = foot(model, terminal);
  const bool roomy = terminal.height >= kRoomy;
  const std::size_t taken = out.size() + 1 + (roomy ? 1 : 0) + last.size();
  const std::size_t left = terminal.height - std::min(terminal.height, taken);
  // A third of the screen; of a small one two thirds of what is left.
  const std::size_t pane = model.with_sessions() ? std::max(terminal.height / 3, left * 2 / 3) : 0;
  const std::size_t of_sessions = std::min(pane, left - std::min<std::size_t>(left, 1));
  const std::size_t room = left - of_sessions;
  model.set_room(room);
  Lines middle = rows(model, terminal, room, now);
  append(out, std::move(middle));
  const std::size_t below = last.size() + (roomy ? 1 : 0) + of_sessions;
  out.resize(terminal.height - std::min(terminal.height, below));
  if (of_sessions > 0) {
    Lines of = sessions_pane(model, terminal, of_sessions);
    of.resize(of_sessions);
    append(out, std::move(of));
  }
  if (roomy) out.push_back(detail(model, terminal, now));
  append(out, last);
  if (out.size() > terminal.height)
    out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(terminal.height));
  return out;
}

}  // namespace weir
