#include "lb/control/pool_verdict.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

/// A letter for each backend: u(p), d(own), ? (undecided), D(rained), X (disabled); B is a backup that is up,
/// b one that is down, S stands in.
std::shared_ptr<const Pool> pool_of(const std::string& letters, bool try_all = false) {
  std::vector<Backend> backends;
  for (const char letter : letters) {
    Backend backend;
    backend.name = std::string(1, letter) + std::to_string(backends.size());
    backend.addresses = {*Address::parse_ip_port("10.0.0.1:80")};
    backend.load = std::make_shared<BackendLoad>(static_cast<BackendId>(backends.size() + 1), "web",
                                                 backend.name, "10.0.0.1:80", 1);
    backend.health = letter == 'd' || letter == 'b' ? Health::Down
                     : letter == '?'                ? Health::Unknown
                                                    : Health::Up;
    backend.undecided = letter == '?';
    backend.admin = letter == 'D' ? Admin::Drained : letter == 'X' ? Admin::Disabled : Admin::Enabled;
    backend.backup = letter == 'B' || letter == 'b';
    backend.stand_in = letter == 'S';
    backends.push_back(std::move(backend));
  }
  PoolSettings settings;
  settings.name = "web";
  settings.balance = "round_robin";
  settings.try_all_when_down = try_all;
  return Pool::build(std::move(settings), std::move(backends), nullptr);
}

}  // namespace

TEST_CASE("how a pool stands is one word") {
  const auto [letters, verdict] = GENERATE(table<std::string, PoolVerdict>({
      {"uu", PoolVerdict::Ok},
      {"uB", PoolVerdict::Ok},
      {"uD", PoolVerdict::Ok},
      {"uX", PoolVerdict::Ok},
      {"ub", PoolVerdict::Ok},
      {"BB", PoolVerdict::Ok},
      {"ud", PoolVerdict::Degraded},
      {"u?", PoolVerdict::Degraded},
      {"?S", PoolVerdict::Degraded},
      {"dB", PoolVerdict::BackupInUse},
      {"?B", PoolVerdict::BackupInUse},
      {"DB", PoolVerdict::BackupInUse},
      {"d?", PoolVerdict::Unknown},
      {"?", PoolVerdict::Unknown},
      {"dd", PoolVerdict::Down},
      {"db", PoolVerdict::Down},
      {"DD", PoolVerdict::Down},
      {"", PoolVerdict::Down},
  }));
  CAPTURE(letters);
  CHECK(to_string(verdict_of(*pool_of(letters))) == to_string(verdict));
}

TEST_CASE("backends that are used although they are down make no pool well") {
  const auto pool = pool_of("dd", true);
  REQUIRE(pool->any_eligible());
  CHECK(to_string(verdict_of(*pool)) == "down");
}

TEST_CASE("how many are up is said with who is missing by somebody's will") {
  CHECK(count_of_up(*pool_of("udDX")) == "1 of 4 up, 1 drained, 1 disabled");
  CHECK(count_of_up(*pool_of("uuS")) == "2 of 2 up");
}
