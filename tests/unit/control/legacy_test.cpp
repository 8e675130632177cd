// What one process hands to the next.
#include "lb/control/legacy.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "registry_fixture.h"

namespace weir::test {
namespace {

/// An old process and its successor, which get the same configuration unless the test says otherwise.
struct Upgrade {
  Fixture old;
  Fixture next;
  std::shared_ptr<Config> config = Fixture::three();

  Upgrade() { old.registry.apply(config); }
  /// By way of the text, as between processes.
  ApplyReport hand_over(std::shared_ptr<const Config> to) {
    next.now = old.now;
    const auto text = format_legacy(old.registry.legacy(), old.now);
    next.registry.restore(old.registry.overrides());
    next.registry.inherit(parse_legacy(text, next.now).value(), config);
    return next.registry.apply(std::move(to));
  }
};

}  // namespace

TEST_CASE("a new process goes on with the health that the old one knew") {
  Upgrade upgrade;
  auto& old = upgrade.old;
  old.up("web", "web1");
  old.down("web", "web2");
  HealthReport doubt = old.report("web", "web1", Health::Up, "2 of 3 probes failed");
  doubt.against = 2;
  old.refresh(doubt);
  const auto before = old.status("web", "web1");
  old.now += 1h;
  const auto report = upgrade.hand_over(upgrade.config);
  CHECK(report.changes.empty());
  CHECK(report.notes.empty());
  auto& next = upgrade.next;
  const auto after = next.status("web", "web1");
  CHECK(after.health == Health::Up);
  CHECK(after.eligible);
  CHECK(after.reason == "2 of 3 probes failed");
  CHECK(after.since == before.since);
  CHECK(after.admin_since == before.admin_since);
  CHECK(next.at("web", "web2").health == Health::Down);
  CHECK(next.at("web", "web3").undecided);
  const auto watched = next.registry.watched();
  CHECK(watched.at(0).health == Health::Up);
  CHECK(watched.at(0).against == 2);
}

TEST_CASE("a new process uses the addresses that a name has had, without asking") {
  Upgrade upgrade;
  upgrade.config = config({pool("web", {backend("named", "name.example:80")})});
  upgrade.old.registry.apply(upgrade.config);
  const auto address = Address::parse_ip_port("10.0.0.9:80").value();
  upgrade.old.registry.set_addresses({{upgrade.old.at("web", "named").id(), {address}, ""}});
  upgrade.old.up("web", "named");
  upgrade.hand_over(upgrade.config);
  CHECK(upgrade.next.at("web", "named").eligible());
  CHECK(upgrade.next.at("web", "named").addresses == std::vector<Address>{address});
  upgrade.next.registry.set_addresses({{upgrade.next.at("web", "named").id(), {}, "the server is out"}});
  CHECK(upgrade.next.at("web", "named").eligible());
}

TEST_CASE("counters go on where the old process was, and that one counts only what is new") {
  Upgrade upgrade;
  auto& old = upgrade.old;
  WorkerTotals::add(old.at("web", "web1").load->per_worker[1].sessions, 7);
  WorkerTotals::add(old.at("web", "web1").load->per_worker[0].bytes_to_client, 100);
  old.registry.listener_load("front", "web").accepted[1].value.store(9);
  const Legacy legacy = old.registry.legacy();
  upgrade.hand_over(upgrade.config);
  CHECK(upgrade.next.status("web", "web1").total == 7);
  CHECK(upgrade.next.status("web", "web1").bytes_to_client == 100);
  CHECK(upgrade.next.registry.status().value().total == 9);
  CHECK(upgrade.next.registry.status().value().listeners.at(0).total == 9);

  old.registry.hand_over(legacy);
  WorkerTotals::add(old.at("web", "web1").load->per_worker[1].sessions, 1);
  CHECK(old.status("web", "web1").total == 1);
  CHECK(old.status("web", "web1").bytes_to_client == 0);
  CHECK(old.registry.status().value().total == 0);
}

TEST_CASE("a member that was added at the address of a removed one stays over an upgrade") {
  Upgrade upgrade;
  auto& old = upgrade.old.registry;
  upgrade.config = config({pool("web", {backend("a", "10.0.0.1:80")})});
  old.apply(upgrade.config);
  REQUIRE(old.remove("web/a", true));
  REQUIRE(old.add("web", "b", "10.0.0.1:80"));
  upgrade.old.up("web", "b");
  CHECK(old.difference(*upgrade.config, Registry::Over::Upgrade).bereft.empty());
  upgrade.hand_over(upgrade.config);
  CHECK(upgrade.next.at("web", "b").eligible());
}

TEST_CASE("who stands in does so over an upgrade, too, and over the next one") {
  Upgrade upgrade;
  auto& old = upgrade.old.registry;
  old.apply(config({pool("web", {backend("a", "10.0.0.1:80")})}));
  upgrade.old.up("web", "a");
  // The same name, elsewhere: what is said of it is not of the one that stands in for it.
  BackendConfig namesake = backend("a", "10.0.0.2:80");
  namesake.admin = Admin::Disabled;
  upgrade.config = config({pool("web", {namesake, backend("b", "10.0.0.3:80")})});
  old.apply(upgrade.config);
  REQUIRE(old.table()->find("web")->any_eligible());
  const auto report = old.difference(*upgrade.config, Registry::Over::Upgrade);
  CHECK(report.bereft.empty());
  CHECK(report.notes ==
        std::vector<std::string>{"pool web has no eligible backend until first probes pass: web/a stand in"});
  upgrade.hand_over(upgrade.config);
  const auto served_by = [](const Fixture& process) {
    std::vector<std::string> out;
    for (const auto& backend : process.registry.table()->find("web")->backends())
      if (backend.eligible()) out.push_back(backend.endpoint.text + (backend.stand_in ? " stands in" : ""));
    return out;
  };
  CHECK(served_by(upgrade.next) == std::vector<std::string>{"10.0.0.1:80 stands in"});

  Upgrade further;
  further.config = upgrade.config;
  further.next.now = upgrade.next.now;
  further.next.registry.inherit(
      parse_legacy(format_legacy(upgrade.next.registry.legacy(), upgrade.next.now), further.next.now).value(),
      further.config);
  further.next.registry.apply(further.config);
  CHECK(served_by(further.next) == std::vector<std::string>{"10.0.0.1:80 stands in"});
  further.next.up("web", "b");
  CHECK(served_by(further.next) == std::vector<std::string>{"10.0.0.3:80"});
}

TEST_CASE("a member of another pool that stands in is itself after an upgrade, and counted once") {
  Upgrade upgrade;
  auto& old = upgrade.old.registry;
  const PoolConfig web = pool("web", {backend("a", "10.0.0.1:80")});
  upgrade.config = config({web, pool("new", {backend("b", "10.0.0.2:80")})});
  upgrade.config->listeners[0].pool = "new";
  old.apply(config({web}));
  upgrade.old.up("web", "a");
  old.apply(upgrade.config);
  REQUIRE(old.table()->find("new")->any_eligible());
  upgrade.hand_over(upgrade.config);
  const auto& next = *upgrade.next.registry.table();
  REQUIRE(next.find("new")->backends().size() == 2);
  CHECK(next.find("new")->backends()[1].id() == next.find("web")->backends()[0].id());
}

TEST_CASE("members of run time stay over an upgrade, until the next reload") {
  Upgrade upgrade;
  auto& old = upgrade.old.registry;
  REQUIRE(old.add("web", "more", "10.0.0.8:80", 5));
  upgrade.old.up("web", "more");
  REQUIRE(old.set_admin("web/more", Admin::Drained, true));
  REQUIRE(old.remove("web/web3"));
  auto& next = upgrade.next;
  CHECK(old.difference(*upgrade.config, Registry::Over::Upgrade).notes.empty());
  CHECK(old.difference(*upgrade.config, Registry::Over::Upgrade).changes.empty());
  upgrade.hand_over(upgrade.config);
  const auto status = next.status("web", "more");
  CHECK(status.added);
  CHECK(status.weight == 5);
  CHECK(status.health == Health::Up);
  CHECK(status.admin == Admin::Drained);
  CHECK(next.registry.table()->find("web")->find("web3") == nullptr);
  const auto report = next.registry.apply(Fixture::three());
  CHECK(next.registry.table()->find("web")->find("more") == nullptr);
  CHECK(next.registry.table()->find("web")->find("web3") != nullptr);
  CHECK(report.notes.size() >= 2);
}

TEST_CASE("the old process's backends stand in for those of a file that was never reloaded") {
  Upgrade upgrade;
  upgrade.old.up("web", "web1");
  upgrade.hand_over(config({pool("shop", {backend("x", "10.0.1.1:80")})}));
  const auto& backends = upgrade.next.registry.table()->find("shop")->backends();
  REQUIRE(backends.size() == 2);
  CHECK(backends[0].undecided);
  CHECK(backends[1].name == "web1");
  CHECK(backends[1].stand_in);
  CHECK(backends[1].eligible());
}

TEST_CASE("a slow start goes on over an upgrade") {
  Upgrade upgrade;
  upgrade.config->pools[0].slow_start = 10s;
  auto slow = std::make_shared<Config>(*upgrade.config);
  upgrade.old.registry.apply(slow);
  upgrade.old.up("web", "web1");
  upgrade.old.down("web", "web1");
  upgrade.old.up("web", "web1");
  upgrade.old.now += 5s;
  upgrade.hand_over(slow);
  CHECK(upgrade.next.at("web", "web1").share_percent > 40);
  CHECK(upgrade.next.at("web", "web1").share_percent < 60);
}

TEST_CASE("of a configuration that the new process cannot read only what was counted is taken") {
  Upgrade upgrade;
  upgrade.old.up("web", "web1");
  WorkerTotals::add(upgrade.old.at("web", "web1").load->per_worker[0].sessions, 7);
  upgrade.config = nullptr;
  upgrade.hand_over(Fixture::three());
  CHECK(upgrade.next.at("web", "web1").undecided);
  CHECK(upgrade.next.status("web", "web1").total == 7);
}

TEST_CASE("twenty thousand backends are handed over whole, and junk is refused") {
  Upgrade upgrade;
  std::vector<BackendConfig> many;
  for (int i = 0; i < 20'000; ++i)
    many.push_back(backend("b" + std::to_string(i),
                           "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) + ":80"));
  upgrade.config = config({pool("web", std::move(many))});
  upgrade.old.registry.apply(upgrade.config);
  const auto text = format_legacy(upgrade.old.registry.legacy(), upgrade.old.now);
  const auto read = parse_legacy(text, upgrade.old.now);
  REQUIRE(read);
  CHECK(read->pools.at(0).backends.size() == 20'000);
  CHECK_FALSE(parse_legacy("junk", upgrade.old.now));
  CHECK_FALSE(parse_legacy(R"({"file":1})", upgrade.old.now));
  const auto at = text.find("\"verdict_since\":") + 16;
  CHECK_FALSE(parse_legacy(text.substr(0, at) + std::string(70, '1') + text.substr(text.find(',', at)),
                           upgrade.old.now));
}

}  // namespace weir::test
