#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lb/net/loop.h"
#include "lb/proxy/pipe_pool.h"
#include "lb/proxy/source.h"

namespace weir {

/// What one worker lends to all its pumps.
struct PumpContext {
  /// What bulk flows may move in a turn of the loop as their events come, and again at its end. However many
  /// there are, a message that comes in meanwhile waits for no more than that: 1 to 2 ms.
  static constexpr std::uint64_t kTurnBytes = 2 * 1024 * 1024;

  std::span<std::byte> buffer;  ///< what a read may fill; holds nothing between two calls of run()
  PipePool& pipes;
  std::uint64_t moved_bytes = 0;  ///< read or written since the worker set it to 0, dropped ones too
  bool splice_refused = false;    ///< by a sandbox or an old kernel: not tried again, everything is copied

  bool turn_is_spent() const { return moved_bytes >= kTurnBytes; }
};

/// What a pump has in hand: nothing, a pipe (empty or not), or a stash of what was read and could not be
/// written at once. In the room of one pointer.
class Held {
 public:
  struct Stash {
    std::vector<std::byte> bytes;
    std::size_t delivered = 0;
    std::size_t uncounted = 0;  ///< in front: of Weir's own
  };

  Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { drop_stash(); }

  bool empty() const { return held_ == 0; }
  Stash* stash() const { return is_stash() ? reinterpret_cast<Stash*>(held_ & ~kIsStash) : nullptr; }
  Pipe* pipe() const { return is_stash() ? nullptr : reinterpret_cast<Pipe*>(held_); }

  /// Only when it holds nothing.
  void hold(std::unique_ptr<Pipe> pipe) { held_ = reinterpret_cast<std::uintptr_t>(pipe.release()); }
  void hold(std::unique_ptr<Stash> stash) {
    held_ = reinterpret_cast<std::uintptr_t>(stash.release()) | kIsStash;
  }
  /// Null when it holds none.
  std::unique_ptr<Pipe> take_pipe() {
    return std::unique_ptr<Pipe>(is_stash() ? nullptr : reinterpret_cast<Pipe*>(std::exchange(held_, 0)));
  }
  void drop_stash() {
    if (is_stash()) delete reinterpret_cast<Stash*>(std::exchange(held_, 0) & ~kIsStash);
  }

 private:
  static constexpr std::uintptr_t kIsStash = 1;  // no object begins at an odd address
  bool is_stash() const { return (held_ & kIsStash) != 0; }

  std::uintptr_t held_ = 0;
};

/// Moves bytes one way between two sockets that it borrows: in order, once, no more in hand than one read or
/// one pipe. Knows no loop and no policy: it is told of events and asked to run. It remembers the readiness
/// of both ends, since their sockets are registered edge-triggered.
///
/// Small reads are copied through the worker's one warm buffer; a flow that fills it twice in a row is
/// spliced through a pipe from then on, where splice is to be had. An idle pump holds no buffer and no pipe.
///
/// One whose sink does not take everything leaves the bytes with the source's kernel: what the sink might not
/// take is peeked at, and only what was written is read. So a stalled reader costs kSmallRead at most, unless
/// it stalls in the very read that its own last event made look safe.
class Pump {
 public:
  enum class Outcome : std::uint8_t {
    Waiting,       ///< for an event of one of the ends, or for memory: starved()
    OutOfBudget,   ///< has more to do: run it again next turn
    Drained,       ///< the source has finished and every byte has been handed to the sink's kernel
    SourceFailed,  ///< the same, but the source ended with source_error()
    SinkFailed     ///< what is still in hand cannot be delivered: sink_error()
  };

  /// The bytes of one run(): what a large pipe takes.
  static constexpr std::size_t kBudgetBytes = PipePool::kLargePipeBytes;

  Pump() = default;
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  void on_source_events(std::uint32_t seen);
  void on_sink_events(std::uint32_t seen);
  /// The sink is new: connected, writable, and without TCP_NODELAY, which is set when a second write makes it
  /// matter.
  void on_fresh_sink();
  /// For the sink, before anything of the source's that has yet to be read. `uncounted` of the bytes, in
  /// front, are not the source's.
  void put_first(std::vector<std::byte> bytes, std::size_t uncounted);
  /// So many bytes of the source have gone to the sink before.
  void count_sent(std::size_t bytes) {
    delivered_bytes_ += bytes;
    touched_ = true;
  }
  /// The sink is to be another: what was learnt of the last one says nothing about it.
  void forget_sink();
  /// The source is another, or is to be: the same.
  void on_fresh_source(Source kind);
  void read_to_end() { readable_ = read_to_end_ = true; }
  /// An event says that there is something to read.
  bool may_read() const { return readable_ && !urgent_; }
  /// A read elsewhere that leaves room has taken all that there was.
  bool short_read_is_last() const {
    return short_read_empties(source_kind_) && !read_to_end_ && !fin_arrived_;
  }
  void source_is_empty() { readable_ = false; }
  /// From now on reads and drops: the sink is gone, and the source is to be heard out.
  void discard(PipePool& pipes);
  /// Records that the sink is gone, learnt elsewhere.
  void fail_sink(int error) { sink_error_ = static_cast<std::int16_t>(error); }

  /// run() would find nothing to do, nor to give back.
  bool stands_still() const { return !readable_ && !starved_ && held_.empty() && flows(); }
  /// Both ends go on, and no memory is awaited.
  bool is_calm() const { return flows() && !starved_; }
  /// Neither end has finished or failed, as far as is known.
  bool flows() const { return !finished_ && source_error_ == 0 && sink_error_ == 0; }
  /// Moves what can be moved within the budget.
  Outcome run(int source, int sink, PumpContext& context);
  /// Gives back what it holds. Before destruction.
  void release(PipePool& pipes) {
    if (!held_.empty()) give_back(pipes);
  }

  /// That the kernel is to say that there is something to be read only once it is so much, or the end: less
  /// waits until unmark(). Taken away by run() when the flow is no bulk any more. False: this cannot be had.
  /// Measured, like Flows::kFastBytes: with more, what a few flows have under way no longer stays in the
  /// processor's cache.
  static constexpr int kMarkBytes = 128 * 1024;
  bool mark(int source);
  void unmark(int source);
  bool has_mark() const { return marked_; }

  /// It fills every read: where others wait too, it can.
  bool bulk() const { return bulk_; }
  /// The source's FIN is in the kernel's queue, behind its last byte.
  bool source_fin_arrived() const { return fin_arrived_; }
  /// No byte of the source has been read.
  bool untouched() const { return !touched_; }
  Source source_kind() const { return source_kind_; }
  bool source_finished() const { return finished_; }
  int source_error() const { return source_error_; }
  int sink_error() const { return sink_error_; }
  /// The last run() stopped for want of memory, which passes without an event: run it again after a while.
  bool starved() const { return starved_; }
  std::uint64_t delivered_bytes() const { return delivered_bytes_; }
  bool holds_bytes() const {
    return held_.stash() != nullptr || (held_.pipe() != nullptr && held_.pipe()->bytes > 0);
  }
  /// Of ours, not of the kernel's.
  std::size_t stashed_bytes() const { return held_.stash() != nullptr ? held_.stash()->bytes.capacity() : 0; }

 private:
  Outcome move(int source, int sink, PumpContext& context);
  void copy(int source, int sink, PumpContext& context);
  void deliver_read(int sink, std::span<const std::byte> bytes, PumpContext& context);
  void deliver_peeked(int source, int sink, std::span<std::byte> bytes, bool full);
  void splice_in(int source, int sink, PumpContext& context, std::size_t most);
  void flush(int sink, PumpContext& context);
  void flush_pipe(int sink, PumpContext& context);
  void pipe_to_stash(PipePool& pipes);
  std::size_t write(int sink, std::span<const std::byte> bytes);
  void give_back(PipePool& pipes);
  void give_pipe(PipePool& pipes);
  void on_read(std::size_t bytes, bool full);
  void on_full_read(int sink, bool full);
  void on_read_failure(int error);
  void on_write_failure(int error);
  bool source_over() const { return finished_ || source_error_ != 0; }

  std::uint64_t delivered_bytes_ = 0;
  Held held_;
  std::int16_t source_error_ = 0;  ///< an errno; Linux has none above 4095
  std::int16_t sink_error_ = 0;
  std::uint8_t full_reads_ = 0;  ///< in a row, while copying; small reads in a row, while splicing
  Source source_kind_ : 1 = Source::Tcp;
  bool readable_ : 1 = false;
  bool finished_ : 1 = false;
  bool starved_ : 1 = false;
  bool writable_ : 1 = false;
  bool read_to_end_ : 1 = false;  ///< a short read does not mean empty: only EAGAIN does
  bool urgent_ : 1 = false;       ///< out-of-band data is in the queue: splice does not get past it
  bool fin_arrived_ : 1 = false;  ///< and nothing else: a short read means the end
  bool bulk_ : 1 = false;
  bool paced_ : 1 = false;  ///< TCP_NOTSENT_LOWAT is set on the sink
  bool discarding_ : 1 = false;
  bool sink_needs_nodelay_ : 1 = false;
  bool roomy_ : 1 = false;       ///< nothing has been written since the sink said it has room
  bool slow_sink_ : 1 = false;   ///< the last write to it was short
  bool large_read_ : 1 = false;  ///< the last one brought more than kSmallRead
  bool touched_ : 1 = false;
  bool marked_ : 1 = false;  ///< SO_RCVLOWAT is set on the source
};

}  // namespace weir
