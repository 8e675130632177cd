#pragma once

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "health/checker.h"
#include "lb/config/load.h"
#include "tests/support/fake_backend.h"
#include "tests/support/port.h"
#include "tests/support/timing.h"

namespace weir::test {

/// A running Checker and everything it has reported.
class HealthBench {
 public:
  /// `also` is called with every report on the checker's thread, after it has been noted.
  explicit HealthBench(std::function<void(const HealthReport&)> also = {},
                       std::size_t most_sockets = kMostProbeSockets)
      : also_(std::move(also)),
        checker_(
            std::move(*Checker::create(most_sockets, [this](const HealthReport& report) { take(report); }))) {
    checker_->start();
  }
  Checker& checker() { return *checker_; }

  /// A probe that is quick, so that tests need not wait.
  static ProbeConfig probe(const std::string& kind) {
    ProbeConfig probe;
    probe.kind = kind;
    probe.interval = Millis(100);
    probe.fast_interval = Millis(20);
    probe.timeout = patient(Millis(500));
    return probe;
  }

  static ProbeTarget target(BackendId id, const std::string& address, ProbeConfig probe,
                            const std::string& pool = "web") {
    const std::string name = "b" + std::to_string(id);
    return {id,
            pool,
            name,
            {to_address(address)},
            std::move(probe),
            true,
            0,
            std::make_shared<BackendLoad>(id, pool, name, address, 1)};
  }

  /// Waits until the last transition of `id` is to `health`. Its report; nothing when it does not come.
  std::optional<HealthReport> wait_for(BackendId id, Health health, milliseconds deadline = kPatience) {
    std::unique_lock lock(mutex_);
    const auto there = [&] { return last_.contains(id) && last_.at(id).health == health; };
    if (!changed_.wait_for(lock, deadline, there)) return std::nullopt;
    return last_.at(id);
  }
  /// The same for a reason that contains `text`, transition or not.
  bool wait_for_reason(BackendId id, const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] {
      return std::ranges::any_of(reports_, [&](const HealthReport& report) {
        return report.id == id && report.reason.find(text) != std::string::npos;
      });
    });
  }
  std::vector<HealthReport> transitions(BackendId id) {
    const std::lock_guard lock(mutex_);
    std::vector<HealthReport> result;
    std::ranges::copy_if(reports_, std::back_inserter(result),
                         [id](const HealthReport& report) { return report.id == id && report.transition; });
    return result;
  }

 private:
  void take(const HealthReport& report) {
    {
      const std::lock_guard lock(mutex_);
      reports_.push_back(report);
      if (report.transition) last_.insert_or_assign(report.id, report);
      changed_.notify_all();
    }
    if (also_) also_(report);
  }

  std::function<void(const HealthReport&)> also_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HealthReport> reports_;
  std::map<BackendId, HealthReport> last_;
  std::unique_ptr<Checker> checker_;  // last: its thread uses all of the above
};

inline std::size_t own_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

}  // namespace weir::test
