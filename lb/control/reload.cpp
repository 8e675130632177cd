#include "lb/control/reload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "lb/base/counted.h"
#include "lb/base/log.h"

namespace weir {

namespace {

/// Texts that wait to be read, of 16 MiB perhaps.
constexpr int kMostRehearsals = 4;
/// Of a reload, by its event; the log has all.
constexpr std::size_t kMostChangesKept = 100;

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
  if (now.admin.read_only_socket != next.admin.read_only_socket)
    return refused("admin.read_only_socket", quoted(now.admin.read_only_socket),
                   quoted(next.admin.read_only_socket));
  if (now.admin.read_only_mode != next.admin.read_only_mode)
    return refused("admin.read_only_mode", fmt::format("{:04o}", now.admin.read_only_mode),
                   fmt::format("{:04o}", next.admin.read_only_mode));
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

/// Values of the environment are nobody's to see: neither those of the file that is read nor those of the one
/// in force.
void restore(const Written& read, const Config& in_force, ReloadReport& report) {
  for (const Written* written : {&read, &in_force.written}) {
    report.error = written->restore(report.error);
    for (auto* faults : {&report.faults, &report.warnings})
      for (Fault& fault : *faults) fault.message = written->restore(fault.message);
    for (auto* lines : {&report.applied.changes, &report.applied.notes, &report.applied.bereft})
      for (std::string& line : *lines) line = written->restore(line);
  }
}

void tell(const ReloadReport& report, const std::string& by, Events& events) {
  Event event{.time = std::chrono::system_clock::now(), .kind = Event::Kind::Reload, .by = by};
  if (!report.done) {
    event.text = fmt::format("reload refused: {}", report.error);
    for (const auto& fault : report.faults) event.changes.push_back(fault.to_string(report.file));
    events.tell(spdlog::level::err, event);
    for (const auto& line : event.changes) daemon_log().error("reload: {}", line);
    return;
  }
  event.text = fmt::format("reloaded: {}, generation {}", counted(report.applied.changes.size(), "change"),
                           report.generation);
  event.changes = report.applied.changes;
  event.changes.resize(std::min(event.changes.size(), kMostChangesKept));
  events.tell(spdlog::level::info, std::move(event));
  for (const auto& change : report.applied.changes) daemon_log().info("reload: {}", change);
  for (const auto& warning : report.warnings) daemon_log().warn("reload: {}", warning.to_string(report.file));
  for (const auto& note : report.applied.notes) daemon_log().warn("reload: {}", note);
}

}  // namespace

void Reload::run(std::string by, Done done) {
  ++reading_;
  if (parts_.on_begin) parts_.on_begin();
  parts_.background.run([this, load = parts_.load, by = std::move(by), done = std::move(done)] {
    return [this, by, done, loaded = load()] {
      --reading_;
      const auto report = attempt(loaded);
      const auto say = [this, by, done, report] {
        tell(report, by, parts_.events);
        if (parts_.on_end) parts_.on_end();
        done(report);
      };
      if (report.done && parts_.when_heard)
        parts_.when_heard(say);
      else
        say();
    };
  });
}

void Reload::rehearse(std::string text, std::string file, Tell tell, Told told) const {
  if (rehearsing_ == kMostRehearsals) return told(fail("other configurations are being compared, ask again"));
  ++rehearsing_;
  parts_.background.run([this, parse = parts_.parse, text = std::move(text), file = std::move(file),
                         tell = std::move(tell), told = std::move(told)] {
    return [this, file, tell, told, loaded = parse(text, file)]() mutable {
      foresee(std::move(loaded), file, Registry::Over::Reload,
              [this, tell, told](const ReloadReport& report) {
                return [this, told, text = tell(report)]() mutable {
                  --rehearsing_;
                  told(std::move(text));
                };
              });
    };
  });
}

void Reload::rehearse_upgrade(Done done) const {
  parts_.background.run([this, load = parts_.load, done = std::move(done)] {
    return [this, done, loaded = load()]() mutable {
      foresee(std::move(loaded), parts_.registry.config()->file, Registry::Over::Upgrade,
              [done](ReloadReport& report) { return [done, report = std::move(report)] { done(report); }; });
    };
  });
}

void Reload::foresee(LoadResult loaded, const std::string& file, Registry::Over over, Foreseen then) const {
  auto report = examine(loaded, file, over);
  report.generation = parts_.registry.table()->generation;
  Registry::Rehearsal compare;
  if (report.error.empty()) compare = parts_.registry.rehearsal(over);
  parts_.background.run([report = std::move(report), compare = std::move(compare), loaded = std::move(loaded),
                         in_force = parts_.registry.config(), over, then = std::move(then)]() mutable {
    if (compare != nullptr) {
      auto applied = compare(*loaded.config);
      auto& notes = applied.notes;
      notes.insert(notes.begin(), report.applied.notes.begin(), report.applied.notes.end());
      if (over == Registry::Over::Reload)
        for (auto& question : open_questions(*in_force, *loaded.config)) notes.push_back(std::move(question));
      report.applied = std::move(applied);
      report.done = true;
    }
    restore(loaded.written, *in_force, report);
    return then(report);
  });
}

ReloadReport Reload::examine(const LoadResult& loaded, const std::string& file, Registry::Over over) const {
  ReloadReport report;
  report.file = file;
  report.faults = loaded.faults;
  report.warnings = loaded.warnings;
  if (loaded.config == nullptr) {
    const auto count = loaded.fault_count();
    report.error = fmt::format("{} has {} fault{}; nothing was changed", file, count, count == 1 ? "" : "s");
    return report;
  }
  const auto& next = *loaded.config;
  if (over == Registry::Over::Reload) report.error = fixed_difference(*parts_.registry.config(), next);
  if (!report.error.empty() || next.state_file == parts_.state.path()) return report;
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

ReloadReport Reload::attempt(const LoadResult& loaded) {
  const auto in_force = parts_.registry.config();
  auto report = examine(loaded, in_force->file, Registry::Over::Reload);
  if (parts_.refusal)
    if (const auto why = parts_.refusal(); !why.empty()) {
      report.busy = true;
      report.error = why;
    }
  if (report.error.empty()) apply(loaded, report);
  restore(loaded.written, *in_force, report);
  return report;
}

void Reload::apply(const LoadResult& loaded, ReloadReport& report) {
  const auto& next = *loaded.config;
  const auto prepared = parts_.steps.prepare(loaded.config);
  if (!prepared) {
    report.error = fmt::format("{}; nothing was changed", prepared.error().message);
    return;
  }
  auto applied = parts_.registry.apply(loaded.config);
  std::move(**prepared).commit();
  StateKeeper& state = parts_.state;
  if (next.state_file != state.path()) state.move_to(next.state_file, !next.state_file_given);
  state.save(parts_.registry.overrides());
  report.applied = std::move(applied);
  report.generation = parts_.registry.table()->generation;
  report.done = true;
}

}  // namespace weir
