#pragma once

#include <memory>
#include <vector>

#include "health/probe_run.h"
#include "health/probe_slots.h"
#include "health/reporter.h"
#include "health/schedule.h"
#include "health/verdict.h"

namespace weir {

/// One check, run again and again, for all the backends that it is the same for: pools that name the same
/// addresses with the same probe share it. Each backend has a verdict of its own, which counts the results of
/// the runs that began after it had joined.
class SharedProbe final : private ProbeSlots::User {
 public:
  SharedProbe(ProbeLoop& loop, ProbeFactory& factory, ProbeSlots& slots, Reporter& reporter,
              ProbeSubject subject, const Schedule& schedule);
  ~SharedProbe();
  SharedProbe(const SharedProbe&) = delete;
  SharedProbe& operator=(const SharedProbe&) = delete;

  /// From now on it is probed, the first time at once. `known`: its health so far, and the results in a row
  /// that speak against it.
  void join(std::shared_ptr<BackendLoad> load, Health known, std::uint32_t against = 0);
  /// What is known of it, for when it joins another one.
  struct Known {
    Health health = Health::Unknown;
    std::uint32_t against = 0;  ///< results in a row
  };
  Known leave(BackendId id);
  bool empty() const { return members_.empty(); }
  const ProbeSubject& subject() const { return subject_; }

  /// A worker's hint: sessions cannot connect, so the next probe must not wait for its time.
  void connects_changed(BackendId id);

 private:
  struct Member {
    std::shared_ptr<BackendLoad> load;
    Verdict verdict;
    std::uint64_t first_run;  ///< counts from this run on
    std::string said;         ///< of the reason reported last, the part that does not count along
  };

  void on_slot() override;
  void ask_for_slot();
  void on_result(const RunResult& result);
  void count(Member& member, const RunResult& result);
  void tell_trouble(const RunResult& result);
  std::string passed_text(const RunResult& result) const;
  void schedule_next(const RunResult& result);
  Member* find(BackendId id);

  ProbeLoop& loop_;
  ProbeFactory& factory_;
  ProbeSlots& slots_;
  Reporter& reporter_;
  ProbeSubject subject_;
  Schedule schedule_;
  std::vector<Member> members_;
  std::unique_ptr<ProbeRun> run_;
  Alarm start_;
  std::chrono::nanoseconds start_at_{0};  ///< of start_, while it is set
  std::chrono::nanoseconds last_start_{0};
  std::uint64_t runs_ = 0;
  bool waiting_ = false;  ///< for a slot
  bool early_ = false;    ///< a hint came while it ran
};

}  // namespace weir
