#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lb/net/loop.h"
#include "lb/proxy/pipe_pool.h"

namespace weir {

/// What one worker lends to all its pumps.
struct PumpContext {
  std::span<std::byte> buffer;  ///< what a read may fill; holds nothing between two calls of run()
  PipePool& pipes;
  std::uint64_t moved_bytes = 0;  ///< what has reached a sink, since the worker set it to 0
};

/// Moves bytes one way between two sockets that it borrows: in order, once, no more in hand than one read or
/// one pipe. Knows no loop and no policy: it is told of events and asked to run. It remembers the readiness
/// of both ends, since their sockets are registered edge-triggered.
///
/// Small reads are copied through the worker's one warm buffer; a flow that fills it twice in a row is
/// spliced through a pipe from then on. An idle pump holds no buffer and no pipe.
class Pump {
 public:
  enum class Outcome : std::uint8_t {
    Waiting,       ///< for an event of one of the ends
    OutOfBudget,   ///< has more to do: run it again next turn
    Drained,       ///< the source has finished and every byte has been handed to the sink's kernel
    SourceFailed,  ///< the same, but the source ended with source_error()
    SinkFailed     ///< what is still in hand cannot be delivered: sink_error()
  };

  /// The bytes of one run().
  static constexpr std::size_t kBudgetBytes = 512 * 1024;

  Pump() = default;
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  void on_source_events(std::uint32_t seen);
  void on_sink_events(std::uint32_t seen) {
    if ((seen & (events::kWritable | events::kError | events::kHangUp)) != 0) writable_ = true;
  }
  /// The sink is new: connected, writable, and without TCP_NODELAY, which is set when a second write makes it
  /// matter.
  void on_fresh_sink() {
    writable_ = true;
    sink_needs_nodelay_ = true;
  }
  /// The source is to be another: what was heard of the last one says nothing about it.
  void on_fresh_source() { readable_ = read_to_end_ = urgent_ = fin_arrived_ = false; }
  void read_to_end() { readable_ = read_to_end_ = true; }
  /// From now on reads and drops: the sink is gone, and the source is to be heard out.
  void discard(PipePool& pipes);
  /// Records that the sink is gone, learnt elsewhere.
  void fail_sink(int error) { sink_error_ = static_cast<std::int16_t>(error); }

  /// Moves what can be moved within the budget.
  Outcome run(int source, int sink, PumpContext& context);
  /// Gives back what it holds. Before destruction.
  void release(PipePool& pipes);

  /// It fills every read: where others wait too, it can.
  bool bulk() const { return bulk_; }
  bool source_finished() const { return finished_; }
  int source_error() const { return source_error_; }
  int sink_error() const { return sink_error_; }
  std::uint64_t delivered_bytes() const { return delivered_bytes_; }
  bool holds_bytes() const { return stash_ != nullptr || (pipe_ != nullptr && pipe_->bytes > 0); }

 private:
  struct Stash {
    std::vector<std::byte> bytes;
    std::size_t delivered = 0;
  };

  void copy(int source, int sink, PumpContext& context, std::size_t& budget);
  void splice_in(int source, int sink, PumpContext& context, std::size_t& budget);
  void flush(int sink, PumpContext& context);
  std::size_t write(int sink, std::span<const std::byte> bytes, PumpContext& context);
  void delivered(std::size_t bytes, PumpContext& context);
  void on_read(std::size_t bytes, bool full);
  void on_read_failure(int error);
  bool source_over() const { return finished_ || source_error_ != 0; }

  std::uint64_t delivered_bytes_ = 0;
  std::unique_ptr<Stash> stash_;  ///< what was read and could not be written at once
  std::unique_ptr<Pipe> pipe_;
  std::int16_t source_error_ = 0;  ///< an errno; Linux has none above 4095
  std::int16_t sink_error_ = 0;
  std::uint8_t full_reads_ = 0;  ///< in a row, while copying; small reads in a row, while splicing
  bool readable_ : 1 = false;
  bool writable_ : 1 = false;
  bool read_to_end_ : 1 = false;  ///< a short read does not mean empty: only EAGAIN does
  bool urgent_ : 1 = false;       ///< out-of-band data is in the queue: splice does not get past it
  bool fin_arrived_ : 1 = false;  ///< and nothing else: a short read means the end
  bool finished_ : 1 = false;
  bool bulk_ : 1 = false;
  bool paced_ : 1 = false;  ///< TCP_NOTSENT_LOWAT is set on the sink
  bool discarding_ : 1 = false;
  bool sink_needs_nodelay_ : 1 = false;
};

}  // namespace weir
