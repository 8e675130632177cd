#include "lb/proxy/loop_guard.h"

#include <random>

#include "lb/net/socket.h"

namespace weir {
namespace {

/// splitmix64's last step: every bit of the input reaches every bit of the output.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

LoopGuard::LoopGuard(std::function<void(BackendId)> on_loop)
    : on_loop_(std::move(on_loop)), seed_(random_seed()) {}

std::uint64_t LoopGuard::key_of(const ClientAddress& address) const {
  std::uint64_t key = mixed(seed_ ^ address.port());
  std::uint64_t part = address.ip().size();
  for (const std::uint8_t byte : address.ip()) {
    part = (part << 8U) | byte;
    if ((part >> 56U) == 0) continue;
    key = mixed(key ^ part);
    part = 1;
  }
  key = mixed(key ^ part);
  return key == 0 ? 1 : key;
}

LoopGuard::Suspect* LoopGuard::find(BackendId backend, std::uint64_t now_ms) {
  if (!any_suspect_.load(std::memory_order_relaxed)) return nullptr;
  for (Suspect& one : suspects_)
    if (one.backend.load(std::memory_order_relaxed) == backend &&
        now_ms < one.until_ms.load(std::memory_order_relaxed))
      return &one;
  return nullptr;
}

bool LoopGuard::is_suspect(BackendId backend, std::uint64_t now_ms) {
  return find(backend, now_ms) != nullptr;
}

/// Null when there are too many already.
LoopGuard::Suspect* LoopGuard::suspect(BackendId backend, std::uint64_t now_ms) {
  if (Suspect* const known = find(backend, now_ms)) return known;
  for (Suspect& one : suspects_) {
    BackendId before = one.backend.load();
    if (before != 0 && now_ms < one.until_ms.load()) continue;
    if (!one.backend.compare_exchange_strong(before, backend)) continue;
    one.shown.store(0);
    one.back.store(0);
    one.looping.store(false);
    one.until_ms.store(now_ms + kSuspectForMs);
    any_suspect_.store(true, std::memory_order_relaxed);
    return &one;
  }
  return nullptr;
}

void LoopGuard::show(BackendId backend, const ClientAddress& own, std::uint64_t now_ms) {
  if (own.ip().empty()) return;
  if (Suspect* const known = find(backend, now_ms)) known->shown.fetch_add(1, std::memory_order_relaxed);
  Shown& slot = shown_[slot_of(own.port())];
  slot.key.store(0, std::memory_order_relaxed);
  slot.backend.store(backend, std::memory_order_relaxed);
  slot.at_ms.store(now_ms, std::memory_order_relaxed);
  slot.key.store(key_of(own), std::memory_order_release);
  if (!any_shown_.load(std::memory_order_relaxed)) any_shown_.store(true, std::memory_order_relaxed);
}

bool LoopGuard::comes_back(const ClientAddress& client, std::uint64_t now_ms) {
  if (client.ip().empty()) return false;
  Shown& slot = shown_[slot_of(client.port())];
  std::uint64_t key = slot.key.load(std::memory_order_acquire);
  if (key == 0 || key != key_of(client)) return false;
  const BackendId backend = slot.backend.load(std::memory_order_relaxed);
  const std::uint64_t at_ms = slot.at_ms.load(std::memory_order_relaxed);
  if (!slot.key.compare_exchange_strong(key, 0)) return false;
  if (now_ms >= at_ms + kShownForMs) return false;
  Suspect* const one = suspect(backend, now_ms);
  if (one == nullptr) return false;
  const std::uint32_t back = one->back.fetch_add(1) + 1;
  if (!one->looping.load()) {
    if (back < kProof || back * 2 < one->shown.load()) return false;
    if (one->looping.exchange(true)) return true;
    one->until_ms.store(now_ms + kLoopingForMs);
    on_loop_(backend);
  }
  return true;
}

bool LoopGuard::Watch::take_sample(std::uint64_t now_ms) {
  if (now_ms >= second_ends_ms_) {
    second_ends_ms_ = now_ms + 1000;
    samples_left_ = kSamplesPerSecond;
  }
  if (samples_left_ == 0) return false;
  --samples_left_;
  return true;
}

std::optional<LoopGuard::Slot> LoopGuard::Watch::show(BackendId backend, int fd, std::uint64_t now_ms) {
  const ClientAddress own = local_address(fd);
  if (own.ip().empty()) return std::nullopt;
  guard_.show(backend, own, now_ms);
  return slot_of(own.port());
}

}  // namespace weir
