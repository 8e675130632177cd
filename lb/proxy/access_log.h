#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lb/balance/listener_load.h"
#include "lb/base/address.h"
#include "lb/base/daemon_log.h"
#include "lb/base/error.h"
#include "lb/base/fd.h"
#include "lb/base/state.h"
#include "lb/base/syslog.h"
#include "lb/proxy/facts.h"
#include "lb/proxy/turned_away.h"

namespace weir {

/// One ended session. The names are borrowed from identities that live longer than the record.
struct AccessRecord {
  std::uint32_t worker = 0;  ///< from 1
  std::uint64_t number = 0;  ///< of the session, on its worker
  std::int64_t time_ms = 0;  ///< the moment of the end, since 1970 in UTC
  const ListenerLoad* listener = nullptr;
  std::shared_ptr<BackendLoad> backend;  ///< the last one tried; null when none was
  std::int64_t connect_us = -1;          ///< from the accept until the backend had accepted; -1: none did
  std::int64_t first_byte_us = -1;       ///< from the backend's accept to its first byte; -1: none came
  std::int64_t duration_us = 0;
  std::uint64_t bytes_to_backend = 0;
  std::uint64_t bytes_to_client = 0;
  ClientAddress client;
  std::shared_ptr<const Facts> facts = {};  ///< null: nothing of note
  std::uint16_t attempts = 0;
  End end = End::Done;
};

/// How the lines are written.
struct AccessLineStyle {
  LogFormat format = LogFormat::Text;
  std::uint32_t sample = 1;  ///< of good endings one in so many has a line, and says so where it is not 1
};

/// An end that is nobody's trouble: the only ones of which a sample is taken.
constexpr bool is_good(End end) {
  return end == End::Done || end == End::Lifetime || end == End::Rebalanced;
}

/// Appends the record as one line, its newline included: "key=value …", or the same keys as a JSON object.
/// `instance`: of the process (WorkerShared::instance).
void append_line(std::string& out, std::string_view instance, const AccessRecord& record,
                 AccessLineStyle style = {});
/// The line that clients share who were not let in.
void append_line(std::string& out, const TurnedAwayLines::Others& others, AccessLineStyle style = {});

/// The access log. Each worker puts its records into a queue that never blocks and never allocates; a thread
/// of the log's own formats and writes them, in batches. What does not fit is counted, and said once there is
/// room again. Of clients that were turned away a worker puts no more in it than can have lines, so that they
/// never take the room of others.
class AccessLog {
 public:
  /// Records that one worker may be ahead of the log thread: 20 ms at 400,000 sessions a second.
  static constexpr std::size_t kQueueRecords = 8192;

  /// Where lines go: "off", "stdout", a path, opened for appending, or one of syslog_path().
  struct Target {
    std::string name = "off";
    Fd file = {};                             ///< none for "off" and for syslog
    std::optional<SyslogSocket> syslog = {};  ///< each line is a message
  };
  static Result<Target> open(const std::string& name);

  /// `complain` is called on the log's thread with what an operator has to know.
  AccessLog(Target target, std::uint32_t workers, std::function<void(std::string)> complain,
            std::string instance = "0");
  /// Writes what is queued, for a second at most if nobody takes it.
  ~AccessLog();

  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }
  /// That worker's thread only.
  void write(std::uint32_t worker, AccessRecord&& record);
  /// Closes and opens the path again, soon, and calls `done` then, on the log's thread. Any thread but the
  /// workers'.
  void reopen(std::function<void()> done);
  /// Writes elsewhere, soon. Any thread but the workers'.
  void redirect(Target target);
  /// From some line on that is written soon. Any thread.
  void set_style(AccessLineStyle style) { style_.store(style, std::memory_order_relaxed); }

 private:
  struct Queues;

  void run();
  std::size_t drain();
  void append(const AccessRecord& record);
  /// Of one that was turned away: whether it is put into its worker's queue.
  static bool is_sampled(std::uint32_t worker, const AccessRecord& record);
  /// Hears of those that were not. False: of none.
  bool take_others();
  void wake_if_asleep();
  void flush();
  /// Takes what has been written off `rest`; 0, or an errno.
  int write_to_file(std::string_view& rest) const;
  int send_to_syslog(std::string_view& rest);
  void follow_orders();
  void say_dropped();
  void wake();

  const std::function<void(std::string)> complain_;
  const std::string instance_;
  std::unique_ptr<Queues> queues_;
  std::atomic<bool> enabled_;
  Target target_;  // the log's thread only, from its start, like the next four
  std::string lines_;
  TurnedAwayLines turned_away_;
  std::uint64_t good_ = 0;       // endings, of which a sample is taken
  std::uint64_t unwritten_ = 0;  // lines dropped because the file took none
  std::atomic<AccessLineStyle> style_{};
  std::mutex orders_mutex_;                    // between the control and the log's thread; no worker takes it
  std::vector<std::function<void()>> reopen_;  // called when it is done
  std::optional<Target> redirect_;
  std::atomic<bool> ordered_{false};
  std::atomic<std::uint32_t> wake_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace weir
