// A backend's own agent: pool.health.agent_port, from outside.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <nlohmann/json.hpp>

#include "tests/support/operated.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// Says its words to whoever connects, and closes.
class FakeAgent {
 public:
  explicit FakeAgent(std::string words)
      : words_(std::move(words)), server_({.script = [this](Stream& stream) {
          const std::lock_guard lock(mutex_);
          stream.send_all(words_);
        }}) {}

  std::uint16_t port() const { return server_.port(); }
  std::size_t asked() const { return server_.accepted(); }
  void say(std::string words) {
    const std::lock_guard lock(mutex_);
    words_ = std::move(words);
  }
  void stop() { server_.stop_listening(); }

 private:
  std::mutex mutex_;
  std::string words_;
  FakeBackend server_;
};

std::string own(const FakeAgent& agent) {
  return fmt::format("[pool.backend.health]\nagent_port = {}", agent.port());
}

SimpleConfig asking(const std::vector<std::string>& own_keys, const std::string& probe = "none") {
  SimpleConfig config;
  config.health = fmt::format("probe = \"{}\"\ninterval = \"50ms\"", probe);
  for (const std::string& keys : own_keys) config.backends.push_back({"", "", keys});
  return config;
}

template <class Weir>
nlohmann::json agent_in(const Weir& weir, std::size_t backend = 0) {
  return weir.get("status")["pools"][0]["backends"][backend].value("agent", nlohmann::json::object());
}
template <class Weir>
bool says(const Weir& weir, const std::string& words) {
  return eventually([&] { return agent_in(weir).value("says", "?") == words; });
}

}  // namespace

TEST_CASE("an agent keeps new sessions away from its backend, and lets them come again") {
  const std::string words = GENERATE("drain\n", "maint\r\n", "0%", "down # disk full\n", "stopped\r\n");
  CAPTURE(words);
  FakeAgent agent("ready up 100%\n");
  Operated weir(lettered(2), asking({own(agent)}, GENERATE("none", "tcp")));
  REQUIRE(eventually([&] { return weir.letters(2).find('a') != std::string::npos; }));
  REQUIRE(eventually([&] { return weir.backend_status("b")["eligible"] == true; }));
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < 4; ++i) held.push_back(hold_session(weir, i));
  agent.say(words);
  REQUIRE(eventually([&] { return agent_in(weir).value("serves", true) == false; }));
  CHECK(weir.letters(4) == "bbbb");
  for (HeldSession& one : held) CHECK(one.stream.echoes("it goes on"));
  CHECK(weir.backend_status("a")["health"] == "up");
  CHECK(weir.backend_status("a")["admin"] == "enabled");
  CHECK(weir.backend_status("a")["eligible"] == false);
  CHECK_THAT(weir.cli({"status"}).out, Contains("up, agent") && Contains("1 out by its agent"));
  CHECK_THAT(weir.cli({"explain", "web", "127.0.0.1"}).out, Contains("its agent says: "));
  CHECK(weir.says("web/a its agent says: "));
  agent.say("ready up 100%\n");
  CHECK(eventually([&] { return weir.letters(2).find('a') != std::string::npos; }));
}

TEST_CASE("an agent's weight is a part of the one in force, and its maxconn a limit beside the file's") {
  FakeAgent agent("50% maxconn:3\n");
  Operated weir(lettered(2), asking({own(agent) + "\n"}));
  REQUIRE(says(weir, "50 %, maxconn:3"));
  const std::string letters = weir.letters(30);
  CHECK(std::count(letters.begin(), letters.end(), 'a') == 10);
  CHECK(weir.backend_status("a")["max_sessions"] == 3);
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < 12; ++i) held.push_back(hold_session(weir, i));
  CHECK(weir.backend_status("a")["active"] == 3);
  REQUIRE(weir.status({"weight", "web/a", "4"}) == 0);
  CHECK(weir.backend_status("a")["weight"] == 4);
  CHECK(weir.backend_status("a")["share_percent"] == 50);
  agent.say("100% maxconn:0\n");
  REQUIRE(says(weir, ""));
  CHECK(weir.backend_status("a")["max_sessions"] == 0);
}

TEST_CASE("an agent that does not answer, or not in its words, has said nothing new, and that is told") {
  FakeAgent agent("drain\n");
  Operated weir(lettered(2), asking({own(agent)}));
  REQUIRE(says(weir, "drain"));
  agent.say("HTTP/1.1 400 Bad Request\r\n");
  REQUIRE(eventually([&] { return agent_in(weir).value("trouble", "") != ""; }));
  CHECK_THAT(agent_in(weir).value("trouble", ""), Contains("HTTP/1.1 400 Bad Request"));
  CHECK(agent_in(weir).value("says", "") == "drain");
  agent.say("50%\n");
  REQUIRE(says(weir, "drain, 50 %"));
  CHECK(agent_in(weir).value("trouble", "?") == "");
  agent.stop();
  REQUIRE(weir.says("web/a its agent: connection refused"));
  CHECK(agent_in(weir).value("says", "") == "drain, 50 %");
  CHECK_THAT(weir.cli({"status"}).out, Contains("agent: connection refused"));
  CHECK(weir.letters(3) == "bbb");
}

TEST_CASE("who is disabled is not asked, and who has no agent any more is as if there had been none") {
  FakeAgent agent("drain\n");
  Operated weir(lettered(2), asking({own(agent)}));
  REQUIRE(says(weir, "drain"));
  REQUIRE(weir.status({"disable", "web/a"}) == 0);
  // One may have been under way.
  std::this_thread::sleep_for(300ms);
  const std::size_t asked = agent.asked();
  std::this_thread::sleep_for(300ms);
  CHECK(agent.asked() == asked);
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  CHECK(eventually([&] { return agent.asked() > asked; }));
  CHECK(weir.letters(2) == "bb");
  weir.config.backends[0].more = "";
  REQUIRE(weir.reload().status == 0);
  CHECK(agent_in(weir).empty());
  CHECK(eventually([&] { return weir.letters(2).find('a') != std::string::npos; }));
}

TEST_CASE("what an agent has said lasts over reloads and upgrades, whether it answers by then or not") {
  FakeAgent agent("drain 30% maxconn:7\n");
  SimpleConfig config = asking({});
  config.health += fmt::format("\nagent_port = {}", agent.port());
  Upgradable weir(lettered(1), config);
  REQUIRE(says(weir, "drain, 30 %, maxconn:7"));
  agent.stop();
  REQUIRE(eventually([&] { return agent_in(weir).value("trouble", "") != ""; }));
  const auto since = agent_in(weir).value("since", "");
  weir.upgrade();
  CHECK(agent_in(weir).value("says", "") == "drain, 30 %, maxconn:7");
  CHECK(agent_in(weir).value("since", "?") == since);
  REQUIRE(weir.cli({"reload"}).status == 0);
  CHECK(agent_in(weir).value("says", "") == "drain, 30 %, maxconn:7");
  const auto backend = weir.get("status")["pools"][0]["backends"][0];
  CHECK(backend["eligible"] == false);
  CHECK(backend["max_sessions"] == 7);
  CHECK(backend["share_percent"] == 30);
}
