// What has happened: asked for later, over an upgrade too, and said in the log when it begins and ends.
#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/operated.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// The texts of the events that `weir events` tells.
std::vector<std::string> texts(const nlohmann::json& answer) {
  std::vector<std::string> out;
  for (const auto& event : answer.at("events")) out.push_back(event.at("text"));
  return out;
}

}  // namespace

TEST_CASE("what has happened to a backend is told in its order, with who and what was changed") {
  SimpleConfig config;
  config.health =
      "probe = \"tcp\"\ninterval = \"50ms\"\nfast_interval = \"20ms\"\ntimeout = \"1s\"\nfall = 1\nrise = 1";
  Operated weir(lettered(2), config);
  REQUIRE(weir.status({"drain", "web/a", "--comment", "new disk"}) == 0);
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  REQUIRE(weir.status({"weight", "web/b", "7"}) == 0);
  weir.backend(1).stop_listening();
  REQUIRE(eventually([&] { return weir.backend_status("b").at("health") == "down"; }));
  weir.config.backends[1].more = "weight = 3";
  REQUIRE(weir.reload().status == 0);
  const auto of_a = texts(weir.answer({"events", "web/a"}));
  REQUIRE(of_a.size() >= 2);
  CHECK_THAT(of_a[of_a.size() - 2],
             Contains("enabled → drained by an operator (") && Contains(": new disk)"));
  CHECK_THAT(of_a.back(), Contains("drained → enabled by an operator"));
  const auto all = weir.get("events").at("events");
  const auto reload = std::ranges::find(all, "reload", [](const auto& event) { return event.at("kind"); });
  REQUIRE(reload != all.end());
  CHECK(reload->at("by") != "");
  CHECK(reload->at("changes").dump().find("web/b") != std::string::npos);
  CHECK_THAT(weir.cli({"events", "--limit", "1"}).out, Contains("reloaded"));
  const auto page = weir.cli({"status", "web/b"}).out;
  CHECK_THAT(page, Contains("web/b") && Contains("up → down") && Contains("failed connects"));
}

TEST_CASE("events of a name that nobody has is an error that offers the nearest one") {
  Operated weir(lettered(2));
  const auto [name, near] = GENERATE(table<std::string, std::string>(
      {{"wbe", "web"}, {"web/x", "web/"}, {"none/a", "none"}, {"web/nob*", "web/nob*"}}));
  const Finished events = weir.cli({"events", name});
  CHECK(events.status == 3);
  CHECK(events.out.empty());
  CHECK_THAT(events.err, Contains(near));
  CHECK(weir.status({"events", "web/a"}) == 0);
  CHECK(weir.status({"events", "web/*"}) == 0);
}

TEST_CASE("events of a backend that has left are still told") {
  Operated weir(lettered(2));
  REQUIRE(weir.status({"add", "web", "late", "127.0.0.1:9"}) == 0);
  REQUIRE(weir.reload().status == 0);  // it is gone
  CHECK(texts(weir.answer({"events", "web/late"})).size() == 1);
  std::this_thread::sleep_for(20ms);
  CHECK(texts(weir.answer({"events", "web/late", "--since", "1ms"})).empty());
}

TEST_CASE("events outlive an upgrade, which is one of them") {
  Upgradable weir(lettered(2));
  REQUIRE(weir.cli({"drain", "web/a"}).status == 0);
  weir.upgrade();
  const auto all = texts(weir.get("events"));
  CHECK(std::ranges::any_of(all, [](const auto& text) { return text.find("enabled → drained") == 0; }));
  CHECK(std::ranges::any_of(all, [](const auto& text) { return text.find("upgraded: took over") == 0; }));
}

TEST_CASE("a limit that is reached is said once when it begins and once when it has ended") {
  SimpleConfig config;
  const bool of_listener = GENERATE(false, true);
  if (of_listener)
    config.listener = "max_connections = 4";
  else
    config.global = "max_connections = 4";
  Operated weir(lettered(1), config);
  {
    std::vector<Stream> held;
    for (int i = 0; i < 12; ++i) held.push_back(weir.connect());
    CHECK(weir.says("max_connections (4) reached: new clients wait"));
    std::this_thread::sleep_for(2s);
  }
  REQUIRE(weir.process().wait_for_err("max_connections (4) reached no more", patient(30s)));
  const auto log = weir.log();
  const auto first = log.find("(4) reached: new");
  CHECK(log.find("(4) reached: new", first + 1) == std::string::npos);
  CHECK((log.find("listener web: max_connections") != std::string::npos) == of_listener);
}
