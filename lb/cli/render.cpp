#include "lb/cli/render.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lb/cli/table.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

Json parse(std::string_view text) {
  auto json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json::object();
}

const Json& list(const Json& in, const char* name) {
  static const Json empty = Json::array();
  const auto found = in.find(name);
  return found != in.end() && found->is_array() ? *found : empty;
}

std::string text(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_string() ? found->get<std::string>() : "";
}

std::uint64_t number(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

double real(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_number() ? found->get<double>() : 0;
}

bool flag(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_boolean() && found->get<bool>();
}

std::string joined(const Json& values) {
  std::string out;
  for (const auto& value : values)
    if (value.is_string()) out += (out.empty() ? "" : ", ") + value.get<std::string>();
  return out;
}

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
  if (const auto configured = number(backend, "configured_weight"); configured != number(backend, "weight"))
    out += fmt::format(" (file {})", configured);
  if (const auto share = number(backend, "share_percent"); share != 100 && share != 0)
    out += fmt::format(" at {}%", share);
  return out;
}

std::string sessions_text(std::uint64_t count) {
  return fmt::format("{} session{}", count, count == 1 ? "" : "s");
}

}  // namespace

Terminal standard_terminal() {
  Terminal out;
  if (::isatty(STDOUT_FILENO) == 0) return out;
  winsize size{};
  out.width = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  out.colour =
      (no_colour == nullptr || *no_colour == '\0') && term != nullptr && std::string_view(term) != "dumb";
  return out;
}

std::string render_status(std::string_view json, const Terminal& terminal) {
  const auto root = parse(json);
  const auto sessions = root.value("sessions", Json::object());
  std::string out =
      fmt::format("weir {}, up {}, {} workers, generation {}, {} of {} sessions\n", text(root, "version"),
                  short_duration(real(root, "uptime_seconds")), number(root, "workers"),
                  number(root, "generation"), number(sessions, "active"), number(sessions, "max"));
  TextTable listeners(
      {{"LISTENER"}, {"POOL"}, {"ACTIVE", Colour::None, true}, {"TOTAL", Colour::None, true}, {"BIND"}});
  for (const auto& listener : list(root, "listeners"))
    listeners.add({{text(listener, "name")},
                   {text(listener, "pool")},
                   {short_number(number(listener, "active")), Colour::None, true},
                   {short_number(number(listener, "total")), Colour::None, true},
                   {joined(list(listener, "bind"))}});
  if (!listeners.empty()) out += "\n" + listeners.render({terminal.width, terminal.colour, 0});
  for (const auto& pool : list(root, "pools")) {
    out += fmt::format("\npool {}{}\n", text(pool, "name"),
                       flag(pool, "removed") ? " (removed)" : ", " + text(pool, "balance"));
    TextTable table({{"BACKEND"},
                     {"ADDRESS"},
                     {"WEIGHT"},
                     {"STATE"},
                     {"ACTIVE", Colour::None, true},
                     {"TOTAL", Colour::None, true},
                     {"WHY"}});
    for (const auto& backend : list(pool, "backends"))
      table.add({{text(backend, "name")},
                 {text(backend, "address")},
                 {weight_text(backend)},
                 state_cell(backend),
                 {short_number(number(backend, "active")), Colour::None, true},
                 {short_number(number(backend, "total")), Colour::None, true},
                 {text(backend, "reason")}});
    out += table.render({terminal.width, terminal.colour, 2});
  }
  return out;
}

std::string render_sessions(std::string_view json, const Terminal& terminal) {
  const auto root = parse(json);
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

std::string render_changed(std::string_view json, std::string_view verb) {
  std::string out;
  const auto root = parse(json);
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
  return fmt::format("{} killed\n", sessions_text(number(parse(json), "killed")));
}

std::string render_explanation(std::string_view json) {
  const auto root = parse(json);
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
  const auto root = parse(json);
  std::string out;
  for (const auto& change : list(root, "changes"))
    if (change.is_string()) out += change.get<std::string>() + "\n";
  if (out.empty()) out = "nothing has changed\n";
  return out + fmt::format("reloaded, generation {}\n", number(root, "generation"));
}

std::string render_upgrade(std::string_view json) {
  const auto root = parse(json);
  const auto left = number(root, "sessions_left");
  return fmt::format("process {} serves, of {}\nthe old process {} {}\n", number(root, "pid"),
                     text(root, "binary"), number(root, "predecessor"),
                     left == 0 ? "had no sessions and ends" : fmt::format("finishes {} sessions", left));
}

std::string render_version(std::string_view json) {
  const auto root = parse(json);
  const auto features = joined(list(root, "features"));
  return fmt::format("weir {}{}\n", text(root, "version"), features.empty() ? "" : " (" + features + ")");
}

std::vector<std::string> warnings_of(std::string_view json) {
  std::vector<std::string> out;
  const auto root = parse(json);
  for (const auto* name : {"warnings", "notes"})
    for (const auto& line : list(root, name))
      if (line.is_string()) out.push_back(line.get<std::string>());
  return out;
}

}  // namespace weir
