// Backends that are probed in a way of their own.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

constexpr auto kQuick = "interval = \"100ms\"\nfast_interval = \"50ms\"\nrise = 1\nfall = 2";

std::string own(const std::string& keys) {
  return "[pool.backend.health]\n" + keys;
}

/// Backends "a", "b", …; `keys` are those of the health of "a".
SimpleConfig with_own(const std::string& keys) {
  SimpleConfig config;
  config.health = kQuick;
  config.backends = {{"a", "", own(keys)}};
  return config;
}

bool becomes(const Operated& weir, const std::string& name, const std::string& health) {
  return eventually([&] { return weir.backend_status(name).at("health") == health; });
}

std::string port_of(const FakeBackend& backend) {
  return fmt::format("port = {}", backend.port());
}

}  // namespace

TEST_CASE("a backend with a port of its own is probed there, and the others of its pool at theirs") {
  FakeBackend probed;
  Operated weir(lettered(2), with_own(port_of(probed)));
  REQUIRE(becomes(weir, "a", "up"));
  REQUIRE(becomes(weir, "b", "up"));
  probed.stop_listening();
  CHECK(becomes(weir, "a", "down"));
  CHECK(weir.letters(4) == "bbbb");
  probed.listen_again();
  CHECK(becomes(weir, "a", "up"));
  CHECK(eventually([&] { return weir.letters(2).find('a') != std::string::npos; }));
}

TEST_CASE("a backend is probed at another address, and its sessions go to its own") {
  FakeBackend probed;
  Operated weir(lettered(1), with_own(fmt::format("address = \"{}\"", probed.address())));
  REQUIRE(becomes(weir, "a", "up"));
  CHECK(weir.letters(1) == "a");
  CHECK(weir.backend().accepted() == 1);
  probed.stop_listening();
  CHECK(becomes(weir, "a", "down"));
}

TEST_CASE("a backend that alone is probed comes back by its probe, and the others by their sessions") {
  SimpleConfig config = with_own("probe = \"tcp\"");
  // Longer than it takes a slow machine to look.
  config.health = "probe = \"none\"\neject_for = \"10m\"";
  config.backends[0].more += "\ninterval = \"100ms\"\nfall = 1\nrise = 1";
  Operated weir(lettered(2), config);
  REQUIRE(becomes(weir, "a", "up"));
  weir.backend(0).stop_listening();
  CHECK(becomes(weir, "a", "down"));
  CHECK_THAT(weir.backend_status("a").at("reason").get<std::string>(), Contains("(tcp)"));
  weir.backend(1).stop_listening();
  for (int i = 0; i < 3; ++i) weir.connect().recv_to_end();
  // Only the one that no probe has found down is used as the last one.
  CHECK(eventually([&] { return weir.backend_status("b").at("health") == "down"; }));
  CHECK(weir.backend_status("a").at("eligible") == false);
  CHECK(weir.backend_status("b").at("eligible") == true);
}

TEST_CASE("what a backend's probe has of its own is in the status, and in what a reload says") {
  FakeBackend probed;
  Operated weir(lettered(2), with_own(port_of(probed)));
  REQUIRE(becomes(weir, "a", "up"));
  const auto since = weir.backend_status("a").at("since");
  CHECK(weir.backend_status("a").at("own_probe") ==
        nlohmann::json{{"health.port", fmt::format("{}", probed.port())}});
  CHECK_FALSE(weir.backend_status("b").contains("own_probe"));
  CHECK_THAT(weir.cli({"status", "web/a"}).out,
             Contains(fmt::format("own probe        port {}", probed.port())));

  const std::string change = fmt::format("~ web/a health.port {}→{}", probed.port(), weir.backend(1).port());
  weir.config.backends[0].more = own(port_of(weir.backend(1)));
  weir.write_config();
  CHECK_THAT(weir.cli({"check", "--diff", "-c", weir.weir().config_file()}).out, Contains(change));
  const Finished reload = weir.reload();
  probed.stop_listening();
  CHECK_THAT(reload.out, Contains(change) && !Contains("web/b"));
  // As with a pool's key: known to be well until the new probe says otherwise.
  CHECK(weir.backend_status("a").at("health") == "up");
  CHECK(weir.letters(2).find('a') != std::string::npos);
  std::this_thread::sleep_for(500ms);
  CHECK(weir.backend_status("a").at("since") == since);

  weir.config.backends[0].more = "";
  CHECK_THAT(weir.reload().out, Contains(fmt::format("~ web/a health.port {}→0", weir.backend(1).port())));
}

TEST_CASE("a key of the pool's health that its backends take over is told once") {
  Operated weir(lettered(2), with_own("fall = 4"));
  weir.config.health = std::string(kQuick) + "\ntimeout = \"3s\"";
  const Finished reload = weir.reload();
  CHECK_THAT(reload.out, Contains("~ pool web health.timeout 1s→3s") && !Contains("web/a"));
}

TEST_CASE("what is known of a backend goes with its address and its own probe to another name") {
  FakeBackend probed;
  Operated weir(lettered(1), with_own(port_of(probed)));
  REQUIRE(becomes(weir, "a", "up"));
  probed.stop_listening();
  weir.backend().stop_listening();
  REQUIRE(becomes(weir, "a", "down"));
  weir.config.backends[0].name = "renamed";
  REQUIRE(weir.reload().status == 0);
  CHECK(weir.backend_status("renamed").at("health") == "down");
  // By another probe nothing is known.
  probed.listen_again();
  REQUIRE(becomes(weir, "renamed", "up"));
  weir.config.backends[0].name = "again";
  weir.config.backends[0].more = "";
  REQUIRE(weir.reload().status == 0);
  CHECK(becomes(weir, "again", "down"));
}

TEST_CASE("a fault in a backend's health keys refuses the reload with its place") {
  Operated weir(lettered(1), with_own("fall = 4"));
  weir.config.backends[0].more = own("fal = 4");
  const Finished reload = weir.reload();
  CHECK(reload.status == 1);
  CHECK_THAT(reload.err, Contains("unknown key \"pool.backend.health.fal\": did you mean \"fall\"?"));
}
