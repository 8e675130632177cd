#include "lb/control/reload.h"

#include <fmt/format.h>

#include <optional>

#include "lb/base/log.h"

namespace weir {

namespace {

/// What only a restart or an upgrade can change; "" when nothing of it has.
std::string fixed_difference(const Config& now, const Config& next) {
  const auto refused = [](std::string_view key, const auto& from, const auto& to) {
    return fmt::format("{} changes with a restart or an upgrade only ({} → {}); nothing was changed", key,
                       from, to);
  };
  if (now.workers != next.workers) return refused("workers", now.workers, next.workers);
  if (now.admin.socket != next.admin.socket)
    return refused("admin.socket", quoted(now.admin.socket), quoted(next.admin.socket));
  if (now.admin.mode != next.admin.mode)
    return refused("admin.mode", fmt::format("{:04o}", now.admin.mode),
                   fmt::format("{:04o}", next.admin.mode));
  return "";
}

}  // namespace

ReloadReport Reload::run() {
  auto report = attempt();
  if (!report.done) {
    daemon_log().error("reload refused: {}", report.error);
    for (const auto& fault : report.faults) daemon_log().error("reload: {}", fault);
    return report;
  }
  daemon_log().info("reloaded: {} changes, generation {}", report.applied.changes.size(), report.generation);
  for (const auto& change : report.applied.changes) daemon_log().info("reload: {}", change);
  for (const auto& note : report.applied.notes) daemon_log().warn("reload: {}", note);
  return report;
}

ReloadReport Reload::attempt() {
  ReloadReport report;
  auto loaded = load_();
  const auto& now = registry_.config();
  if (loaded.config == nullptr) {
    for (const auto& fault : loaded.faults) report.faults.push_back(fault.to_string(now->file));
    const auto count = report.faults.size();
    report.error =
        fmt::format("{} has {} fault{}; nothing was changed", now->file, count, count == 1 ? "" : "s");
    return report;
  }
  const auto& next = *loaded.config;
  report.error = fixed_difference(*now, next);
  if (!report.error.empty()) return report;

  for (const auto& warning : loaded.warnings) report.applied.notes.push_back(warning.to_string(next.file));
  StateFile next_state(next.state_file);
  const bool state_moves = next.state_file != state_file_.path();
  if (state_moves) {
    const auto writable = next_state.check_writable(!next.state_file_given);
    if (!writable && next.state_file_given) {
      report.error = fmt::format("state_file: {}; nothing was changed", writable.error().message);
      return report;
    }
    if (!writable) report.applied.notes.push_back("overrides will not survive: " + writable.error().message);
    // Only to see that it is no file of somebody else's: what is said now counts, not what was said in it
    // once.
    if (const auto foreign = next_state.load(); writable && !foreign) {
      report.error = fmt::format("state_file: {}; nothing was changed", foreign.error().message);
      return report;
    }
  }
  if (const auto prepared = steps_.prepare(next); !prepared) {
    report.error = fmt::format("{}; nothing was changed", prepared.error().message);
    return report;
  }
  auto applied = registry_.apply(loaded.config);
  steps_.commit(next);
  if (state_moves) state_file_ = std::move(next_state);
  if (const auto saved = state_file_.save(registry_.overrides()); !saved)
    applied.notes.push_back("overrides will not survive: " + saved.error().message);
  applied.notes.insert(applied.notes.begin(), report.applied.notes.begin(), report.applied.notes.end());
  report.applied = std::move(applied);
  report.generation = registry_.table()->generation;
  report.done = true;
  return report;
}

}  // namespace weir
