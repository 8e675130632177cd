#include "lb/control/registry.h"

#include <catch2/catch.hpp>

#include "tests/unit/control/registry_fixture.h"

using namespace weir;
using namespace weir::test;

TEST_CASE("a new backend is unknown and not eligible until its first probe passes") {
  Fixture f;
  f.registry.apply(Fixture::three());
  CHECK(f.at("web", "web1").health == Health::Unknown);
  CHECK(f.at("web", "web1").reason == "no probe has finished yet");
  CHECK_FALSE(f.at("web", "web1").eligible());
  f.up("web", "web1");
  CHECK(f.at("web", "web1").eligible());
  CHECK(f.status("web", "web1").reason == "probe passed");
}

TEST_CASE("without probes a backend is up from the start") {
  Fixture f;
  f.registry.apply(Fixture::three("none"));
  CHECK(f.at("web", "web2").eligible());
  CHECK(f.at("web", "web2").reason == "not probed");
}

TEST_CASE("each Table that is published is one generation on, and what changes nothing publishes none") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  f.up("web", "web1");
  f.registry.apply(Fixture::three());
  REQUIRE(f.published.size() == 3);
  CHECK(f.published[0]->generation == 1);
  CHECK(f.published[2]->generation == 3);
}

TEST_CASE("a pool that a change does not touch stays the very same object") {
  Fixture f;
  const auto file = [] {
    return config({pool("web", {backend("a", "10.0.0.1:80")}), pool("db", {backend("a", "10.0.0.1:99")})});
  };
  f.registry.apply(file());
  const auto db = f.registry.table()->pools[1];
  f.up("web", "a");
  f.registry.apply(file());
  CHECK(f.registry.table()->pools[1] == db);
}

TEST_CASE("a reload keeps identity, health and counters of what did not change") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  const auto load = f.at("web", "web1").load;
  auto next = Fixture::three();
  next->pools[0].backends[0].weight = 5;
  next->pools[0].idle_timeout = 1s;
  const auto report = f.registry.apply(next);
  CHECK(f.at("web", "web1").load == load);
  CHECK(f.at("web", "web1").health == Health::Up);
  CHECK(f.at("web", "web1").weight == 5);
  CHECK(report.changes ==
        std::vector<std::string>{"~ pool web idle_timeout 10m→1s", "~ web/web1 weight 1→5"});
}

TEST_CASE("a backend whose address changes is another backend") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  const HealthReport late = f.report("web", "web1", Health::Up, "late verdict about the old one");
  auto next = Fixture::three();
  next->pools[0].backends[0] = backend("web1", "10.0.0.9:80");
  f.registry.apply(next);
  CHECK(f.at("web", "web1").id() != late.id);
  CHECK(f.at("web", "web1").health == Health::Unknown);
  f.registry.set_health({late});
  CHECK(f.at("web", "web1").health == Health::Unknown);
}

TEST_CASE("a removed backend stays in view until its last session has ended") {
  Fixture f;
  f.registry.apply(Fixture::three());
  Lease session = Lease::take(f.at("web", "web3").load);
  auto next = Fixture::three();
  next->pools[0].backends.pop_back();
  const auto report = f.registry.apply(next);
  CHECK(report.changes == std::vector<std::string>{"- web/web3 (1 session goes on)"});
  CHECK(f.registry.table()->find("web")->find("web3") == nullptr);
  CHECK(f.status("web", "web3").removed);
  SECTION("and is the same backend when it comes back meanwhile") {
    const auto* load = session.get();
    f.registry.apply(Fixture::three());
    CHECK(f.at("web", "web3").load.get() == load);
    CHECK_FALSE(f.status("web", "web3").removed);
  }
  session.release();
  if (f.registry.table()->find("web")->find("web3") == nullptr) CHECK_FALSE(f.registry.status("web", "web3"));
}

TEST_CASE("sessions of a pool that is gone stay in view") {
  Fixture f;
  f.registry.apply(
      config({pool("web", {backend("a", "10.0.0.1:80")}), pool("db", {backend("a", "10.0.0.1:99")})}));
  Lease session = Lease::take(f.at("db", "a").load);
  f.registry.apply(config({pool("web", {backend("a", "10.0.0.1:80")})}));
  CHECK(f.registry.status("db").value().pools.at(0).removed);
  CHECK(f.registry.status().value().pools.size() == 2);
  session.release();
  CHECK(f.registry.status("db").error().kind == CommandError::Kind::Unknown);
}

TEST_CASE("no probe result undoes a drain, and no enable makes a dead backend eligible") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  f.up("web", "web2");
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  f.down("web", "web1");
  f.up("web", "web1");
  CHECK_FALSE(f.at("web", "web1").eligible());
  f.down("web", "web1");
  REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
  CHECK_FALSE(f.at("web", "web1").eligible());
}

TEST_CASE("disable forgets a backend's health, and a late verdict does not bring it back") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  f.up("web", "web2");
  REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled));
  CHECK(f.at("web", "web1").health == Health::Unknown);
  f.up("web", "web1");
  CHECK(f.at("web", "web1").health == Health::Unknown);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
  CHECK(f.status("web", "web1").reason == "no probe has finished yet");
  f.up("web", "web1");
  CHECK(f.at("web", "web1").eligible());
}

TEST_CASE("a name that does not resolve makes its backend unknown, and says why") {
  Fixture f;
  f.registry.apply(config({pool("web", {backend("a", "web1.internal:80")})}));
  const auto id = f.at("web", "a").id();
  f.registry.set_addresses({{id, {}, "web1.internal does not resolve: no name server has answered"}});
  CHECK(f.status("web", "a").reason == "web1.internal does not resolve: no name server has answered");
  f.registry.set_health({f.report("web", "a", Health::Up, "impossible")});
  CHECK(f.at("web", "a").health == Health::Unknown);
  const std::vector addresses{Address::parse_ip_port("10.0.0.1:80").value()};
  f.registry.set_addresses({{id, addresses, ""}});
  CHECK(f.at("web", "a").addresses == addresses);
  CHECK(f.status("web", "a").reason == "no probe has finished yet");
}

TEST_CASE("a name that moves leaves its backend's health what it is") {
  Fixture f;
  f.registry.apply(config({pool("web", {backend("a", "web1.internal:80")})}));
  const auto id = f.at("web", "a").id();
  f.registry.set_addresses({{id, {Address::parse_ip_port("10.0.0.1:80").value()}, ""}});
  f.up("web", "a");
  const auto life = f.at("web", "a").life;
  f.registry.set_addresses({{id, {Address::parse_ip_port("10.0.0.2:80").value()}, ""}});
  CHECK(f.at("web", "a").eligible());
  CHECK(f.at("web", "a").life == life);
  CHECK(f.at("web", "a").addresses.at(0).to_string() == "10.0.0.2:80");
}

TEST_CASE("answers that come in together make one Table") {
  Fixture f;
  f.registry.apply(
      config({pool("web", {backend("a", "a.internal:80")}), pool("api", {backend("b", "b.internal:80")})}));
  const auto tables = f.published.size();
  f.registry.set_addresses({{f.at("web", "a").id(), {Address::parse_ip_port("10.0.0.1:80").value()}, ""},
                            {f.at("api", "b").id(), {Address::parse_ip_port("10.0.0.2:80").value()}, ""}});
  CHECK(f.published.size() == tables + 1);
}

TEST_CASE("an address of a name that is Weir's own listener is not used") {
  Fixture f;  // its listener: 0.0.0.0:8080; this host: 192.0.2.7
  f.registry.apply(config({pool("web", {backend("a", "web1.internal:8080")})}));
  const auto id = f.at("web", "a").id();
  const auto own = Address::parse_ip_port(GENERATE("127.0.0.1:8080", "192.0.2.7:8080")).value();
  const auto other = Address::parse_ip_port("10.0.0.1:8080").value();
  f.registry.set_addresses({{id, {own, other}, ""}});
  CHECK(f.at("web", "a").addresses == std::vector{other});
  f.up("web", "a");
  f.registry.set_addresses({{id, {own}, ""}});
  CHECK(f.at("web", "a").addresses.empty());
  CHECK(f.at("web", "a").health == Health::Unknown);
  const std::string reason =
      fmt::format("web1.internal resolves to Weir's own listener front ({})", own.to_string());
  CHECK(f.status("web", "a").reason == reason);
  REQUIRE(f.registry.set_admin("web/a", Admin::Disabled, true));
  REQUIRE(f.registry.set_admin("web/a", Admin::Enabled));
  CHECK(f.status("web", "a").reason == reason);
  f.registry.set_addresses({{id, {other}, ""}});
  f.up("web", "a");
  CHECK(f.at("web", "a").eligible());
}

TEST_CASE("a listener that a reload binds is seen in what names resolve to already") {
  Fixture f;
  auto file = config({pool("web", {backend("a", "web1.internal:9090")})});
  f.registry.apply(file);
  const auto own = Address::parse_ip_port("127.0.0.1:9090").value();
  f.registry.set_addresses({{f.at("web", "a").id(), {own}, ""}});
  f.up("web", "a");
  auto next = config({pool("web", {backend("a", "web1.internal:9090")})});
  next->listeners.push_back(next->listeners.front());
  next->listeners.back().name = "second";
  next->listeners.back().bind = {own};
  f.registry.apply(next);
  CHECK_FALSE(f.at("web", "a").eligible());
  CHECK(f.status("web", "a").reason ==
        "web1.internal resolves to Weir's own listener second (127.0.0.1:9090)");
  f.registry.apply(config({pool("web", {backend("a", "web1.internal:9090")})}));
  CHECK(f.at("web", "a").addresses == std::vector{own});
}

TEST_CASE("a backend that is this host's own address, or a name of loopback, cannot be added in a loop") {
  Fixture f;
  f.registry.apply(Fixture::three());
  for (const char* address :
       {"192.0.2.7:8080", "[::ffff:192.0.2.7]:8080", "localhost:8080", "0.0.0.0:8080"}) {
    const auto added = f.registry.add("web", "loop", address);
    REQUIRE_FALSE(added);
    CHECK_THAT(added.error().message, Catch::Contains("Weir's own listener front"));
  }
  CHECK(f.registry.add("web", "fine", "192.0.2.8:8080"));
}

TEST_CASE("a recovered backend's share grows from 10 to 100 percent over slow_start") {
  Fixture f;
  auto file = Fixture::three();
  file->pools[0].slow_start = 9s;
  f.registry.apply(file);
  f.up("web", "web1");
  CHECK(f.at("web", "web1").share_percent == 100);
  CHECK_FALSE(f.registry.next_step());
  f.down("web", "web1");
  f.up("web", "web1");
  CHECK(f.at("web", "web1").share_percent == 10);
  CHECK(f.registry.next_step() == 1000ms);
  f.now += 4500ms;
  f.registry.tick();
  CHECK(f.at("web", "web1").share_percent == 50);
  CHECK(f.registry.next_step() == 500ms);
  const auto tables = f.published.size();
  f.registry.tick();
  CHECK(f.published.size() == tables);
  f.now += 4500ms;
  f.registry.tick();
  CHECK(f.at("web", "web1").share_percent == 100);
  CHECK_FALSE(f.registry.next_step());
}

TEST_CASE("a short slow start makes no more than ten Tables a second") {
  Fixture f;
  auto file = Fixture::three();
  file->pools[0].slow_start = 250ms;
  f.registry.apply(file);
  f.down("web", "web1");
  f.up("web", "web1");
  int tables = 0;
  while (const auto wait = f.registry.next_step()) {
    f.now += *wait;
    f.registry.tick();
    REQUIRE(++tables <= 3);
  }
  CHECK(f.at("web", "web1").share_percent == 100);
}

TEST_CASE("a backend on trial grows only when its trial is over") {
  Fixture f;
  auto file = Fixture::three("none");
  file->pools[0].slow_start = 10s;
  f.registry.apply(file);
  f.down("web", "web1");
  HealthReport trial = f.report("web", "web1", Health::Up, "on trial");
  trial.on_trial = true;
  f.registry.set_health({trial});
  CHECK(f.at("web", "web1").on_trial);
  CHECK(f.at("web", "web1").share_percent == 100);
  f.up("web", "web1");
  CHECK(f.at("web", "web1").share_percent == 10);
}

TEST_CASE("a new reason of the same health is shown, and changes nothing else") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  const auto tables = f.published.size();
  const auto since = f.status("web", "web1").since;
  f.now += 5s;
  f.refresh(f.report("web", "web1", Health::Up, "1 of 3 probes failed"));
  CHECK(f.status("web", "web1").reason == "1 of 3 probes failed");
  CHECK(f.status("web", "web1").since == since);
  CHECK(f.published.size() == tables);
}

TEST_CASE("a new reason of a health that is over says nothing") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  f.down("web", "web1");
  f.refresh(f.report("web", "web1", Health::Up, "1 of 3 probes failed"));
  CHECK(f.at("web", "web1").health == Health::Down);
  CHECK(f.status("web", "web1").reason == "3 probes failed");
  REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled));
  REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
  f.refresh(f.report("web", "web1", Health::Down, "probe failed (tcp): no route to host"));
  CHECK(f.at("web", "web1").health == Health::Unknown);
}

TEST_CASE("a verdict that was under way while the backend's health was forgotten is void") {
  Fixture f;
  f.registry.apply(Fixture::three());
  for (const auto* name : {"web1", "web2"}) f.up("web", name);
  const HealthReport late = f.report("web", "web1", Health::Down, "3 probes failed");
  HealthReport reason = f.report("web", "web1", Health::Unknown, "1 of 3 probes failed");
  REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled));
  REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
  CHECK(f.registry.set_health({late}).empty());
  f.refresh(reason);
  CHECK(f.status("web", "web1").health == Health::Unknown);
  CHECK(f.status("web", "web1").reason == "no probe has finished yet");
  f.up("web", "web1");
  const auto down = f.registry.set_health({f.report("web", "web1", Health::Down, "3 probes failed")});
  CHECK(down == std::vector<BackendId>{late.id});
}

TEST_CASE("a thousand backends that go down together make one Table") {
  Fixture f;
  std::vector<BackendConfig> backends;
  for (int i = 0; i < 1'000; ++i)
    backends.push_back(backend("web" + std::to_string(i), "10.0.0.1:" + std::to_string(i + 1)));
  f.registry.apply(config({pool("web", backends), pool("db", {backend("a", "10.0.0.2:1")})}));
  std::vector<HealthReport> reports;
  for (const Backend& one : f.registry.table()->find("web")->backends())
    reports.push_back(f.report("web", one.name, Health::Up, "probe passed"));
  const auto tables = f.published.size();
  f.registry.set_health(reports);
  CHECK(f.published.size() == tables + 1);
  for (HealthReport& report : reports) report.health = Health::Down;
  f.registry.set_health(reports);
  CHECK(f.published.size() == tables + 2);
  CHECK(f.at("web", "web999").health == Health::Down);
}

TEST_CASE("a backend has another life each time its health is forgotten, and only then") {
  Fixture f;
  f.registry.apply(Fixture::three());
  const auto life = [&] { return f.at("web", "web1").life; };
  auto known = life();
  CHECK(known != 0);
  for (const auto* name : {"web1", "web2"}) f.up("web", name);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
  f.registry.apply(Fixture::three());
  CHECK(life() == known);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled));
  REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
  CHECK(life() != known);
  known = life();
  const Lease session = Lease::take(f.at("web", "web1").load);
  REQUIRE(f.registry.remove("web/web1"));
  REQUIRE(f.registry.add("web", "web1", "10.0.0.1:80"));
  CHECK(life() != known);
}

TEST_CASE("the difference is what a reload then reports, and changes nothing") {
  Fixture f;
  f.registry.apply(Fixture::three());
  REQUIRE(f.registry.set_weight("web/web1", 9));
  REQUIRE(f.registry.set_admin("web/web3", Admin::Drained, true));
  REQUIRE(f.registry.add("web", "web9", "10.0.0.9:80"));
  auto next = Fixture::three();
  next->pools[0].backends[0].weight = 5;
  next->pools[0].backends.pop_back();
  std::swap(next->pools[0].backends[0], next->pools[0].backends[1]);
  next->pools.push_back(pool("db", {backend("db1", "10.0.1.1:5432")}));
  next->listeners[0].pool = "db";
  next->shutdown_grace = 5s;
  const auto before = f.registry.overrides();
  const auto generation = f.registry.table()->generation;
  const auto foreseen = f.registry.difference(*next);
  CHECK(foreseen.changes == std::vector<std::string>{"~ pool web the order of its backends",
                                                     "~ web/web1 weight 1→5", "- web/web3", "- web/web9",
                                                     "+ pool db", "+ db/db1", "~ listener front pool web→db",
                                                     "~ shutdown_grace 30s→5s"});
  // The weight of web1, the drain of web3, the membership of web9, that nobody serves db yet.
  CHECK(foreseen.notes.size() == 4);
  CHECK(f.registry.overrides() == before);
  CHECK(f.registry.table()->generation == generation);
  const auto report = f.registry.apply(next);
  CHECK(report.changes == foreseen.changes);
  CHECK(report.notes == foreseen.notes);
  CHECK(f.registry.difference(*next).changes.empty());
  CHECK(f.registry.difference(*next).notes.empty());
}

TEST_CASE("an edited admin that ends an operator's disable forgets the health") {
  Fixture f;
  f.registry.apply(Fixture::three());
  f.up("web", "web1");
  REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled, true));
  auto next = Fixture::three();
  next->pools[0].backends[0].admin = Admin::Drained;
  f.registry.apply(next);
  CHECK(f.at("web", "web1").admin == Admin::Drained);
  CHECK(f.at("web", "web1").reason == "no probe has finished yet");
}
