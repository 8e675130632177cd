#include "lb/control/reload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

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

std::vector<std::string> bound_addresses(const Config& config) {
  std::vector<std::string> out;
  for (const auto& listener : config.listeners)
    for (const auto& address : listener.bind) out.push_back(address.to_string());
  std::sort(out.begin(), out.end());
  return out;
}

/// What only the attempt tells.
std::vector<std::string> open_questions(const Config& now, const Config& next) {
  std::vector<std::string> out;
  const auto held = bound_addresses(now);
  for (const auto& address : bound_addresses(next))
    if (!std::binary_search(held.begin(), held.end(), address))
      out.push_back(fmt::format("whether {} can be bound is known only when the reload tries it", address));
  if (next.log.access != now.log.access && next.log.access.starts_with('/'))
    out.push_back(fmt::format("whether {} can be opened is known only when the reload tries it",
                              quoted(next.log.access)));
  return out;
}

}  // namespace

ReloadReport Reload::run() {
  auto report = attempt();
  if (!report.done) {
    daemon_log().error("reload refused: {}", report.error);
    for (const auto& fault : report.faults) daemon_log().error("reload: {}", fault.to_string(report.file));
    return report;
  }
  daemon_log().info("reloaded: {} changes, generation {}", report.applied.changes.size(), report.generation);
  for (const auto& change : report.applied.changes) daemon_log().info("reload: {}", change);
  for (const auto& warning : report.warnings) daemon_log().warn("reload: {}", warning.to_string(report.file));
  for (const auto& note : report.applied.notes) daemon_log().warn("reload: {}", note);
  return report;
}

ReloadReport Reload::rehearse(std::string_view text, const std::string& file) const {
  const auto loaded = parse_(text, file);
  auto report = examine(loaded, file);
  if (!report.error.empty()) return report;
  auto foreseen = registry_.difference(*loaded.config);
  auto& notes = foreseen.notes;
  notes.insert(notes.begin(), report.applied.notes.begin(), report.applied.notes.end());
  for (auto& question : open_questions(*registry_.config(), *loaded.config))
    notes.push_back(std::move(question));
  report.applied = std::move(foreseen);
  report.generation = registry_.table()->generation;
  report.done = true;
  return report;
}

ReloadReport Reload::examine(const LoadResult& loaded, const std::string& file) const {
  ReloadReport report;
  report.file = file;
  report.faults = loaded.faults;
  report.warnings = loaded.warnings;
  if (loaded.config == nullptr) {
    const auto count = report.faults.size();
    report.error = fmt::format("{} has {} fault{}; nothing was changed", file, count, count == 1 ? "" : "s");
    return report;
  }
  const auto& next = *loaded.config;
  report.error = fixed_difference(*registry_.config(), next);
  if (!report.error.empty() || next.state_file == state_file_.path()) return report;
  const StateFile next_state(next.state_file);
  const auto refuse = [&](const Error& error) {
    report.error = fmt::format("state_file: {}; nothing was changed", error.message);
  };
  const auto writable = next_state.check_writable(false);
  if (!writable && next.state_file_given) {
    refuse(writable.error());
  } else if (!writable && writable.error().code != ENOENT) {
    report.applied.notes.push_back("overrides will not survive: " + writable.error().message);
  } else if (const auto own = next_state.check_own(); !own) {
    refuse(own.error());
  }
  return report;
}

ReloadReport Reload::attempt() {
  const auto loaded = load_();
  auto report = examine(loaded, registry_.config()->file);
  if (!report.error.empty()) return report;
  const auto& next = *loaded.config;
  if (const auto prepared = steps_.prepare(next); !prepared) {
    report.error = fmt::format("{}; nothing was changed", prepared.error().message);
    return report;
  }
  auto applied = registry_.apply(loaded.config);
  steps_.commit(next);
  if (next.state_file != state_file_.path()) {
    state_file_ = StateFile(next.state_file);
    static_cast<void>(state_file_.check_writable(!next.state_file_given));
    // A damaged one is kept aside. What was said in it once does not count: what is said now does.
    static_cast<void>(state_file_.load());
  }
  if (const auto saved = state_file_.save(registry_.overrides()); !saved)
    applied.notes.push_back("overrides will not survive: " + saved.error().message);
  report.applied = std::move(applied);
  report.generation = registry_.table()->generation;
  report.done = true;
  return report;
}

}  // namespace weir
