#include "lb/cli/render.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lb/cli/read_json.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

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

std::string render_rebalanced(std::string_view json) {
  const auto root = parse_object(json);
  const auto over = number(root, "over");
  return fmt::format("{} ended; {}\n", sessions_text(number(root, "ended")),
                     over == 0 ? "no backend has more than its share"
                               : fmt::format("{} beyond a share stay: they are new, or would come back to "
                                             "the same backends",
                                             over));
}

std::string render_explanation(std::string_view json) {
  const auto root = parse_object(json);
  const auto backend = text(root, "backend"), pool = text(root, "pool");
  const auto decision = text(root, "decision"), waits_for = text(root, "waits_for");
  const bool refused = !decision.empty() && decision != "let in";
  std::string out = refused ? fmt::format("{} would be refused by listener {}: {}\n", text(root, "client"),
                                          text(root, "listener"), decision)
                    : !waits_for.empty() ? fmt::format("{} would wait in the queue of pool {}, for {}\n",
                                                       text(root, "client"), pool, waits_for)
                    : backend.empty()
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
  const auto commit = text(root, "commit");
  return fmt::format("weir {}{}{}\n", text(root, "version"), commit.empty() ? "" : ", commit " + commit,
                     features.empty() ? "" : " (" + features + ")");
}

std::vector<std::string> warnings_of(std::string_view json) {
  std::vector<std::string> out;
  // Most answers have none, and may be megabytes.
  if (json.find("\"warnings\"") == json.npos && json.find("\"notes\"") == json.npos) return out;
  const auto root = parse_object(json);
  for (const auto* name : {"warnings", "notes"})
    for (const auto& line : list(root, name))
      if (line.is_string()) out.push_back(line.get<std::string>());
  return out;
}

}  // namespace weir
