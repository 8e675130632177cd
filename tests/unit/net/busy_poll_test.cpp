#include "lb/net/busy_poll.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {

BusyPolling automatic() {
  BusyPolling out;
  out.set(BusyPoll::Auto);
  return out;
}

/// Short sleeps until it polls; 0 when it does not within `most`.
int sleeps_until_it_polls(BusyPolling& polling, int most = 2'000) {
  for (int n = 1; n <= most; ++n) {
    polling.on_slept(50us);
    if (polling.polls()) return n;
  }
  return 0;
}

}  // namespace

TEST_CASE("polling begins after eight short sleeps in a row") {
  BusyPolling polling = automatic();
  CHECK_FALSE(polling.polls());
  for (int i = 0; i < 7; ++i) polling.on_slept(199us);
  polling.on_slept(200us);
  CHECK_FALSE(polling.polls());
  CHECK(sleeps_until_it_polls(polling) == 8);
}

TEST_CASE("polling goes on while it meets events, and ends after two windows in vain") {
  BusyPolling polling = automatic();
  sleeps_until_it_polls(polling);
  for (int i = 0; i < 100; ++i) {
    polling.on_vain();
    for (int hits = 0; hits < 3; ++hits) polling.on_hit(10us, 20us);
  }
  CHECK(polling.polls());
  polling.on_vain();
  polling.on_slept(1s);
  CHECK(polling.polls());
  polling.on_vain();
  CHECK_FALSE(polling.polls());
}

TEST_CASE(
    "each time that polling was in vain it takes twice as many sleeps, to 1,024, until it has paid again") {
  BusyPolling polling = automatic();
  for (const int needed : {8, 16, 32, 64, 128, 256, 512, 1'024, 1'024}) {
    CHECK(sleeps_until_it_polls(polling) == needed);
    polling.on_vain();
    polling.on_vain();
  }
  CHECK(sleeps_until_it_polls(polling) == 1'024);
  for (int i = 0; i < 1'023; ++i) polling.on_hit(10us, 20us);
  polling.on_vain();
  polling.on_vain();
  CHECK(sleeps_until_it_polls(polling) == 1'024);
  for (int i = 0; i < 1'024; ++i) polling.on_hit(10us, 20us);
  polling.on_vain();
  polling.on_vain();
  CHECK(sleeps_until_it_polls(polling) == 16);
}

TEST_CASE("polling ends when more than a quarter of it is in vain") {
  BusyPolling polling = automatic();
  sleeps_until_it_polls(polling);
  for (int i = 0; i < 32; ++i) {
    CHECK(polling.polls());
    polling.on_vain();
    polling.on_hit(10us, 20us);
  }
  CHECK_FALSE(polling.polls());
}

TEST_CASE("a loop that works for longer than it waits does not poll") {
  BusyPolling polling = automatic();
  sleeps_until_it_polls(polling);
  for (int i = 0; i < 63; ++i) polling.on_hit(11us, 10us);
  CHECK(polling.polls());
  polling.on_hit(11us, 10us);
  CHECK_FALSE(polling.polls());
  CHECK(sleeps_until_it_polls(polling) == 16);
  for (int i = 0; i < 640; ++i) polling.on_hit(10us, 11us);
  CHECK(polling.polls());
}

TEST_CASE("bulk ends polling, and what was slept before it counts no more") {
  BusyPolling polling = automatic();
  for (int i = 0; i < 7; ++i) polling.on_slept(10us);
  polling.on_bulk();
  CHECK(sleeps_until_it_polls(polling) == 8);
  polling.on_bulk();
  CHECK_FALSE(polling.polls());
  CHECK(sleeps_until_it_polls(polling) == 16);
}

TEST_CASE("off never polls, and always polls instead of sleeping") {
  BusyPolling polling = automatic();
  polling.set(BusyPoll::Off);
  CHECK(sleeps_until_it_polls(polling) == 0);
  CHECK_FALSE(polling.instead_of_sleep());
  polling.set(BusyPoll::Always);
  for (int i = 0; i < 10; ++i) polling.on_vain();
  polling.on_bulk();
  CHECK(polling.polls());
  CHECK(polling.instead_of_sleep());
  polling.set(BusyPoll::Auto);
  CHECK_FALSE(polling.polls());
}
