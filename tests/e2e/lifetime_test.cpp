// How long a session may live, and how fast it may be.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

SimpleConfig with(std::string pool) {
  SimpleConfig config;
  config.pool = std::move(pool);
  return config;
}

/// Bytes a second of what comes within two seconds, after the first one.
double rate_of(Stream& stream) {
  std::uint64_t bytes = 0;
  const auto begin = Clock::now();
  while (since(begin) < 3s) {
    const std::size_t came = stream.recv_some().size();
    if (since(begin) >= 1s) bytes += came;
  }
  return static_cast<double>(bytes) / 2;
}

}  // namespace

TEST_CASE(
    "a session ends when it has lived as long as it may, busy or idle or half-closed, and not all at once") {
  Rig rig(echoing(1), with("max_lifetime = \"1500ms\""));
  std::vector<Stream> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(rig.connect());
  for (Stream& client : clients) REQUIRE(client.echoes("x"));
  const auto begin = Clock::now();
  Stream& half_closed = clients[1];
  FakeBackend& backend = rig.backend();
  while (since(begin) < 1s) REQUIRE(clients[0].echoes("busy"));
  REQUIRE(backend.open() == 40);
  half_closed.half_close();
  const auto log = rig.weir().wait_for_access(40);
  double least = 1e9, most = 0;
  int lifetimes = 0;
  for (const AccessLine& line : log) {
    if (line["end"] != "lifetime") continue;
    ++lifetimes;
    const double lived = std::stod(std::string(line["duration_ms"]));
    least = std::min(least, lived);
    most = std::max(most, lived);
  }
  CHECK(lifetimes == 39);
  CHECK(least >= 1'350);
  CHECK(most - least > 50);
  CHECK(clients[0].recv_to_end().ending == Ending::Reset);
}

TEST_CASE("each session is paced by itself, to its client and to its backend, copied or spliced") {
  const char* const key = GENERATE("rate_to_client", "rate_to_backend");
  CAPTURE(key);
  const bool down = std::string(key) == "rate_to_client";
  std::atomic<double> measured{0};
  FakeBackendOptions options;
  if (down)
    options.then = Then::Flood;
  else
    options.script = [&](Stream& stream) { measured = rate_of(stream); };
  Rig rig({options}, with(fmt::format("{} = \"2MB\"", key)));
  Stream client = rig.connect();
  if (down) {
    measured = rate_of(client);
  } else {
    const std::string block(65'536, 'x');
    try {
      while (measured == 0) client.send_all(block);
    } catch (const StreamError&) {
    }
  }
  CHECK(measured > 0.9 * 2e6);
  CHECK(measured < 1.1 * 2e6);
}

TEST_CASE("what cannot be paced, and what is no rate, is told at the check") {
  SimpleConfig config = with("rate_to_client = \"1MB\"\nrate_to_backend = \"1MB\"");
  config.bind = "unix:/tmp/weir-paced-client.sock";
  config.backends.push_back({"a", "unix:/tmp/weir-paced-backend.sock"});
  const Finished said = run_weir({"check", "-c", "{}"}, config.toml());
  CHECK(said.status == 1);
  CHECK_THAT(said.err, Catch::Contains(
                           "pool.rate_to_backend: backend \"a\" is on a unix socket, which cannot be paced"));
  CHECK_THAT(
      said.err,
      Catch::Contains("pool.rate_to_client: listener \"web\" is on a unix socket, which cannot be paced"));
}
