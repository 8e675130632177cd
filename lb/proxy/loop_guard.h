#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "lb/balance/backend.h"
#include "lb/base/address.h"

namespace weir {

/// Finds backends that lead back to Weir where no address tells beforehand: through a packet filter's
/// redirect or another host's NAT. A client whose address is that of one of our own sockets to a backend
/// comes from that backend; but a local client may have the same address by chance, for the kernel gives one
/// port to several sockets that connect to different places, each in a sequence of its own, and the sequences
/// overtake each other. So a loop is what happens again and again: of the connects to one backend most come
/// back, at once, and before the backend has said anything: what is behind it is Weir, which speaks only
/// after somebody else has.
///
/// A sample of the connects of each worker is shown here. The first one that comes back makes its backend
/// suspect: from then on every connect to it is shown. When kProof of them, and at least half, have come
/// back, it leads back for kLoopingFor: whoever comes back from it meanwhile is to be reset.
///
/// Blind to what has been given another source address on its way (another proxy, masquerading) and to unix
/// sockets, whose clients have no address.
///
/// Shared by all workers; lock-free, of fixed size. What a race may cost is a connect that is not counted.
class LoopGuard {
 public:
  static constexpr std::uint32_t kProof = 64;
  static constexpr std::uint64_t kLoopingForMs = 60'000;
  /// How long a suspicion has time to be proved.
  static constexpr std::uint64_t kSuspectForMs = 5'000;
  /// How long after its connect a session is taken for one that comes back: a network's round trip and a
  /// worker's turn.
  static constexpr std::uint64_t kShownForMs = 50;
  /// Of each worker, beside those to suspects: the system call costs 0.1 µs.
  static constexpr std::uint64_t kSamplesPerSecond = 100;

  /// Where the connects from a port are shown: its low bits.
  using Slot = std::uint8_t;
  static constexpr Slot slot_of(std::uint16_t port) { return static_cast<Slot>(port); }

  /// `on_loop` is called on the thread that has found it, once for each time a backend is found; must not
  /// block.
  explicit LoopGuard(std::function<void(BackendId)> on_loop);

  /// One worker's hands on it; on that worker's thread.
  class Watch {
   public:
    explicit Watch(LoopGuard& guard) : guard_(guard) {}

    /// A connect to this backend has been started on `fd`, whichever way it will end. Where it has been
    /// shown: to be withdrawn when the backend speaks or the socket closes.
    std::optional<Slot> connecting(BackendId backend, int fd, std::uint64_t now_ms) {
      if (!take_sample(now_ms) && !guard_.is_suspect(backend, now_ms)) return std::nullopt;
      return show(backend, fd, now_ms);
    }
    void withdraw(Slot slot) { guard_.withdraw(slot); }
    /// Whether a client that has just been accepted comes from ourselves, through a backend that leads back:
    /// to be reset.
    bool comes_back(const ClientAddress& client, std::uint64_t now_ms) {
      return guard_.any_shown_.load(std::memory_order_relaxed) && guard_.comes_back(client, now_ms);
    }

   private:
    bool take_sample(std::uint64_t now_ms);
    std::optional<Slot> show(BackendId backend, int fd, std::uint64_t now_ms);

    LoopGuard& guard_;
    std::uint64_t second_ends_ms_ = 0;
    std::uint64_t samples_left_ = 0;
  };

  // For Watch, and for tests.

  bool is_suspect(BackendId backend, std::uint64_t now_ms);
  void show(BackendId backend, const ClientAddress& own, std::uint64_t now_ms);
  bool comes_back(const ClientAddress& client, std::uint64_t now_ms);
  /// Another one's may go in its place: a connect that is not counted.
  void withdraw(Slot slot) { shown_[slot].key.store(0, std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kSuspects = 16;

  struct Shown {
    std::atomic<std::uint64_t> key{0};  ///< 0 = empty
    std::atomic<BackendId> backend{0};
    std::atomic<std::uint64_t> at_ms{0};
  };
  struct Suspect {
    std::atomic<BackendId> backend{0};  ///< 0 = free
    std::atomic<std::uint64_t> until_ms{0};
    std::atomic<std::uint32_t> shown{0};
    std::atomic<std::uint32_t> back{0};
    std::atomic<bool> looping{false};
  };

  std::uint64_t key_of(const ClientAddress& address) const;
  Suspect* find(BackendId backend, std::uint64_t now_ms);
  Suspect* suspect(BackendId backend, std::uint64_t now_ms);

  const std::function<void(BackendId)> on_loop_;
  const std::uint64_t seed_;  ///< of the keys, so that no client can choose one
  std::atomic<bool> any_shown_{false};
  std::atomic<bool> any_suspect_{false};
  std::array<Shown, 256> shown_;  ///< by Slot
  std::array<Suspect, kSuspects> suspects_;
};

}  // namespace weir
