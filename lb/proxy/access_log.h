#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lb/balance/listener_load.h"
#include "lb/base/address.h"
#include "lb/base/error.h"
#include "lb/base/fd.h"
#include "lb/base/state.h"

namespace weir {

/// One ended session. The names are borrowed from identities that live longer than the record.
struct AccessRecord {
  std::int64_t time_ms = 0;  ///< the moment of the end, since 1970 in UTC
  const ListenerLoad* listener = nullptr;
  std::shared_ptr<BackendLoad> backend;  ///< the last one tried; null when none was
  std::int64_t connect_us = -1;          ///< from the accept until the backend had accepted; -1: none did
  std::int64_t duration_us = 0;
  std::uint64_t bytes_to_backend = 0;
  std::uint64_t bytes_to_client = 0;
  ClientAddress client;
  std::uint16_t attempts = 0;
  End end = End::Done;
};

/// Appends the record as one line, its newline included.
void append_line(std::string& out, const AccessRecord& record);

/// The access log. Each worker puts its records into a queue that never blocks and never allocates; a thread
/// of the log's own formats and writes them, in batches. What does not fit is counted, and said once there is
/// room again.
class AccessLog {
 public:
  /// Records that one worker may be ahead of the log thread: 20 ms at 400,000 sessions a second.
  static constexpr std::size_t kQueueRecords = 8192;

  /// `target`: "off", "stdout" or a path, opened for appending. `complain` is called on the log's thread with
  /// what an operator has to know.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& target, std::uint32_t workers,
                                                 std::function<void(std::string)> complain);
  /// Writes what is queued, for a second at most if nobody takes it.
  ~AccessLog();

  bool enabled() const { return enabled_; }
  /// That worker's thread only.
  void write(std::uint32_t worker, AccessRecord&& record);
  /// Closes and opens the path again, soon. Any thread.
  void reopen();

 private:
  struct Queues;

  AccessLog(std::string target, std::uint32_t workers, std::function<void(std::string)> complain);
  void run();
  std::size_t drain();
  void flush();
  void open_again();
  void say_dropped();
  void wake();

  const std::string target_;
  const bool enabled_;
  const std::function<void(std::string)> complain_;
  std::unique_ptr<Queues> queues_;
  Fd file_;                      // the log's thread only, from its start
  std::string lines_;            // the same
  std::uint64_t unwritten_ = 0;  // records dropped because the file took none; the same
  std::atomic<std::uint32_t> wake_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> reopen_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace weir
