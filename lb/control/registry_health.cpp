// What the checker and the agents report, and what becomes of a backend's health by it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lb/base/log.h"
#include "lb/control/registry_state.h"

namespace weir {

namespace {

constexpr std::string_view kNotProbed = "not probed";
constexpr std::string_view kNoProbeYet = "no probe has finished yet";
constexpr std::string_view kMaintenance = "not probed while disabled";
constexpr std::string_view kNotResolvedYet = "its name has not been resolved yet";

/// Probes quote what backends say: one transition stays one line.
std::string one_line(const std::string& text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  return std::any_of(text.begin(), text.end(), control) ? quoted(text) : text;
}

}  // namespace

std::vector<BackendId> Registry::set_health(const std::vector<HealthReport>& reports) {
  std::set<PoolEntry*> changed;
  std::vector<BackendId> down;
  for (const HealthReport& report : reports) {
    const auto subject = state_->find(report.id);
    if (!subject || !state_->take_report(report, *subject)) continue;
    changed.insert(subject->pool);
    if (report.health == Health::Down) down.push_back(report.id);
  }
  if (changed.empty()) return down;
  bool rebuilt = false;
  for (auto& pool : state_->members.pools)
    if (changed.contains(&pool) || !pool.stand_ins.empty()) rebuilt = state_->rebuild(pool) || rebuilt;
  if (rebuilt) state_->publish_table();
  return down;
}

void Registry::set_agents(const std::vector<AgentReport>& reports) {
  bool any = false;
  for (const AgentReport& report : reports) any = state_->take_agent(report) || any;
  if (any) state_->refresh();
}

bool Registry::State::take_agent(const AgentReport& report) {
  const auto subject = find(report.id);
  if (!subject || subject->entry == nullptr || !subject->pool->has_agent(*subject->entry)) return false;
  Entry& entry = *subject->entry;
  const AgentState old = std::exchange(entry.agent, report.state);
  const AgentState& now = entry.agent;
  const auto tell_of_it = [&](bool well, std::string text) {
    tell(well ? spdlog::level::info : spdlog::level::warn, Event::Kind::Health, subject->pool_name(),
         subject->name(), std::move(text));
  };
  if (now.trouble.empty() != old.trouble.empty())
    tell_of_it(now.trouble.empty(), now.trouble.empty() ? "its agent answers" : "its agent: " + now.trouble);
  const std::string said = now.in_words();
  if (said == old.in_words()) return false;
  entry.agent_since = clock.system();
  // How much it takes changes all the time; whether it takes any does not.
  if (now.serves() != old.serves() || now.word != old.word || now.down != old.down || now.why != old.why)
    tell_of_it(now.serves(), "its agent says: " + (said.empty() ? "ready" : one_line(said)));
  else
    daemon_log().debug("{}/{}: its agent says: {}", subject->pool_name(), subject->name(),
                       said.empty() ? "ready" : one_line(said));
  return true;
}

bool Registry::State::take_report(const HealthReport& report, const Subject& subject) {
  Standing& standing = *subject.standing;
  // A verdict that was under way when its health was forgotten says nothing about what comes after.
  if (standing.life != report.life) return false;
  if (admin(subject) == Admin::Disabled || standing.addresses.empty()) return false;
  if (report.transition) {
    change_health(subject, report.health, report.reason, report.on_trial);
    return true;
  }
  if (report.health != standing.health) return false;
  standing.reason = report.reason;
  standing.against = report.against;
  return false;
}

void Registry::State::forget_health(PoolEntry& pool, Entry& entry) {
  std::string_view reason = kNoProbeYet;
  Health health = Health::Unknown;
  if (admin(pool, entry) == Admin::Disabled) {
    reason = kMaintenance;
  } else if (entry.standing.addresses.empty()) {
    const std::string& why = entry.standing.no_address;
    reason = why.empty() ? kNotResolvedYet : std::string_view(why);
  } else if (!pool.probes(entry)) {
    health = Health::Up;
    reason = kNotProbed;
  }
  entry.standing.life = ++last_life;
  change_health({&entry.standing, &pool, nullptr, &entry}, health, std::string(reason), false);
}

void Registry::State::change_health(const Subject& subject, Health health, std::string reason,
                                    bool on_trial) {
  Standing& standing = *subject.standing;
  const Health old = std::exchange(standing.health, health);
  const bool first_word = standing.reason.empty();
  standing.on_trial = on_trial;
  standing.against = 0;
  standing.reason = std::move(reason);
  if (health != old || first_word) standing.since = clock.system();
  if (health != Health::Up) standing.slow_start.reset();
  if (health == Health::Down || on_trial) standing.recovering = true;
  const Millis slow_start = subject.pool != nullptr ? subject.pool->config.slow_start : Millis(0);
  if (health == Health::Up && !on_trial && std::exchange(standing.recovering, false) &&
      slow_start > Millis(0))
    standing.slow_start = SlowStart{clock.steady(), slow_start};
  if (health == old || first_word) return;
  tell(health == Health::Down ? spdlog::level::warn : spdlog::level::info, Event::Kind::Health,
       subject.pool_name(), subject.name(),
       fmt::format("{} → {}: {}", to_string(old), to_string(health), one_line(standing.reason)));
}

}  // namespace weir
