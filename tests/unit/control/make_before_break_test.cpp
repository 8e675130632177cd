// What a reload knows of new backends, and who serves until something is known.
#include <catch2/catch.hpp>

#include <algorithm>

#include "registry_fixture.h"

namespace weir::test {
namespace {

using Names = std::vector<std::string>;

std::shared_ptr<Config> one_pool(const std::string& name, std::vector<BackendConfig> backends) {
  return config({pool(name, std::move(backends))});
}

/// Who would get sessions of the pool, as POOL/BACKEND.
Names serving(Fixture& f, const std::string& pool_name) {
  Names out;
  for (const Backend& one : f.registry.table()->find(pool_name)->backends())
    if (one.eligible()) out.push_back(one.load->pool + "/" + one.name);
  return out;
}

bool watched(Fixture& f, BackendId id) {
  const auto all = f.registry.watched();
  return std::any_of(all.begin(), all.end(), [&](const Watch& watch) { return watch.id == id; });
}

Watch watch_of(Fixture& f, BackendId id) {
  const auto all = f.registry.watched();
  return *std::find_if(all.begin(), all.end(), [&](const Watch& watch) { return watch.id == id; });
}

/// web1 and web2 are up.
struct TwoUp : Fixture {
  TwoUp() {
    registry.apply(one_pool("web", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")}));
    up("web", "web1");
    up("web", "web2");
  }
  bool noted(const ApplyReport& report, const std::string& text) {
    return std::any_of(report.notes.begin(), report.notes.end(),
                       [&](const std::string& note) { return note.find(text) != std::string::npos; });
  }
};

}  // namespace

TEST_CASE("a renamed backend starts with the health of its address") {
  TwoUp f;
  HealthReport doubt = f.report("web", "web1", Health::Up, "1 of 3 probes failed");
  doubt.against = 1;
  f.refresh(doubt);
  const auto since = f.at("web", "web1").since;
  f.now += 5s;
  const auto next = one_pool("web", {backend("a", "10.0.0.1:80"), backend("b", "10.0.0.3:80")});
  f.registry.apply(next);
  CHECK(f.at("web", "a").eligible());
  CHECK(f.at("web", "a").reason == "1 of 3 probes failed");
  CHECK(f.at("web", "a").since == since);
  CHECK(f.at("web", "a").id() != doubt.id);
  const Watch watch = watch_of(f, f.at("web", "a").id());
  CHECK(watch.health == Health::Up);
  CHECK(watch.against == 1);
  CHECK(f.at("web", "b").health == Health::Unknown);
  CHECK(serving(f, "web") == Names{"web/a"});
}

TEST_CASE("a renamed pool keeps what is known of its backends") {
  TwoUp f;
  f.down("web", "web2");
  const auto report =
      f.registry.apply(one_pool("shop", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")}));
  CHECK(serving(f, "shop") == Names{"shop/web1"});
  CHECK(f.at("shop", "web2").health == Health::Down);
  CHECK_FALSE(f.noted(report, "has nobody"));
}

TEST_CASE("another probe asks anew, and the old backends stand in meanwhile") {
  TwoUp f;
  auto next = one_pool("shop", {backend("web1", "10.0.0.1:80")});
  next->pools[0].probe.port = 81;
  f.registry.apply(next);
  CHECK(f.at("shop", "web1").health == Health::Unknown);
  CHECK(serving(f, "shop") == Names{"web/web1", "web/web2"});
}

TEST_CASE("what nobody has looked at is not carried over") {
  TwoUp f;
  SECTION("maintenance") {
    REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled));
  }
  SECTION("removed at run time") {
    REQUIRE(f.registry.remove("web/web1"));
  }
  f.registry.apply(one_pool("web", {backend("a", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")}));
  CHECK(f.at("web", "a").health == Health::Unknown);
}

TEST_CASE("a carry-over begins no slow start and goes on with one") {
  Fixture f;
  auto first = one_pool("web", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")});
  first->pools[0].slow_start = 10s;
  f.registry.apply(first);
  f.up("web", "web1");
  f.up("web", "web2");
  f.down("web", "web2");
  f.up("web", "web2");
  CHECK(f.at("web", "web2").share_percent == 10);
  f.now += 5s;
  auto next = one_pool("web", {backend("a", "10.0.0.1:80"), backend("b", "10.0.0.2:80")});
  next->pools[0].slow_start = 10s;
  f.registry.apply(next);
  CHECK(f.at("web", "a").share_percent == 100);
  CHECK(f.at("web", "b").share_percent > 40);
  CHECK(f.at("web", "b").share_percent < 60);
}

TEST_CASE("health is remembered for some seconds after a backend has left") {
  TwoUp f;
  f.registry.apply(one_pool("web", {backend("web2", "10.0.0.2:80")}));
  SECTION("soon enough") {
    f.now += 9s;
    f.registry.apply(one_pool("web", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")}));
    CHECK(f.at("web", "web1").health == Health::Up);
  }
  SECTION("too late") {
    f.now += 11s;
    f.registry.apply(one_pool("web", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")}));
    CHECK(f.at("web", "web1").health == Health::Unknown);
  }
}

TEST_CASE("an operator takes out who stands in, by name and by place") {
  TwoUp f;
  f.registry.apply(one_pool("web", {backend("new1", "10.0.0.8:80"), backend("new2", "10.0.0.1:80")}));
  SECTION("new2 is the place of web1, with its health") {
    CHECK(serving(f, "web") == Names{"web/new2"});
    return;
  }
  f.registry.apply(one_pool("web", {backend("far1", "10.0.1.1:80"), backend("far2", "10.0.1.2:80")}));
  REQUIRE(serving(f, "web") == Names{"web/new2"});
  SECTION("drain names it") {
    CHECK_FALSE(f.registry.set_admin("web/new2", Admin::Drained));
    const auto change = f.registry.set_admin("web/new2", Admin::Drained, true);
    REQUIRE(change);
    CHECK(change->backends.at(0).removed);
    CHECK(serving(f, "web").empty());
  }
  SECTION("a backend at its place is drained") {
    REQUIRE(f.registry.add("web", "again", "10.0.0.1:80"));
    REQUIRE(f.registry.set_admin("web/again", Admin::Drained, true));
    CHECK(serving(f, "web").empty());
  }
}

TEST_CASE("what a command has said of one pool's backend is not believed of another's") {
  Fixture f;
  const auto of_pool = [](const std::string& name) {
    auto out = pool(name, {backend("a", "10.0.0.1:80")});
    out.probe.kind = "exec";
    out.probe.command = {"/bin/check"};
    return out;
  };
  f.registry.apply(config({of_pool("ro")}));
  f.up("ro", "a");
  f.registry.apply(config({of_pool("ro"), of_pool("rw")}));
  CHECK(f.at("ro", "a").health == Health::Up);
  CHECK(f.at("rw", "a").health == Health::Unknown);
}

TEST_CASE("a backend is undecided until its first verdict") {
  Fixture f;
  auto first = Fixture::three();
  first->pools[0].backends.push_back(backend("named", "name.example:80"));
  f.registry.apply(first);
  CHECK(f.at("web", "web1").undecided);
  CHECK(f.at("web", "named").undecided);
  f.registry.set_addresses({{f.at("web", "named").id(), {}, "no such name"}});
  CHECK_FALSE(f.at("web", "named").undecided);
  f.registry.set_addresses(
      {{f.at("web", "named").id(), {Address::parse_ip_port("10.0.0.9:80").value()}, ""}});
  CHECK(f.at("web", "named").undecided);
  f.down("web", "web1");
  CHECK_FALSE(f.at("web", "web1").undecided);
  REQUIRE(f.registry.set_admin("web/web2", Admin::Drained, true));
  CHECK_FALSE(f.at("web", "web2").undecided);
  f.registry.apply(Fixture::three("none"));
  CHECK_FALSE(f.at("web", "web3").undecided);
}

TEST_CASE("old backends stand in until a new one is eligible") {
  TwoUp f;
  const BackendId old = f.at("web", "web1").id();
  const auto next = one_pool("web", {backend("web1", "10.0.1.1:80"), backend("web3", "10.0.1.3:80")});
  const auto foreseen = f.registry.difference(*next);
  const auto report = f.registry.apply(next);
  CHECK(report.notes == foreseen.notes);
  CHECK(f.noted(report,
                "pool web has no eligible backend until first probes pass: web/web1, web/web2 stand in"));
  CHECK(report.bereft.empty());
  CHECK(serving(f, "web") == Names{"web/web1", "web/web2"});
  CHECK(f.registry.table()->find("web")->find(old)->stand_in);
  CHECK(f.at("web", "web1").undecided);
  CHECK(watched(f, old));
  const auto seen = f.registry.status("web").value().pools.at(0).backends;
  REQUIRE(seen.size() == 4);
  CHECK(seen[2].removed);
  CHECK(seen[2].eligible);
  CHECK(seen[2].reason == "removed; stands in until a new backend has a verdict");
  CHECK(f.registry.explain("web", "10.9.9.9").value().backend.has_value());

  SECTION("one that fails its first probe is not enough") {
    f.down("web", "web1");
    CHECK(serving(f, "web") == Names{"web/web1", "web/web2"});
    SECTION("the last one's failure is") {
      f.down("web", "web3");
      CHECK(serving(f, "web").empty());
    }
    SECTION("so is an operator's word on it, by force") {
      CHECK_FALSE(f.registry.set_admin("web/web3", Admin::Drained));
      REQUIRE(f.registry.set_admin("web/web3", Admin::Drained, true));
      CHECK(serving(f, "web").empty());
    }
  }
  SECTION("a first pass is") {
    f.up("web", "web3");
    CHECK(serving(f, "web") == Names{"web/web3"});
    CHECK_FALSE(watched(f, old));
    CHECK(f.registry.status("web").value().pools.at(0).backends.size() == 2);
  }
  SECTION("a stand-in that goes down gets no sessions") {
    HealthReport report_of_old{.id = old,
                               .life = f.registry.table()->find("web")->find(old)->life,
                               .health = Health::Down,
                               .reason = "3 probes failed"};
    f.registry.set_health({report_of_old});
    CHECK(serving(f, "web") == Names{"web/web2"});
    CHECK(watched(f, old));
  }
  SECTION("a second reload keeps them") {
    f.registry.apply(one_pool("web", {backend("web4", "10.0.1.4:80")}));
    CHECK(serving(f, "web") == Names{"web/web1", "web/web2"});
    f.registry.apply(one_pool("shop", {backend("web4", "10.0.1.4:80")}));
    CHECK(serving(f, "shop") == Names{"web/web1", "web/web2"});
  }
  SECTION("and they are themselves again when a reload brings them back") {
    const auto life = f.registry.table()->find("web")->find(old)->life;
    f.registry.apply(one_pool("web", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")}));
    CHECK(f.at("web", "web1").id() == old);
    CHECK(f.at("web", "web1").life == life);
    CHECK_FALSE(f.at("web", "web1").stand_in);
    CHECK(serving(f, "web") == Names{"web/web1", "web/web2"});
  }
}

TEST_CASE("the backends of the pool that a listener fed before stand in for its new one") {
  TwoUp f;
  auto next = config({pool("next", {backend("n1", "10.0.1.1:80")}),
                      pool("web", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")})});
  f.registry.apply(next);
  CHECK(serving(f, "next") == Names{"web/web1", "web/web2"});
  CHECK_FALSE(f.at("web", "web1").stand_in);
  CHECK(f.status("web", "web1").reason.find("stands in for pool next") != std::string::npos);
  SECTION("and what an operator says of them there counts here") {
    REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
    CHECK(serving(f, "next") == Names{"web/web2"});
  }
  SECTION("and their probes") {
    f.down("web", "web2");
    CHECK(serving(f, "next") == Names{"web/web1"});
    CHECK(serving(f, "web") == Names{"web/web1"});
  }
  f.up("next", "n1");
  CHECK(serving(f, "next") == Names{"next/n1"});
}

TEST_CASE("who was taken out by an operator does not stand in") {
  TwoUp f;
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  f.registry.apply(one_pool("web", {backend("x", "10.0.1.1:80")}));
  CHECK(serving(f, "web") == Names{"web/web2"});
}

TEST_CASE("a place that the new file takes out does not stand in under its old name") {
  TwoUp f;
  auto out = backend("gone", "10.0.0.1:80");
  out.admin = Admin::Disabled;
  f.registry.apply(one_pool("web", {out, backend("x", "10.0.1.1:80")}));
  CHECK(serving(f, "web") == Names{"web/web2"});
}

TEST_CASE("a backend whose place becomes a listener does not stand in") {
  TwoUp f;
  auto next = one_pool("web", {backend("x", "10.0.1.1:80")});
  next->listeners[0].bind.push_back(Address::parse_ip_port("10.0.0.1:80").value());
  f.registry.apply(next);
  CHECK(serving(f, "web") == Names{"web/web2"});
}

TEST_CASE("a reload says which pool has nobody") {
  TwoUp f;
  auto next = one_pool("web", {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80")});
  SECTION("because of what the file says") {
    for (auto& one : next->pools[0].backends) one.admin = Admin::Drained;
    const auto report = f.registry.difference(*next);
    CHECK(f.noted(report, "pool web has nobody: web1 is drained, web2 is drained"));
    CHECK(report.bereft == Names{"web"});
  }
  SECTION("because who is left is down") {
    f.down("web", "web1");
    next->pools[0].backends.pop_back();
    const auto report = f.registry.difference(*next);
    CHECK(f.noted(report, "pool web has nobody: web1 is down"));
    CHECK(report.bereft == Names{"web"});
  }
  SECTION("and says nothing when nobody was there before") {
    f.down("web", "web1");
    f.down("web", "web2");
    next->pools[0].idle_timeout = 1s;
    const auto report = f.registry.difference(*next);
    CHECK(report.notes.empty());
    CHECK(report.bereft.empty());
  }
}

}  // namespace weir::test
