// What explain says is what a pick does.
#include <catch2/catch.hpp>

#include "tests/unit/balance/random_pool.h"

using namespace weir;

namespace {

/// "b0", "room", "verdict", "nobody".
std::string in_words(const Choice& choice) {
  if (choice.kind == Choice::Kind::Chosen) return choice.backend->name;
  if (choice.kind == Choice::Kind::None) return "nobody";
  return choice.wait_for == WaitFor::BackendSlot ? "room" : "verdict";
}

/// What becomes of a session that comes now: the choice, and the queue.
std::string becomes(const Pool& pool, const PickInput& input) {
  const bool behind_others = pool.limited() && pool.load()->newcomers_wait();
  const std::string chosen = behind_others ? "room" : in_words(pool.choose(input));
  return chosen == "room" && pool.load()->queued() >= pool.settings().queue ? "nobody" : chosen;
}

struct Told {
  std::string choice;
  std::string because;
};
Told told(const Group& group, const PickInput& input = {}) {
  std::vector<std::string> because;
  const Choice choice = group.pool->explain(input, because);
  return {in_words(choice), fmt::format("{}", fmt::join(because, "\n"))};
}

/// "a", which is full, and "b", which is held back.
Group full_and_held_back(bool on_trial) {
  Group group("round_robin", {{"a", 1}, {"b", 1}});
  for (Backend& backend : group.backends) backend.unprobed = true;
  group.limit("a", 1);
  group["b"].health = on_trial ? Health::Up : Health::Down;
  group["b"].on_trial = group["b"].load->trial_taken = on_trial;
  group.build();
  group.fill("a", 1);
  return group;
}

}  // namespace

TEST_CASE("explain says what a pick then does, in whatever state the pool is") {
  const std::string policy =
      GENERATE("round_robin", "least_connections", "source_hash", "random_two", "least_time", "first");
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    RandomPool random(policy, seed);
    for (const PickInput& input : {random.newcomer(), random.experienced()}) {
      const Told foreseen = told(random.group, input);
      CAPTURE(policy, seed, input.tried.size(), foreseen.because);
      REQUIRE(foreseen.choice == becomes(*random.group.pool, input));
      REQUIRE((foreseen.choice != "nobody" || !foreseen.because.empty()));
    }
  }
}

TEST_CASE("a client that would wait beside one who is held back is told so") {
  const bool on_trial = GENERATE(false, true);
  const Group group = full_and_held_back(on_trial);
  const Told newcomer = told(group);
  CHECK(newcomer.choice == "room");
  CHECK_THAT(newcomer.because,
             Catch::Contains("a session would wait for room: up to 100 do, for 5s at most (0 now)"));
}

TEST_CASE("who has tried all others is told of an ejected one, or of whose trial it would wait for") {
  const bool on_trial = GENERATE(false, true);
  const Group group = full_and_held_back(on_trial);
  const BackendId tried[] = {group.backends[0].id()};
  const Told last = told(group, {{}, tried});
  CHECK(last.choice == (on_trial ? "verdict" : "b"));
  CHECK_THAT(last.because,
             Catch::Contains(on_trial ? "b is on trial with another session: what it finds is waited for"
                                      : "b is tried although ejected: nobody in rotation is left"));
}

TEST_CASE("where nobody may wait, or as many do as may, a client is told that it would be reset") {
  Group group = full_and_held_back(false);
  group.settings.queue = 0;
  group.build();
  Told newcomer = told(group);
  CHECK(newcomer.choice == "nobody");
  CHECK_THAT(newcomer.because, Catch::Contains("queue = 0: a session would be reset (end=overloaded)"));
  CHECK_THAT(newcomer.because, !Catch::Contains("would wait"));

  class Nobody final : public RoomWatcher {
    void on_room(std::uint32_t) override {}
  } nobody;
  group.settings.queue = 1;
  group["a"].load->set_max_sessions(2);  // and there is room, but for the one who waits
  group.build();
  REQUIRE(group.queue->join(1, false, nobody) == PoolLoad::Joined::AsFirst);
  newcomer = told(group);
  CHECK(newcomer.choice == "nobody");
  CHECK_THAT(newcomer.because,
             Catch::Contains("the queue is full (1 of 1): a session would be reset (end=overloaded)"));
  group.queue->leave(false);
}
