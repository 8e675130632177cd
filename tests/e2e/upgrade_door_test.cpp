// Who is let in, who was not, and who still waits, over upgrades.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/admin_client.h"
#include "tests/support/http.h"
#include "tests/support/scraped.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

SimpleConfig asking(std::string listener) {
  SimpleConfig config;
  config.workers = 2;
  config.listener = std::move(listener);
  return config;
}

/// What the next reload or upgrade reads.
void ask_now(Upgradable& weir, std::string listener) {
  SimpleConfig next = weir.rig().config();
  next.listener = std::move(listener);
  write_file(weir.rig().weir().config_file(), next.toml());
}

Stream from(const Upgradable& weir, const std::string& source) {
  return Stream::connect(weir.address(), {.source = to_address(source + ":0")});
}

bool is_served(Stream& client) {
  try {
    return client.recv_exact(1) == "a";
  } catch (const StreamError&) {
    return false;
  }
}

Json turned_away(const Upgradable& weir) {
  return weir.get("status").at("listeners").at(0).at("turned_away");
}

// Patient: on a slow machine a probe of a backend that is well takes its time.
constexpr const char* kProbedOften =
    "probe = \"tcp\"\ninterval = \"100ms\"\ntimeout = \"1m\"\nfall = 1\nrise = 1";

/// Where whoever waits does so for longer than any test.
SimpleConfig waiting(std::string health = "probe = \"none\"", std::string listener = "") {
  SimpleConfig config = asking(std::move(listener));
  config.pool = "queue_timeout = \"10m\"\nconnect_timeout = \"10m\"";
  config.health = std::move(health);
  return config;
}

Json backends(const Upgradable& weir) {
  return weir.get("status").at("pools").at(0).at("backends");
}

/// Instead of backend "a" one at the same address that may have so many sessions.
void limit_first(Upgradable& weir, int most) {
  REQUIRE(weir.cli({"remove", "web/a", "--force"}).status == 0);
  REQUIRE(
      weir.cli({"add", "web", "few", weir.rig().backend(0).address(), "--max-sessions", std::to_string(most)})
          .status == 0);
  REQUIRE(eventually([&] {
    for (const Json& backend : backends(weir))
      if (backend.at("name") == "few") return backend.at("eligible").get<bool>();
    return false;
  }));
}

bool are_queued(const Upgradable& weir, unsigned sessions) {
  return eventually([&] { return weir.get("status").at("pools").at(0).value("queued", 0U) == sessions; });
}

void wait_for_health(const Upgradable& weir, const std::string& name, const std::string& health) {
  REQUIRE(eventually([&] {
    for (const Json& backend : backends(weir))
      if (backend.at("name") == name) return backend.at("health") == health;
    return false;
  }));
}

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("kill --denied judges the sessions of older processes by the newest one's rules") {
  Upgradable weir({{.greeting = "a"}}, asking(""));
  Stream first = from(weir, "127.0.0.2"), second = from(weir, "127.0.0.3"), third = from(weir, "127.0.0.4");
  REQUIRE((is_served(first) && is_served(second) && is_served(third)));
  // More than a request usually has room for.
  std::string deny;
  for (int i = 0; i < 3'500; ++i) deny += fmt::format("2001:db8:{:x}::/48\n", 0x1000 + 2 * i);
  write_file(weir.file("deny"), deny + "127.0.0.2\n");
  const std::string by_file = fmt::format("deny_file = \"{}\"", weir.file("deny"));
  ask_now(weir, by_file);
  weir.upgrade();
  Stream fourth = from(weir, "127.0.0.4");
  REQUIRE(is_served(fourth));
  CHECK(weir.ask({"sessions", "--denied"}).at("sessions").size() == 1);
  CHECK(weir.ask({"kill", "--denied", "--client", "127.0.0.3"}).at("killed") == 0);
  CHECK(weir.ask({"kill", "--denied"}).at("killed") == 1);
  CHECK(first.recv_to_end().ending == Ending::Reset);
  CHECK(second.echoes("let in still"));
  // Over two processes, by what the last of three reads.
  ask_now(weir, "deny = [\"127.0.0.4\"]");
  weir.upgrade();
  CHECK(weir.ask({"sessions", "--denied"}).at("sessions").size() == 2);
  CHECK(weir.ask({"kill", "--denied"}).at("killed") == 2);
  CHECK(third.recv_to_end().ending == Ending::Reset);
  CHECK(fourth.recv_to_end().ending == Ending::Reset);
  CHECK(second.echoes("and still"));
  ask_now(weir, "proxy_from = [\"127.0.0.9\"]");
  REQUIRE(weir.cli({"reload"}).status == 0);
  CHECK(weir.ask({"kill", "--denied"}).at("killed") == 1);
}

TEST_CASE("kill --denied spares those whom only the older process would not let in") {
  Upgradable weir({{.greeting = "a"}}, asking(""));
  Stream client = from(weir, "127.0.0.2");
  REQUIRE(is_served(client));
  ask_now(weir, "deny = [\"127.0.0.2\"]");
  REQUIRE(weir.cli({"reload"}).status == 0);
  REQUIRE(weir.ask({"sessions", "--denied"}).at("sessions").size() == 1);
  ask_now(weir, "");
  weir.upgrade();
  CHECK(weir.ask({"sessions", "--denied"}).at("sessions").empty());
  CHECK(weir.ask({"kill", "--denied"}).at("killed") == 0);
  CHECK(client.echoes("still there"));
}

TEST_CASE(
    "who was turned away stays counted over an upgrade, and while the old process goes on turning away") {
  const std::string listener =
      "proxy_from = [\"127.0.0.0/8\"]\nheader_timeout = \"10m\"\ndeny = [\"203.0.113.0/24\"]";
  const FreePort port;
  SimpleConfig config = asking(listener);
  config.log = fmt::format("access = \"off\"\n[web]\nbind = \"{}\"", port.v4());
  Upgradable weir({{.greeting = "a"}}, config);
  const auto in_metrics = [&] {
    return Scraped(http(port.v4(), "/metrics").body, Scraped::Format::Prometheus)
        .sum("weir_refused_total", {{"reason", "denied"}});
  };
  const std::string header = "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n";
  const std::string denied = "PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\n";
  const auto refused = [&](Stream client) {
    client.send_all(denied);
    return client.recv_to_end().ending == Ending::Reset;
  };
  Stream held = from(weir, "127.0.0.2"), late = from(weir, "127.0.0.2");
  held.send_all(header);
  REQUIRE(is_served(held));
  for (int i = 0; i < 3; ++i) REQUIRE(refused(from(weir, "127.0.0.2")));
  const Json three{{"denied", 3}};
  REQUIRE(turned_away(weir) == three);
  // One that the old process has accepted: it is in nobody's count yet.
  REQUIRE(eventually([&] { return weir.get("status").at("sessions").at("active") == 2; }));
  weir.upgrade();
  CHECK(turned_away(weir) == three);
  REQUIRE(refused(from(weir, "127.0.0.2")));
  late.send_all(denied);
  REQUIRE(late.recv_to_end().ending == Ending::Reset);
  const Json five{{"denied", 5}};
  CHECK(turned_away(weir) == five);
  CHECK(in_metrics() == 5);
  held.close();
  REQUIRE(eventually([&] { return weir.get("status").at("predecessors").empty(); }));
  CHECK(turned_away(weir) == five);
  weir.upgrade();
  CHECK(turned_away(weir) == five);
  CHECK(in_metrics() == 5);
}

TEST_CASE("an upgrade gives nobody new tokens, client or listener") {
  const bool of_clients = GENERATE(true, false);
  const std::string limit = of_clients ? "new_sessions_per_client" : "new_sessions";
  Upgradable weir({{.greeting = "a"}}, asking(limit + " = \"2/h\"\nburst = 2"));
  for (int upgrades = 0; upgrades < 2; ++upgrades) {
    Stream client = from(weir, "127.0.0.2");
    REQUIRE(is_served(client));
    weir.upgrade();
  }
  CAPTURE(limit);
  if (of_clients) {
    CHECK(from(weir, "127.0.0.2").recv_to_end().ending == Ending::Reset);
    Stream other = from(weir, "127.0.0.3");
    CHECK(is_served(other));
  } else {
    // It waits for a token before it is accepted.
    CHECK(from(weir, "127.0.0.2").recv_to_end(500ms).ending == Ending::Open);
    CHECK_THAT(weir.cli({"explain", "--listener", "web", "127.0.0.2"}).out,
               Catch::Contains("the next one for"));
  }
}

TEST_CASE("who waits in an old process gets the place that a still older one gives back, and nobody twice") {
  Upgradable weir({{.greeting = "a"}}, waiting());
  limit_first(weir, 2);
  Stream first = weir.rig().connect(), second = weir.rig().connect();
  REQUIRE((is_served(first) && is_served(second)));
  weir.upgrade();
  Stream third = weir.rig().connect();
  REQUIRE(are_queued(weir, 1));
  SECTION("while nobody waits in the newest") {
    weir.upgrade();
    first.close();
    second.close();
    CHECK(is_served(third));
  }
  SECTION("before whoever waits in the newest") {
    weir.upgrade();
    Stream fourth = weir.rig().connect();
    REQUIRE(are_queued(weir, 2));
    first.close();
    CHECK(is_served(third));
    // Over several of the questions by which the processes hear of each other.
    CHECK(fourth.recv_to_end(1s).data.empty());
    CHECK(weir.rig().backend().accepted() == 3);
    second.close();
    CHECK(is_served(fourth));
  }
  SECTION("though the newest knows no limit any more") {
    weir.upgrade();
    REQUIRE(weir.cli({"remove", "web/few", "--force"}).status == 0);
    REQUIRE(weir.cli({"add", "web", "few", weir.rig().backend().address()}).status == 0);
    first.close();
    second.close();
    CHECK(is_served(third));
  }
}

TEST_CASE("who comes to wait in an old process counts the newest one's sessions, and gets their places") {
  Upgradable weir({{.greeting = "a"}},
                  waiting("probe = \"none\"", "proxy_from = [\"127.0.0.0/8\"]\nheader_timeout = \"10m\""));
  limit_first(weir, 2);
  const std::string header = "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n";
  Stream first = weir.rig().connect(), late = weir.rig().connect();
  first.send_all(header);
  REQUIRE(is_served(first));
  REQUIRE(eventually([&] { return weir.get("status").at("sessions").at("active") == 2; }));
  const std::string old = fmt::format("{}.{}", weir.socket(), weir.rig().process().pid());
  weir.upgrade();
  Stream third = weir.rig().connect();
  third.send_all(header);
  REQUIRE(is_served(third));
  CHECK(eventually([&] {
    return get_json(old, "explain?pool=web&client=192.0.2.1").at("waits_for") == "a backend with room";
  }));
  late.send_all(header);
  CHECK(are_queued(weir, 1));
  third.close();
  CHECK(is_served(late));
}

TEST_CASE("who waits in an old process is served by a backend that comes up, which is told once") {
  Upgradable weir({{.greeting = "a"}, {.greeting = "b"}}, waiting(kProbedOften));
  weir.rig().backend(1).stop_listening();
  wait_for_health(weir, "b", "down");
  limit_first(weir, 1);
  Stream first = weir.rig().connect();
  REQUIRE(is_served(first));
  Stream second = weir.rig().connect();
  REQUIRE(are_queued(weir, 1));
  weir.upgrade();
  const std::size_t told = count_of(weir.rig().process().err(), "web/b down → up");
  weir.rig().backend(1).listen_again();
  CHECK(second.recv_exact(1) == "b");
  wait_for_health(weir, "b", "up");
  REQUIRE(weir.rig().process().wait_for_err("web/b down → up"));
  CHECK(count_of(weir.rig().process().err(), "web/b down → up") == told + 1);
}

TEST_CASE("an old process probes as long as somebody waits in it, and no longer") {
  Upgradable weir({{.greeting = "a"}, {.greeting = "b"}}, waiting(kProbedOften));
  FakeBackend& other = weir.rig().backend(1);
  other.stop_listening();
  wait_for_health(weir, "b", "down");
  limit_first(weir, 1);
  Stream first = weir.rig().connect();
  REQUIRE(is_served(first));
  Stream second = weir.rig().connect();
  REQUIRE(are_queued(weir, 1));
  // The new process probes nobody.
  SimpleConfig next = weir.rig().config();
  next.health = "probe = \"none\"";
  write_file(weir.rig().weir().config_file(), next.toml());
  weir.upgrade();
  other.listen_again();
  CHECK(second.recv_exact(1) == "b");
  CHECK(eventually([&] {
    const std::size_t probes = other.accepted();
    std::this_thread::sleep_for(1s);
    return other.accepted() == probes;
  }));
  CHECK(first.echoes("still there"));
  CHECK(second.echoes("here, too"));
}

TEST_CASE("who waits for a first verdict in an old process is served when it has come there") {
  std::atomic<bool> may_answer{false};
  const FakeBackend slow(scripted([&](Stream& stream) {
    eventually(10 * kPatience, [&] { return may_answer.load(); });
    stream.send_all("well");
  }));
  const struct Release {
    std::atomic<bool>& flag;
    ~Release() { flag = true; }
  } release{may_answer};
  const FakeBackend backend({.greeting = "c"});
  const FreePort port;
  SimpleConfig config = waiting();
  const std::string log = config.log;
  config.log += fmt::format(
      "\n[[listener]]\nname = \"slow\"\nbind = \"{}\"\npool = \"slow\"\n"
      "[[pool]]\nname = \"slow\"\nconnect_timeout = \"10m\"\n"
      "[pool.health]\nprobe = \"expect\"\nexpect = \"well\"\nport = {}\ntimeout = \"10m\"\n"
      "[[pool.backend]]\nname = \"c\"\naddress = \"{}\"\n",
      port.v4(), slow.port(), backend.address());
  Upgradable weir({{.greeting = "a"}}, config);
  Stream client = Stream::connect(port.v4());
  REQUIRE(eventually([&] { return weir.get("sessions").at("sessions").size() == 1; }));
  SimpleConfig next = weir.rig().config();
  next.log = log;
  write_file(weir.rig().weir().config_file(), next.toml());
  weir.upgrade();
  may_answer = true;
  CHECK(client.recv_exact(1) == "c");
}
