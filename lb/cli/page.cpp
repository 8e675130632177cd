// What has happened, and the page of one backend.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lb/base/log.h"
#include "lb/cli/read_json.h"
#include "lb/cli/render.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;
using Now = std::chrono::system_clock::time_point;

/// "01-31 12:03:59": in UTC, as the log.
std::string moment(const std::string& time) {
  return time.size() >= 19 ? time.substr(5, 5) + " " + time.substr(11, 8) : time;
}

std::string event_text(const Json& event) {
  std::string out = text(event, "text");
  if (const auto count = number(event, "count"); count > 1) out += fmt::format(" (x{})", count);
  return out;
}

std::string subject_of(const Json& event) {
  const auto pool = text(event, "pool"), backend = text(event, "backend");
  return backend.empty() ? pool : pool + "/" + backend;
}

/// Lines "  name  value", the names padded to one width; values that are "" are left out.
class Facts {
 public:
  void add(std::string name, std::string value) {
    if (!value.empty()) facts_.emplace_back(std::move(name), std::move(value));
  }
  std::string text(const Terminal& terminal) const {
    std::size_t widest = 0;
    for (const auto& [name, value] : facts_) widest = std::max(widest, name.size());
    std::string out;
    for (const auto& [name, value] : facts_) {
      const auto line = fmt::format("  {:<{}}  {}", name, widest, value);
      out += (terminal.width > 0 ? fitted(line, terminal.width) : fitted(line, kNoLimit)) + "\n";
    }
    return out;
  }

 private:
  static constexpr std::size_t kNoLimit = 10'000;
  std::vector<std::pair<std::string, std::string>> facts_;
};

std::string ago(const std::string& time, Now now) {
  const auto then = parse_time(time);
  if (!then) return "";
  return fmt::format("{} ago ({})", age(std::chrono::duration<double>(now - *then).count()), moment(time));
}

/// "by ann 3m ago (01-31 10:00:00), until 01-31 12:00:00: new disk"
std::string word_text(const Json& backend, const char* name, Now now) {
  const auto word = backend.value(name, Json());
  if (!word.is_object()) return "";
  const auto by = text(word, "by"), since = ago(text(word, "since"), now), until = text(word, "until");
  std::string out = "by " + (by.empty() ? "an operator" : by);
  if (!since.empty()) out += " " + since;
  if (!until.empty()) out += ", until " + moment(until);
  if (const auto comment = text(word, "comment"); !comment.empty()) out += ": " + comment;
  return out;
}

std::uint64_t whole(const Json& in, const char* name) {
  return static_cast<std::uint64_t>(std::max(0.0, real(in, name)));
}

std::string latency_text(const Json& backend, const char* name) {
  const auto times = backend.value(name, Json());
  if (!times.is_object()) return "";
  return fmt::format("p50 {:.1f} ms, p99 {:.1f} ms of late", real(times, "p50"), real(times, "p99"));
}

/// What its probe has of its own: "port 9000, path /ready".
std::string own_probe_text(const Json& backend) {
  std::string out;
  const Json own = backend.value("own_probe", Json::object());
  for (const auto& [key, value] : own.items())
    if (value.is_string())
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", key.substr(key.find('.') + 1),
                         value.get<std::string>());
  return out;
}

std::string where_sessions_stand(const Json& sessions) {
  std::map<std::string, std::uint64_t> states;
  for (const auto& session : list(sessions, "sessions")) ++states[text(session, "state")];
  std::string out;
  for (const auto& [state, count] : states)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, state);
  return out;
}

void add_admin(Facts& facts, const Json& backend, Now now) {
  const auto admin = text(backend, "admin");
  const auto word = word_text(backend, "admin_word", now);
  const auto by = !word.empty()                             ? " " + word
                  : text(backend, "admin_by") == "operator" ? " by an operator"
                                                            : "";
  const auto file = text(backend, "configured_admin");
  facts.add("admin", admin + by + (file.empty() || file == admin ? "" : fmt::format(" (file: {})", file)));
  if (const auto closes = text(backend, "closes_at"); !closes.empty())
    facts.add("closes", "what is left from " + moment(closes) + " on");
  const auto weight = number(backend, "weight"), configured = number(backend, "configured_weight");
  auto weights = fmt::format("{}", weight);
  if (const auto share = number(backend, "share_percent"); share != 100 && share != 0)
    weights += fmt::format(" at {}%", share);
  if (const auto said = word_text(backend, "weight_word", now); !said.empty()) weights += " " + said;
  if (weight != configured) weights += fmt::format(" (file: {})", configured);
  facts.add("weight", weights);
}

}  // namespace

std::string render_events(std::string_view json, const Terminal& terminal) {
  const auto root = parse_object(json);
  TextTable table({{"TIME (UTC)"}, {"KIND"}, {"OF"}, {"BY", Colour::None, false, 1}, {"WHAT"}});
  for (const auto& event : list(root, "events")) {
    table.add({{moment(text(event, "time"))},
               {text(event, "kind")},
               {subject_of(event)},
               {text(event, "by")},
               {event_text(event)}});
    for (const auto& change : list(event, "changes"))
      if (change.is_string()) table.add({{""}, {""}, {""}, {""}, {"  " + change.get<std::string>()}});
  }
  return table.empty() ? "nothing has happened\n" : table.render({terminal.width, terminal.colour, 0});
}

std::string render_event(std::string_view json) {
  const auto event = parse_object(json);
  const auto of = subject_of(event), by = text(event, "by");
  std::string out =
      fmt::format("{}  {}  {}{}{}", moment(text(event, "time")), text(event, "kind"),
                  of.empty() ? "" : of + "  ", event_text(event), by.empty() ? "" : "  by " + by);
  for (const auto& change : list(event, "changes"))
    if (change.is_string()) out += "; " + change.get<std::string>();
  // It is one line, whatever was said.
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

std::string render_backend(std::string_view status, std::string_view events, std::string_view sessions,
                           const Terminal& terminal, Now now) {
  const auto root = parse_object(status);
  std::string out;
  for (const auto& pool : list(root, "pools"))
    for (const auto& backend : list(pool, "backends")) {
      Facts facts;
      facts.add("address", text(backend, "address"));
      facts.add("resolved", joined(list(backend, "resolved")));
      facts.add("health", text(backend, "health") + ", " + ago(text(backend, "since"), now));
      facts.add("because", text(backend, "reason"));
      facts.add("own probe", own_probe_text(backend));
      if (const auto took = backend.find("last_probe_ms"); took != backend.end() && took->is_number())
        facts.add("last probe", fmt::format("took {:.1f} ms", took->get<double>()));
      facts.add("eligible", flag(backend, "eligible") ? "yes" : "no");
      add_admin(facts, backend, now);
      if (flag(backend, "backup")) facts.add("backup", "yes: used when no primary is eligible");
      if (flag(backend, "added")) facts.add("added", "at run time, until the next reload");
      const auto stand = where_sessions_stand(parse_object(sessions));
      const auto most = number(backend, "max_sessions");
      facts.add("sessions",
                fmt::format("{} now{}{}{}, {} in all, {:.1f} new/s", number(backend, "active"),
                            most != 0 ? fmt::format(" of {}", most) : "", stand.empty() ? "" : ": ", stand,
                            number(backend, "total"), real(backend, "sessions_per_second")));
      if (const auto idle = backend.find("longest_idle_seconds"); idle != backend.end() && idle->is_number())
        facts.add("idle", fmt::format("for {} at most", age(idle->get<double>())));
      facts.add("connects", latency_text(backend, "connect_ms"));
      facts.add("first byte", latency_text(backend, "first_byte_ms"));
      facts.add("failed connects", fmt::format("{}", number(backend, "connect_failures")));
      facts.add("bytes", fmt::format("{} to it, {} from it", short_bytes(number(backend, "bytes_to_backend")),
                                     short_bytes(number(backend, "bytes_to_client"))));
      facts.add("bytes a second", fmt::format("{} to it, {} from it",
                                              short_bytes(whole(backend, "bytes_to_backend_per_second")),
                                              short_bytes(whole(backend, "bytes_to_client_per_second"))));
      out += fmt::format("{}/{}{}\n{}", text(pool, "name"), text(backend, "name"),
                         flag(backend, "removed") ? " (removed)" : "", facts.text(terminal));
    }
  const auto past = parse_object(events);
  if (list(past, "events").empty()) return out;
  TextTable table({{"TIME (UTC)"}, {"BY"}, {"WHAT"}});
  for (const auto& event : list(past, "events"))
    table.add({{moment(text(event, "time"))}, {text(event, "by")}, {event_text(event)}});
  return out + "\n" + table.render({terminal.width, terminal.colour, 2});
}

}  // namespace weir
