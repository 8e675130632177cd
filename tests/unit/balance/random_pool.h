#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/unit/balance/group.h"

namespace weir {

/// A small pool in any state that there is: backends up, down, ejected, on trial, drained, full; some of them
/// tried; others before a newcomer in the queue. The same one for the same `seed`.
class RandomPool {
 public:
  RandomPool(const std::string& policy, std::uint32_t seed) : random_(seed), group(policy) {
    group.settings.try_all_when_down = one_in(5);
    group.settings.queue = below(3);
    if (one_in(3)) group.settings.terms.hash_bound = 1.25;
    const std::uint32_t members = 1 + below(6);
    for (std::uint32_t i = 0; i < members; ++i) add("b" + std::to_string(i));
    group.build();
    for (const Backend& backend : group.backends) {
      if (!one_in(4)) continue;
      tried_.push_back(backend.id());
      if (one_in(3)) full_.push_back(backend.id());
    }
    if (one_in(4)) group.queue->join(group.settings.queue, one_in(2), nobody_);
  }

  /// Of a session that comes now.
  PickInput newcomer() const { return {.client = client_number(7), .tried = {}}; }
  /// Of one that has looked for a backend already.
  PickInput experienced() const {
    return {.client = client_number(7), .tried = tried_, .now_ms = 0, .full = full_};
  }

 private:
  class Nobody final : public RoomWatcher {
   public:
    void on_room(std::uint32_t) override {}
  };

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

  void add(const std::string& name) {
    Backend& backend = group.add(name, 1 + below(3), one_in(4));
    backend.unprobed = !one_in(4);
    if (one_in(8)) backend.admin = Admin::Drained;
    switch (below(5)) {
      case 0:
        backend.health = Health::Down;
        break;
      case 1:
        backend.on_trial = backend.unprobed;
        backend.load->trial_taken = backend.on_trial && one_in(2);
        break;
      case 2:
        if (backend.unprobed || !one_in(2)) break;
        backend.health = Health::Unknown;
        backend.undecided = true;
        break;
      default:
        break;
    }
    group.limit(name, below(3));
    group.fill(name, static_cast<int>(below(3)));
  }

  std::minstd_rand random_;
  Nobody nobody_;  // outlives the group, whose sessions tell it of room
  std::vector<BackendId> tried_, full_;

 public:
  Group group;
};

}  // namespace weir
