// Of threads that only meet by chance, the instants at which one finds what another is about to change hardly
// ever come. Here one thread runs at a time, and before each of its looks at a slot a seed decides who goes
// on.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

#include "lb/admit/client_limits.h"

using namespace weir;

namespace {

class Steps {
 public:
  Steps(unsigned seed, unsigned threads) : random_(seed), turns_(threads) {
    constexpr unsigned kStay[] = {0, 50, 80, 90, 95, 98};
    stay_percent_ = kStay[random_() % std::size(kStay)];
    for (unsigned i = 0; i < threads; ++i) alive_.push_back(i);
  }

  template <class Work>
  void run(Work work) {
    std::vector<std::thread> threads;
    for (const unsigned i : alive_) {
      threads.emplace_back([this, i, &work] {
        turns_[i].turn.acquire();
        current = this;
        own = i;
        work(i);
        std::erase(alive_, own);
        if (!alive_.empty()) turns_[any()].turn.release();
      });
    }
    turns_[any()].turn.release();
    for (auto& thread : threads) thread.join();
  }

  static void step() {
    if (current != nullptr) current->go_on();
  }

 private:
  struct Turn {
    std::binary_semaphore turn{0};
  };

  unsigned any() { return alive_[random_() % alive_.size()]; }
  void go_on() {
    if (random_() % 100 < stay_percent_) return;
    const unsigned next = any();
    if (next == own) return;
    const unsigned mine = own;
    turns_[next].turn.release();
    turns_[mine].turn.acquire();
  }

  static thread_local Steps* current;  ///< none: a thread that nobody watches
  static thread_local unsigned own;

  std::mt19937 random_;
  std::deque<Turn> turns_;
  std::vector<unsigned> alive_;
  unsigned stay_percent_ = 0;
};

thread_local Steps* Steps::current = nullptr;
thread_local unsigned Steps::own = 0;

ClientAddress numbered(std::uint32_t number) {
  return *ClientAddress::parse_ip(fmt::format("10.0.{}.{}", number >> 8, number & 255));
}

constexpr std::uint32_t kClients = 4;
constexpr std::uint32_t kSlots = 4;  ///< of the one bucket

/// Some threads take and give back places of few clients, in a bucket of few slots.
/// Whether any had one session too many, or one is left over.
bool holds(unsigned seed) {
  std::mt19937 random(seed);
  const auto draw = [&random](std::uint32_t from, std::uint32_t to) {
    return from + static_cast<std::uint32_t>(random()) % (to - from + 1);
  };
  const unsigned threads = draw(2, 4);
  const std::uint32_t free_slots = draw(2, 4);
  const std::uint32_t clients = draw(1, kClients);
  const bool has_rate = draw(0, 1) != 0;
  const ClientLimit limit{.sessions = draw(1, 2),
                          .rate = {std::chrono::nanoseconds(has_rate ? 1 : 0), 1'000}};

  ClientLimits limits(1, 0, HashKey{1, 2});
  std::vector<ClientPlace> others;
  for (std::uint32_t i = 0; i < kSlots - free_slots; ++i)
    others.push_back(limits.hold(numbered(256 + i), limit));

  bool good = true;
  std::array<std::uint32_t, kClients> sessions{};
  Steps(seed, threads).run([&](unsigned thread) {
    std::mt19937 own_random(seed * 8 + thread);
    for (auto left = 1 + own_random() % 4; left > 0; --left) {
      const auto of = static_cast<std::uint32_t>(own_random() % clients);
      const Rate::Time now(1'000 + own_random() % 4);
      auto place = limits.admit(numbered(of), limit, now);
      if (!place) continue;
      good &= ++sessions[of] <= limit.sessions;
      for (auto pauses = own_random() % 4; pauses > 0; --pauses) Steps::step();
      --sessions[of];
      place->give_back();
    }
  });
  for (std::uint32_t of = 0; of < kClients; ++of)
    good &= limits.standing(numbered(of), limit, Rate::Time(0)).sessions == 0;
  for (std::uint32_t i = 0; i < kSlots - free_slots; ++i)
    good &= limits.standing(numbered(256 + i), limit, Rate::Time(0)).sessions == 1;
  return good;
}

}  // namespace

namespace weir {

/// What client_limits.cpp calls.
void step();
void step() {
  Steps::step();
}

}  // namespace weir

TEST_CASE("no client has one session more, whoever is stopped before whichever of its steps") {
  for (unsigned seed = 0; seed < 3'000; ++seed) {
    CAPTURE(seed);
    REQUIRE(holds(seed));
  }
}
