// Backends that are ejected or on trial while others are in rotation: whom they serve, and whom not.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/unit/balance/random_pool.h"

using namespace weir;

namespace {

std::string any_kind() {
  return GENERATE("round_robin", "least_connections", "source_hash", "random_two", "least_time", "first");
}

/// "a" with room for one, "b" and "c" without limits; nobody is probed.
struct Unprobed : Group {
  explicit Unprobed(const std::string& kind) : Group(kind, {{"a", 1}, {"b", 1}, {"c", 1}}) {
    for (Backend& backend : backends) backend.unprobed = true;
    limit("a", 1);
  }
  void eject(std::string_view name) { (*this)[name].health = Health::Down; }
  void try_out(std::string_view name, bool taken) {
    (*this)[name].on_trial = true;
    (*this)[name].load->trial_taken = taken;
  }
};

bool waits_for(const Choice& choice, WaitFor what) {
  return choice.kind == Choice::Kind::Wait && choice.wait_for == what;
}

/// Chosen by sessions for whom one in rotation was still to be had, were there room.
bool is_in_rotation(const Backend& backend) {
  return backend.eligible() && !backend.for_one_session();
}

}  // namespace

TEST_CASE("while one in rotation is merely full it is waited for, whoever is held back") {
  Unprobed group(any_kind());
  group.eject("b");
  group.try_out("c", true);
  group.build();
  CHECK(group.pool->choose({}).backend->name == "a");
  group.fill("a", 1);
  CHECK(waits_for(group.pool->choose({}), WaitFor::BackendSlot));
  CHECK(group.pool->pick({}) == nullptr);
  const BackendId held_back[] = {group["b"].id(), group["c"].id()};
  CHECK(waits_for(group.pool->choose({{}, held_back}), WaitFor::BackendSlot));
  const BackendId rotation[] = {group["a"].id()};
  CHECK(group.pool->choose({{}, rotation}).backend->name == "b");
}

TEST_CASE("one in rotation that was full when it was to be taken is waited for, too") {
  Unprobed group(any_kind());
  group.eject("b");
  group.eject("c");
  group.build();
  const BackendId full[] = {group["a"].id()};
  CHECK(waits_for(group.pool->choose({.client = {}, .tried = full, .now_ms = 0, .full = full}),
                  WaitFor::BackendSlot));
}

TEST_CASE("a trial is made while the others are full, by the one session that it takes") {
  Unprobed group(any_kind());
  group.eject("c");
  group.try_out("b", false);
  group.build();
  group.fill("a", 1);
  CHECK(group.pool->choose({}).backend->name == "b");
  for (int i = 0; i < 5; ++i) CHECK(waits_for(group.pool->choose({}), WaitFor::BackendSlot));
}

TEST_CASE("who has tried all others waits for what another session's trial finds") {
  Unprobed group(any_kind());
  group.try_out("b", true);
  group["c"].admin = Admin::Drained;
  group.build();
  const BackendId tried[] = {group["a"].id()};
  CHECK(waits_for(group.pool->choose({{}, tried}), WaitFor::FirstVerdict));
  group["b"].load->trial_taken = false;  // nothing was learnt
  CHECK(group.pool->choose({{}, tried}).backend->name == "b");
  CHECK(group["b"].load->trial_taken);
  const BackendId both[] = {group["a"].id(), group["b"].id()};
  CHECK(group.pool->choose({{}, both}).kind == Choice::Kind::None);
}

TEST_CASE("of many who pick at once one gets the trial") {
  Unprobed group("source_hash");
  group.eject("c");
  group.build();
  const BackendId tried[] = {group["a"].id(), group["c"].id()};
  for (int round = 0; round < 20; ++round) {
    group.try_out("b", false);
    group.build();
    std::atomic<int> ready{0}, got{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
      threads.emplace_back([&] {
        for (++ready; ready < 3;) std::this_thread::yield();
        if (group.pool->choose({client_number(1), tried}).kind == Choice::Kind::Chosen) ++got;
      });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(got == 1);
  }
}

TEST_CASE("nobody held back is chosen while one in rotation is to be had or waited for, in any state") {
  const std::string policy = any_kind();
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    RandomPool random(policy, seed);
    CAPTURE(policy, seed);
    for (const PickInput& input : {random.newcomer(), random.experienced()}) {
      std::vector<const BackendLoad*> taken;
      for (const Backend& backend : random.group.pool->backends())
        if (backend.load->trial_taken) taken.push_back(backend.load.get());
      const Choice choice = random.group.pool->choose(input);
      if (choice.kind != Choice::Kind::Chosen) continue;
      const Backend& chosen = *choice.backend;
      REQUIRE_FALSE(input.has_tried(chosen.id()));
      if (chosen.for_one_session()) {
        REQUIRE(std::ranges::find(taken, chosen.load.get()) == taken.end());
        REQUIRE(chosen.load->trial_taken);
      } else if (!is_in_rotation(chosen)) {
        for (const Backend& other : random.group.pool->backends())
          REQUIRE(
              (!is_in_rotation(other) || (input.has_tried(other.id()) &&
                                          std::ranges::find(input.full, other.id()) == input.full.end())));
      }
    }
  }
}
