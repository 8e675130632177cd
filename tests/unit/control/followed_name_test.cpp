#include "lb/control/followed_name.h"

#include <catch2/catch.hpp>

#include "tests/support/port.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

std::vector<Address> addresses(std::initializer_list<const char*> texts) {
  std::vector<Address> out;
  for (const char* text : texts) out.push_back(test::to_address(text));
  return out;
}

NameAnswer found(std::initializer_list<const char*> texts, std::optional<Millis> ttl = 10s) {
  return {.addresses = addresses(texts), .ttl = ttl, .failure = {}, .none_exists = false};
}

NameAnswer failed(bool none_exists = false) {
  return {.addresses = {}, .ttl = {}, .failure = "no name server has answered", .none_exists = none_exists};
}

constexpr const char* kA = "10.0.0.1:0";
constexpr const char* kB = "10.0.0.2:0";
constexpr const char* kC = "10.0.0.3:0";
constexpr const char* kA6 = "[2001:db8::1]:0";
constexpr const char* kB6 = "[2001:db8::2]:0";

/// A name that has been asked for at 0 s and answered so.
FollowedName known(NameAnswer answer) {
  FollowedName name;
  name.want(0s);
  name.asked(0s);
  REQUIRE_FALSE(name.answered(0s, std::move(answer)));
  return name;
}

}  // namespace

TEST_CASE("a name that somebody needs is asked for at once, and by one question only") {
  FollowedName name;
  REQUIRE_FALSE(name.due());
  name.want(5s);
  REQUIRE(name.question_due(5s));
  name.asked(5s);
  name.want(6s);
  REQUIRE_FALSE(name.question_due(100s));
  REQUIRE_FALSE(name.ever_answered());
}

TEST_CASE("a name is asked for again when its time to live is over, within 1 s and 5 min") {
  REQUIRE(*known(found({kA}, 10s)).due() == 10s);
  REQUIRE(*known(found({kA}, 0s)).due() == 1s);
  REQUIRE(*known(found({kA}, 24h)).due() == 5min);
}

TEST_CASE("what this host's own file says is good until there is a reason to ask again") {
  FollowedName name = known(found({kA}, std::nullopt));
  REQUIRE_FALSE(name.due());
  name.want(7s);
  REQUIRE(name.question_due(7s));
}

TEST_CASE("a name is asked for once a second, whoever wants it") {
  FollowedName name = known(found({kA}));
  name.want(200ms);
  name.want(300ms);
  REQUIRE(*name.due() == 1s);
}

TEST_CASE("a reason to ask that comes while a question is open is not lost") {
  FollowedName name;
  name.want(0s);
  name.asked(0s);
  name.want(100ms);
  REQUIRE_FALSE(name.answered(200ms, found({kA}, 60s)));
  REQUIRE(*name.due() == 1s);
}

TEST_CASE("a failure keeps what is known and is asked again after 1, 2, 4 up to 30 s") {
  FollowedName name = known(found({kA, kB}));
  FollowedName::Time now = 0s;
  for (const Millis wait : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    name.asked(now);
    REQUIRE_FALSE(name.answered(now, failed(true)));
    REQUIRE(name.addresses() == addresses({kA, kB}));
    REQUIRE_FALSE(name.failure().empty());
    REQUIRE(*name.due() == now + wait);
    now = *name.due();
  }
  name.asked(now);
  REQUIRE_FALSE(name.answered(now, found({kA, kB})));
  REQUIRE(name.failure().empty());
  name.asked(now + 10s);
  REQUIRE_FALSE(name.answered(now + 10s, failed()));
  REQUIRE(*name.due() == now + 11s);
}

TEST_CASE("the order of equals that a name server turns is no change") {
  FollowedName name = known(found({kA, kB, kC}));
  name.asked(10s);
  REQUIRE_FALSE(name.answered(10s, found({kC, kA, kB})));
  REQUIRE(name.addresses() == addresses({kA, kB, kC}));
}

TEST_CASE("a set that has an address in common with the one before takes its place at once") {
  FollowedName name = known(found({kA, kB}));
  name.asked(10s);
  REQUIRE_FALSE(name.answered(10s, found({kB, kC})));
  REQUIRE(name.addresses() == addresses({kB, kC}));
}

TEST_CASE("a name that moves altogether is tried at its old addresses after the new ones, for 30 s") {
  FollowedName name = known(found({kA}, 300s));
  name.asked(10s);
  REQUIRE_FALSE(name.answered(10s, found({kB}, 300s)));
  REQUIRE(name.addresses() == addresses({kB, kA}));
  REQUIRE(*name.due() == 40s);
  name.tick(39s);
  REQUIRE(name.addresses() == addresses({kB, kA}));
  name.tick(40s);
  REQUIRE(name.addresses() == addresses({kB}));
  REQUIRE(*name.due() == 310s);
}

TEST_CASE("a name that moves after a failure is tried at its old addresses, too") {
  FollowedName name = known(found({kA}, 300s));
  name.asked(10s);
  REQUIRE_FALSE(name.answered(10s, failed()));
  name.asked(11s);
  REQUIRE_FALSE(name.answered(11s, found({kB}, 300s)));
  REQUIRE(name.addresses() == addresses({kB, kA}));
}

TEST_CASE("a name that moves there and back does not list an address twice") {
  FollowedName name = known(found({kA}, 1s));
  name.asked(1s);
  REQUIRE_FALSE(name.answered(1s, found({kB}, 1s)));
  name.asked(2s);
  REQUIRE_FALSE(name.answered(2s, found({kA}, 1s)));
  REQUIRE(name.addresses() == addresses({kA, kB}));
}

TEST_CASE("one family's failure keeps that family's addresses, in their place") {
  const bool none_exists = GENERATE(false, true);
  FollowedName name = known(found({kA6, kA}));
  name.asked(10s);
  REQUIRE(name.answered(10s, found({kB})));
  REQUIRE(name.missing_family() == AddressFamily::V6);
  REQUIRE(name.is_open());
  name.answered_alone(11s, failed(none_exists));
  REQUIRE_FALSE(name.is_open());
  REQUIRE(*name.due() == 21s);
  if (none_exists)
    REQUIRE(name.addresses() == addresses({kB, kA6, kA}));  // altogether different: the old ones stay a while
  else
    REQUIRE(name.addresses() == addresses({kA6, kB}));
}

TEST_CASE("a family that was missing by chance is taken from the second answer") {
  FollowedName name = known(found({kA, kA6}));
  name.asked(10s);
  REQUIRE(name.answered(10s, found({kA})));
  name.answered_alone(10s, found({kB6}));
  REQUIRE(name.addresses() == addresses({kA, kB6}));
}

TEST_CASE("a family that there is no longer is left") {
  FollowedName name = known(found({kA, kA6}));
  name.asked(10s);
  REQUIRE(name.answered(10s, found({kA})));
  name.answered_alone(10s, failed(true));
  REQUIRE(name.addresses() == addresses({kA}));
}

TEST_CASE("what an older process knew of a name stays behind what it has become") {
  FollowedName name;
  name.begin_with(addresses({kA}));
  CHECK(name.addresses() == addresses({kA}));
  CHECK_FALSE(name.ever_answered());
  name.want(0s);
  name.asked(0s);
  REQUIRE_FALSE(name.answered(0s, found({kB})));
  CHECK(name.addresses() == addresses({kB, kA}));
}
