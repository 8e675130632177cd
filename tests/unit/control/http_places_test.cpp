#include "lb/control/http_places.h"

#include <catch2/catch.hpp>

using weir::HttpPlaces;
using Phase = HttpPlaces::Phase;
using namespace std::chrono_literals;

namespace {

constexpr HttpPlaces::TimePoint kStart{1'000'000s};
constexpr std::size_t kPlaces = 64;
constexpr int kReserved = 8;
constexpr int kOpen = kPlaces - kReserved;

/// `count` callers, numbers from `first` on, a second apart, the first at kStart.
void arrive(HttpPlaces& places, int first, int count, bool privileged) {
  for (int i = 0; i < count; ++i) {
    const auto arrival = places.arrive(first + i, privileged, kStart + std::chrono::milliseconds(i));
    REQUIRE(arrival.admitted);
    REQUIRE_FALSE(arrival.displaced);
  }
}

}  // namespace

TEST_CASE("whoever has waited longest gives its place to a newcomer") {
  HttpPlaces places(kPlaces);
  arrive(places, 0, kOpen, false);
  places.enter(0, Phase::Request, kStart + 5s);  // its first request has been answered
  const auto arrival = places.arrive(100, false, kStart + 6s);
  CHECK(arrival.admitted);
  CHECK(arrival.displaced == 1);
  const auto next = places.arrive(101, false, kStart + 6s);
  CHECK(next.displaced == 2);
}

TEST_CASE("places that others may not take are there for root and the daemon's user") {
  HttpPlaces places(kPlaces);
  arrive(places, 0, kOpen, false);
  arrive(places, 100, kReserved, true);
  SECTION("when those are gone too, a stranger who waits gives way") {
    const auto arrival = places.arrive(200, true, kStart + 1s);
    CHECK(arrival.admitted);
    CHECK(arrival.displaced == 0);
  }
  SECTION("strangers whose requests are being worked on keep their places") {
    for (int i = 0; i < kOpen; ++i) places.enter(i, Phase::Work, kStart + 1s);
    CHECK(places.arrive(200, true, kStart + 1s).displaced == 100);
    const auto stranger = places.arrive(201, false, kStart + 1s);
    CHECK_FALSE(stranger.admitted);
    CHECK_FALSE(stranger.displaced);
  }
}

TEST_CASE("a stranger displaces nobody who is privileged") {
  HttpPlaces places(kPlaces);
  arrive(places, 0, kPlaces, true);
  const auto stranger = places.arrive(100, false, kStart + 1s);
  CHECK_FALSE(stranger.admitted);
  CHECK_FALSE(stranger.displaced);
  CHECK(places.arrive(101, true, kStart + 1s).displaced == 0);
}

TEST_CASE("who has been displaced counts no more, and is named once") {
  HttpPlaces places(kPlaces);
  arrive(places, 0, kOpen, false);
  REQUIRE(places.arrive(100, false, kStart).displaced == 0);
  CHECK(places.connected() == kOpen + 1);
  CHECK_THAT(places.overdue(kStart + HttpPlaces::kRequestTime), !Catch::VectorContains(0));
  places.leave(0);
  CHECK(places.connected() == kOpen);
}

TEST_CASE("a request and the taking of an answer have a time each, and work has none") {
  HttpPlaces places(kPlaces);
  REQUIRE(places.arrive(1, false, kStart).admitted);
  CHECK(places.next_deadline() == kStart + HttpPlaces::kRequestTime);
  CHECK(places.overdue(kStart + HttpPlaces::kRequestTime - 1ms).empty());
  places.enter(1, Phase::Work, kStart + 1s);
  CHECK_FALSE(places.next_deadline());
  CHECK(places.overdue(kStart + 1h).empty());
  places.enter(1, Phase::Answer, kStart + 2s);
  CHECK(places.next_deadline() == kStart + 2s + HttpPlaces::kAnswerTime);
  CHECK(places.overdue(kStart + 2s + HttpPlaces::kAnswerTime) == std::vector<int>{1});
  CHECK(places.overdue(kStart + 1h).empty());
  CHECK_FALSE(places.next_deadline());
}

TEST_CASE("of few places one at least is for root and the daemon's user") {
  CHECK(HttpPlaces::reserved(64) == 8);
  CHECK(HttpPlaces::reserved(4) == 1);
  HttpPlaces places(4);
  arrive(places, 0, 3, false);
  CHECK(places.arrive(10, true, kStart + 1s).admitted);
  CHECK(places.arrive(11, false, kStart + 1s).displaced == 0);
}

TEST_CASE("whoever waits for our work has no deadline, and gives way to a newcomer as all who wait") {
  HttpPlaces places(kPlaces);
  arrive(places, 0, kOpen, false);
  for (int i = 0; i < kOpen; ++i) places.enter(i, Phase::Queue, kStart + std::chrono::seconds(i));
  CHECK_FALSE(places.next_deadline());
  CHECK(places.busy());
  CHECK(places.arrive(100, false, kStart + 1h).displaced == 0);
}

TEST_CASE("who has yet to ask is somebody to wait for, who has been answered is not") {
  HttpPlaces places(kPlaces);
  CHECK_FALSE(places.busy());
  arrive(places, 0, 1, false);
  CHECK(places.busy());
  places.enter(0, Phase::Answer, kStart);
  CHECK(places.busy());
  places.enter(0, Phase::Request, kStart);
  CHECK_FALSE(places.busy());
  places.enter(0, Phase::Work, kStart);
  CHECK(places.busy());
  places.leave(0);
  CHECK_FALSE(places.busy());
}

TEST_CASE("who has been answered and has not asked again is between requests") {
  HttpPlaces places(kPlaces);
  arrive(places, 0, 4, false);
  for (int i = 1; i < 4; ++i) places.enter(i, Phase::Request, kStart);
  places.enter(2, Phase::Answer, kStart);
  places.enter(3, Phase::Stream, kStart);
  CHECK(places.between_requests() == std::vector{1});
  places.leave(1);
  CHECK(places.between_requests().empty());
}

TEST_CASE("a stream that has nothing to say has no deadline and never gives way and is nothing to wait for") {
  HttpPlaces places(kPlaces);
  arrive(places, 0, kOpen, false);
  for (int i = 0; i < kOpen; ++i) places.enter(i, Phase::Stream, kStart);
  CHECK_FALSE(places.next_deadline());
  CHECK_FALSE(places.busy());
  CHECK_FALSE(places.arrive(100, false, kStart + 1h).admitted);
  places.enter(0, Phase::Answer, kStart + 1h);
  CHECK(places.next_deadline() == kStart + 1h + HttpPlaces::kAnswerTime);
}
