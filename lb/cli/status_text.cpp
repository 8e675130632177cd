#include "lb/cli/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <regex>

#include "lb/base/log.h"

namespace weir {

namespace {

using Json = AnswerJson;
using Now = std::chrono::system_clock::time_point;

Json agent_of(const Json& backend) {
  const auto agent = backend.find("agent");
  return agent != backend.end() && agent->is_object() ? *agent : Json::object();
}

bool agent_keeps_out(const Json& backend) {
  const auto agent = agent_of(backend);
  return !agent.empty() && !flag(agent, "serves");
}

/// Seconds from then ("2026-01-31T10:00:00.123Z") to now; nothing when it is no such time.
std::optional<double> seconds_since(const std::string& then, Now now) {
  const auto time = parse_time(then);
  if (!time) return std::nullopt;
  return std::chrono::duration<double>(now - *time).count();
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
  auto reason = text(backend, "reason");
  if (terminal.width > 0 && text(backend, "health") == "down") return failure_first(reason);
  const auto took = backend.find("last_probe_ms");
  constexpr std::string_view kPassed = "probe passed (";
  if (text(backend, "health") != "up" || took == backend.end() || !took->is_number() ||
      !reason.starts_with(kPassed) || !reason.ends_with(" ms)"))
    return reason;
  const auto kind = reason.substr(kPassed.size(), reason.find_first_of(",)") - kPassed.size());
  return fmt::format("{} {:.1f} ms", kind, took->get<double>());
}

}  // namespace

bool is_problem(const Json& backend) {
  return !flag(backend, "removed") && text(backend, "admin") == "enabled" && text(backend, "health") != "up";
}

Cell state_cell(const Json& backend) {
  const auto admin = text(backend, "admin"), health = text(backend, "health");
  const std::string suffix = flag(backend, "backup") ? ", backup" : "";
  if (flag(backend, "removed")) return {"removed", Colour::Faint};
  if (admin == "disabled") return {admin + suffix, Colour::Warn};
  if (admin == "drained") return {admin + (health == "up" ? "" : ", " + health) + suffix, Colour::Warn};
  if (health == "up" && agent_keeps_out(backend)) return {"up, agent" + suffix, Colour::Warn};
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

std::string since_text(const Json& backend, Now now) {
  const bool kept_out = text(backend, "admin") != "enabled" && !flag(backend, "removed");
  const auto passed = seconds_since(text(backend, kept_out ? "admin_since" : "since"), now);
  return passed ? age(*passed) : "";
}

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
  const auto agent = agent_of(backend);
  if (const auto said = text(agent, "says"); !said.empty()) add("agent: " + said);
  if (const auto trouble = text(agent, "trouble"); !trouble.empty()) add("agent: " + trouble);
  add(check_text(backend, terminal));
  return out;
}

std::string active_text(const Json& backend) {
  const auto most = number(backend, "max_sessions");
  const std::string active = short_number(number(backend, "active"));
  return most == 0 ? active : active + "/" + short_number(most);
}

std::string rate_text(double per_second) {
  return per_second < 9.95 ? fmt::format("{:.1f}", per_second)
                           : short_number(static_cast<std::uint64_t>(std::lround(per_second)));
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

}  // namespace weir
