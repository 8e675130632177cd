#include "lb/balance/rendezvous.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

using namespace weir;

TEST_CASE("every backend ranks every slot once") {
  const unsigned bits = GENERATE(1u, 5u, 16u, 17u);
  const Claim claim("web1", 3, bits);
  const std::uint32_t slots = std::uint32_t{1} << bits;
  std::vector<bool> seen(slots);
  for (std::uint32_t rank = 0; rank < slots; ++rank) {
    const std::uint32_t slot = claim.slot_of(rank);
    REQUIRE(slot < slots);
    REQUIRE_FALSE(seen[slot]);
    REQUIRE(claim.rank_of(slot) == rank);
    seen[slot] = true;
  }
}

TEST_CASE("times grow with the rank and follow the logarithm") {
  const Claim claim("web1", 1, 16);
  std::uint64_t before = 0;
  for (std::uint32_t rank = 0; rank < 65'536; ++rank) {
    const std::uint64_t time = claim.time_of_rank(rank);
    REQUIRE(time > before);
    before = time;
    const double exact = -std::log2(1 - (rank + 0.5) / 65'536);
    REQUIRE(std::abs(std::ldexp(static_cast<double>(time), -56) - exact) < 5e-6);
  }
}

TEST_CASE("twice the weight claims in half the time") {
  const Claim once("web1", 1, 16);
  const Claim twice("web1", 2, 16);
  CHECK(once.time(4711) == 2 * twice.time(4711));
}

TEST_CASE("names that differ in one letter rank the slots independently") {
  const Claim one("web1", 1, 16);
  const Claim two("web2", 1, 16);
  // Among the first 4,096 ranks of one, a sixteenth belong to the first 4,096 of the other: 256 ± 15.
  int both = 0;
  for (std::uint32_t rank = 0; rank < 4096; ++rank) both += two.rank_of(one.slot_of(rank)) < 4096 ? 1 : 0;
  CHECK(both > 180);
  CHECK(both < 332);
}
