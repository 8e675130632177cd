// A session between two sockets that are not real: what tests/fuzz/session_fuzz.cpp looks for at random, by
// seeds that are the same each time.
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "tests/fuzz/session_machine.h"

using namespace weir;

TEST_CASE("whatever two sides do, and whenever, bytes are conserved and a session ends once and for all") {
  std::mt19937 random(20261130);
  for (int seed = 0; seed < 3'000; ++seed) {
    std::vector<std::uint8_t> script(20 + random() % 180);
    for (auto& byte : script) byte = static_cast<std::uint8_t>(random());
    const auto broken = fuzz::run_session_machine(script);
    INFO("seed " << seed << ": " << broken.value_or(""));
    REQUIRE_FALSE(broken);
  }
}
