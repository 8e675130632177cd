#pragma once

#include <atomic>
#include <cstdint>

namespace weir {

/// The process's ledger of descriptors: what is taken here is there to be had. It holds the limit on open
/// files less a reserve, from which control, checker, probes, admin API, logs and upgrades draw without
/// asking: they run however short everything is. Sessions and pipes ask. Any thread; lock-free.
class Descriptors {
 public:
  /// A session's: its client's and its backend's.
  static constexpr std::uint64_t kOfSession = 2;
  static constexpr std::uint64_t kOfPipe = 2;
  static constexpr std::uint64_t kOfHedge = 1;

  /// As many as anybody wants, until set().
  Descriptors() = default;
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  /// `limit`: files that the process may have open; `reserve`: those of them that are not for sessions and
  /// pipes. More than that may be taken already: then nobody gets any until enough have been given back.
  void set(std::uint64_t limit, std::uint64_t reserve) {
    capacity_.store(limit > reserve ? limit - reserve : 0);
  }

  /// Whether take_for_session() would work now.
  bool has_for_session() const { return taken_.load() + kOfSession <= capacity_.load(); }
  /// Both of a session's or none.
  bool take_for_session() { return take(kOfSession, 0); }
  /// Pipes are a comfort: an eighth of all is left to sessions.
  bool take_for_pipe() { return take(kOfPipe, capacity_.load(std::memory_order_relaxed) / 8); }
  /// A session's third one, while it hedges: a comfort, too.
  bool take_for_hedge() { return take(kOfHedge, capacity_.load(std::memory_order_relaxed) / 8); }
  void give(std::uint64_t count) { taken_.fetch_sub(count); }

  std::uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }
  std::uint64_t capacity() const { return capacity_.load(std::memory_order_relaxed); }

 private:
  /// `spare`: how many must be left after it.
  bool take(std::uint64_t count, std::uint64_t spare) {
    std::uint64_t seen = taken_.load();
    const std::uint64_t capacity = capacity_.load();
    while (capacity >= count + spare && seen <= capacity - count - spare)
      if (taken_.compare_exchange_weak(seen, seen + count)) return true;
    return false;
  }

  alignas(64) std::atomic<std::uint64_t> taken_{0};
  alignas(64) std::atomic<std::uint64_t> capacity_{UINT64_MAX};
};

}  // namespace weir
