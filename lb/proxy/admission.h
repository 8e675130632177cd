#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <tl/expected.hpp>
#include <utility>

#include "lb/balance/listener_load.h"
#include "lb/proxy/descriptors.h"

namespace weir {

/// Why a client is not let in now.
enum class Refusal : std::uint8_t {
  Process,     ///< max_connections of the process
  Listener,    ///< max_connections of the listener
  Descriptors  ///< none are left, or somebody who is in already waits for one
};

class Admission;

/// What one session holds: its place in the process, its listener's place, and two descriptors. Gives all of
/// it back in one place and in one order when it is destroyed: the descriptors first, for a place is free
/// only once they are. Its owner closes the descriptors before. A move-only value; any thread.
class Permit {
 public:
  Permit() = default;
  Permit(Permit&& other) noexcept
      : admission_(std::exchange(other.admission_, nullptr)), listener_(other.listener_) {}
  Permit& operator=(Permit&& other) noexcept {
    if (this != &other) {
      give_back();
      admission_ = std::exchange(other.admission_, nullptr);
      listener_ = other.listener_;
    }
    return *this;
  }
  ~Permit() { give_back(); }

  explicit operator bool() const { return admission_ != nullptr; }
  /// Not of an empty one.
  ListenerLoad& listener() const { return *listener_; }
  inline void give_back();
  /// The same for one that has become no session. Wakes nobody for what nobody can have missed: who has been
  /// refused since `waits` (Admission::waits() before it was asked for) is all.
  inline void give_back_unused(std::uint64_t waits);

 private:
  friend class Admission;
  Permit(Admission& admission, ListenerLoad& listener) : admission_(&admission), listener_(&listener) {}

  Admission* admission_ = nullptr;
  ListenerLoad* listener_ = nullptr;
};

/// Who may come in: the limits on sessions at once, of the process and of each listener, and the descriptors
/// that a session needs. Shared by all workers; lock-free.
///
/// A worker that is refused pauses its listener, says so with wait(), tries once more, and is woken by
/// whoever gives something back next.
class Admission {
 public:
  Admission(std::uint64_t max_sessions, Descriptors& descriptors)
      : descriptors_(descriptors), max_(max_sessions) {}

  /// `wake` lets every worker try again; called on any thread that gives something back while somebody waits.
  /// Before the workers run.
  void wake_by(std::function<void()> wake) { wake_ = std::move(wake); }

  /// Takes all that a session needs, before its accept, or nothing. No count ever shows as taken what no
  /// session gets, but for the moment between a listener's last place, or the last descriptors, going to
  /// another and the process's place being given back: whoever is refused in it is woken.
  tl::expected<Permit, Refusal> admit(ListenerLoad& listener) {
    const std::uint64_t waits = this->waits();
    // Looked at before anything is taken: whoever keeps being refused disturbs nobody.
    if (short_of_descriptors() || !descriptors_.has_for_session()) return refuse(Refusal::Descriptors);
    const std::uint64_t limit = listener.max_connections.load(std::memory_order_relaxed);
    if (limit != 0 && listener.active.load() >= limit) return refuse(Refusal::Listener, &listener);
    if (!take(active_, max_.load(std::memory_order_relaxed))) return refuse(Refusal::Process);
    if (!take(listener.active, limit == 0 ? UINT64_MAX : limit)) {
      active_.fetch_sub(1);
      wake_if_waited_since(waits);
      return refuse(Refusal::Listener, &listener);
    }
    return with_descriptors(listener, waits);
  }
  /// For whom a limit must not keep out: who is in the queue of a listener that closes. Without descriptors
  /// they cannot be served either.
  tl::expected<Permit, Refusal> admit_beyond_limits(ListenerLoad& listener) {
    const std::uint64_t waits = this->waits();
    if (short_of_descriptors() || !descriptors_.has_for_session()) return refuse(Refusal::Descriptors);
    active_.fetch_add(1);
    listener.active.fetch_add(1);
    return with_descriptors(listener, waits);
  }

  /// Announces a paused listener. Sequentially consistent with admit() and with what is given back: either
  /// the next admit() sees what has become free, or whoever frees it sees somebody waiting.
  void wait() {
    waits_.fetch_add(1);
    waiting_.store(true);
  }
  /// How often somebody has begun to wait.
  std::uint64_t waits() const { return waits_.load(); }
  /// To be called after giving back something that a refused one may have wanted; a Permit does by itself.
  void wake_waiting() {
    if (waiting_.load() && waiting_.exchange(false) && !closed_) wake_();
  }
  /// Nobody is woken any more: the workers are going away.
  void close() { closed_ = true; }

  /// Sessions that are in and wait for a descriptor that the kernel did not give: they come before newcomers.
  void descriptor_awaited(bool begins) { awaiting_descriptor_.fetch_add(begins ? 1 : -1); }
  bool short_of_descriptors() const { return awaiting_descriptor_.load() > 0; }

  std::uint64_t active() const { return active_.load(std::memory_order_relaxed); }
  std::uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  void set_max(std::uint64_t max_sessions) { max_.store(max_sessions); }
  Descriptors& descriptors() { return descriptors_; }
  /// How often a client has been kept out for this, but for Refusal::Listener (ListenerLoad::refused): the
  /// same one again, whenever it is tried again.
  std::uint64_t refused(Refusal why) const {
    return (why == Refusal::Descriptors ? refused_for_descriptors_ : refused_at_max_)
        .load(std::memory_order_relaxed);
  }

 private:
  friend class Permit;

  static bool take(std::atomic<std::uint64_t>& count, std::uint64_t limit) {
    std::uint64_t seen = count.load();
    while (seen < limit)
      if (count.compare_exchange_weak(seen, seen + 1)) return true;
    return false;
  }
  tl::expected<Permit, Refusal> with_descriptors(ListenerLoad& listener, std::uint64_t waits) {
    if (descriptors_.take_for_session()) return Permit(*this, listener);
    leave(listener);
    wake_if_waited_since(waits);
    return refuse(Refusal::Descriptors);
  }
  tl::unexpected<Refusal> refuse(Refusal why, ListenerLoad* listener = nullptr) {
    auto& count = why == Refusal::Listener  ? listener->refused
                  : why == Refusal::Process ? refused_at_max_
                                            : refused_for_descriptors_;
    count.fetch_add(1, std::memory_order_relaxed);
    return tl::unexpected(why);
  }
  void leave(ListenerLoad& listener) {
    listener.active.fetch_sub(1);
    active_.fetch_sub(1);
  }
  /// Whoever was refused before the taking that is now undone was not refused for its sake.
  void wake_if_waited_since(std::uint64_t waits) {
    if (this->waits() != waits) wake_waiting();
  }

  Descriptors& descriptors_;
  std::function<void()> wake_;
  alignas(64) std::atomic<std::uint64_t> active_{0};
  alignas(64) std::atomic<std::uint64_t> max_;
  std::atomic<std::int64_t> awaiting_descriptor_{0};
  std::atomic<bool> waiting_{false};
  std::atomic<std::uint64_t> waits_{0};
  std::atomic<std::uint64_t> refused_at_max_{0};
  std::atomic<std::uint64_t> refused_for_descriptors_{0};
  std::atomic<bool> closed_{false};
};

inline void Permit::give_back() {
  Admission* const admission = std::exchange(admission_, nullptr);
  if (admission == nullptr) return;
  admission->descriptors_.give(Descriptors::kOfSession);
  admission->leave(*listener_);
  admission->wake_waiting();
}

inline void Permit::give_back_unused(std::uint64_t waits) {
  Admission* const admission = std::exchange(admission_, nullptr);
  admission->descriptors_.give(Descriptors::kOfSession);
  admission->leave(*listener_);
  admission->wake_if_waited_since(waits);
}

}  // namespace weir
