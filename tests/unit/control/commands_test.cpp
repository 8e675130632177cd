#include <catch2/catch.hpp>

#include "lb/base/glob.h"
#include "lb/control/state_file.h"
#include "tests/unit/control/registry_fixture.h"

using namespace weir;
using namespace weir::test;
using Kind = CommandError::Kind;

namespace {

Fixture& all_up(Fixture& f) {
  f.registry.apply(Fixture::three());
  for (const auto* name : {"web1", "web2", "web3"}) f.up("web", name);
  return f;
}

}  // namespace

TEST_CASE("a glob knows * and ?, and takes brackets as they are") {
  CHECK(glob_matches("web*", "web1"));
  CHECK(glob_matches("*1*", "web12"));
  CHECK(glob_matches("w?b1", "web1"));
  CHECK(glob_matches("[::1]:80", "[::1]:80"));
  CHECK(glob_matches("*", ""));
  CHECK_FALSE(glob_matches("web", "web1"));
  CHECK_FALSE(glob_matches("[w]eb1", "web1"));
  CHECK_FALSE(glob_matches("w?", "w"));
  CHECK_FALSE(glob_matches(std::string(200, '*') + "x", std::string(200, 'a')));
}

TEST_CASE("a drain names what it did, and twice is fine") {
  Fixture f;
  all_up(f);
  Lease session = Lease::take(f.at("web", "web1").load);
  const auto first = f.registry.set_admin("web/web1", Admin::Drained);
  REQUIRE(first);
  REQUIRE(first->backends.size() == 1);
  CHECK(first->backends[0].load->name == "web1");
  CHECK(first->backends[0].load->active == 1);
  CHECK(first->published);
  const auto second = f.registry.set_admin("web/web1", Admin::Drained);
  REQUIRE(second);
  CHECK_FALSE(second->published);
  CHECK(second->generation == first->generation);
}

TEST_CASE("an unknown name is repeated, with the nearest one suggested") {
  Fixture f;
  all_up(f);
  CHECK(f.registry.set_admin("wbe/web1", Admin::Drained).error().kind == Kind::Unknown);
  CHECK(f.registry.set_admin("wbe/web1", Admin::Drained).error().message == "no pool wbe; did you mean web?");
  CHECK(f.registry.set_admin("web/wbe1", Admin::Drained).error().message ==
        "no backend web/wbe1; did you mean web/web1?");
  CHECK(f.registry.set_admin("web/x*", Admin::Drained).error().kind == Kind::Unknown);
  CHECK(f.registry.set_admin("web1", Admin::Drained).error().kind == Kind::Usage);
  CHECK(f.registry.set_admin("web/\n\x1b", Admin::Drained).error().message.find('\n') == std::string::npos);
}

TEST_CASE("a pool's last eligible backend is not taken out without force") {
  Fixture f;
  all_up(f);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  SECTION("and a glob is done whole or not at all") {
    CHECK(f.registry.set_admin("web/web*", Admin::Drained).error().kind == Kind::Refused);
    CHECK(f.at("web", "web2").eligible());
    CHECK(f.at("web", "web3").eligible());
  }
  SECTION("whichever way it is taken out") {
    f.down("web", "web3");
    CHECK(f.registry.set_admin("web/web2", Admin::Drained).error().kind == Kind::Refused);
    CHECK(f.registry.set_admin("web/web2", Admin::Disabled).error().kind == Kind::Refused);
    CHECK(f.registry.remove("web/web2").error().kind == Kind::Refused);
    CHECK(f.registry.set_admin("web/web2", Admin::Drained, true));
  }
  SECTION("but draining what is drained already is fine") {
    f.down("web", "web3");
    CHECK(f.registry.set_admin("web/web1", Admin::Drained));
  }
}

TEST_CASE("enable overrides a file that says drained, and otherwise leaves no override") {
  Fixture f;
  auto file = Fixture::three();
  file->pools[0].backends[0].admin = Admin::Drained;
  f.registry.apply(file);
  CHECK(f.at("web", "web1").admin == Admin::Drained);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
  CHECK(f.at("web", "web1").admin == Admin::Enabled);
  CHECK(f.registry.overrides().size() == 1);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  CHECK(f.registry.overrides().empty());
}

TEST_CASE("since when a backend is kept out is known, through idempotent repeats, reloads and a restart") {
  Fixture f;
  all_up(f);
  const auto moment = [&] { return std::chrono::system_clock::time_point(f.now.time_since_epoch()); };
  CHECK(f.status("web", "web1").admin_since == moment());
  f.now += 5s;
  const auto drained_at = moment();
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  f.now += 5s;
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  f.registry.apply(Fixture::three());
  CHECK(f.status("web", "web1").admin_word);
  CHECK(f.status("web", "web1").admin_since == drained_at);

  Fixture restarted;
  restarted.now = f.now + 1h;
  restarted.registry.restore(f.registry.overrides());
  restarted.registry.apply(Fixture::three());
  CHECK(restarted.status("web", "web1").admin_since == drained_at);

  SECTION("a word that is taken back leaves no time behind with a weight that stays") {
    REQUIRE(f.registry.set_weight("web/web1", 5));
    REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
    CHECK(parse_state(format_state(f.registry.overrides()))->overrides == f.registry.overrides());
  }
  SECTION("enabling it begins anew") {
    REQUIRE(f.registry.set_admin("web/web1", Admin::Enabled));
    CHECK(f.status("web", "web1").admin_since == moment());
  }
  SECTION("so does the file, when it is edited") {
    auto edited = Fixture::three();
    edited->pools[0].backends[0].admin = Admin::Disabled;
    f.registry.apply(edited);
    CHECK_FALSE(f.status("web", "web1").admin_word);
    CHECK(f.status("web", "web1").configured_admin == Admin::Disabled);
    CHECK(f.status("web", "web1").admin_since == moment());
  }
}

TEST_CASE("a weight is in force until default undoes it") {
  Fixture f;
  all_up(f);
  REQUIRE(f.registry.set_weight("web/web*", 7));
  CHECK(f.at("web", "web2").weight == 7);
  CHECK(f.at("web", "web2").configured_weight == 1);
  REQUIRE(f.registry.set_weight("web/web2", std::nullopt));
  CHECK(f.at("web", "web2").weight == 1);
  CHECK(f.registry.overrides().size() == 2);
  CHECK(f.registry.set_weight("web/web2", 0).error().kind == Kind::Usage);
  CHECK(f.registry.set_weight("web/web2", 257).error().kind == Kind::Usage);
}

TEST_CASE("overrides survive a reload and a restart, unless the file's own value was edited") {
  Fixture f;
  all_up(f);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained));
  REQUIRE(f.registry.set_weight("web/web1", 9));
  const auto saved = f.registry.overrides();
  Fixture restarted;
  restarted.registry.restore(saved);
  Fixture* life = GENERATE(true, false) ? &f : &restarted;

  auto next = Fixture::three();
  SECTION("an edit elsewhere changes nothing") {
    next->pools[0].backends[1].weight = 3;
    next->pools[0].backends[0].backup = true;
    life->registry.apply(next);
    CHECK(life->at("web", "web1").admin == Admin::Drained);
    CHECK(life->at("web", "web1").weight == 9);
  }
  SECTION("an edited weight wins over the weight only") {
    next->pools[0].backends[0].weight = 3;
    const auto report = life->registry.apply(next);
    CHECK(life->at("web", "web1").admin == Admin::Drained);
    CHECK(life->at("web", "web1").weight == 3);
    CHECK(report.notes.size() == 1);
    life->registry.apply(Fixture::three());
    CHECK(life->at("web", "web1").admin == Admin::Drained);
    CHECK(life->at("web", "web1").weight == 1);
  }
  SECTION("another address wins over both") {
    next->pools[0].backends[0] = backend("web1", "10.0.0.9:80");
    CHECK(life->registry.apply(next).notes.size() == 2);
    CHECK(life->at("web", "web1").admin == Admin::Enabled);
    CHECK(life->at("web", "web1").weight == 1);
    CHECK(life->registry.overrides().empty());
  }
  SECTION("a backend that is no longer in the file loses them") {
    next->pools[0].backends.erase(next->pools[0].backends.begin());
    CHECK(life->registry.apply(next).notes.size() == 1);
    CHECK(life->registry.overrides().empty());
  }
}

TEST_CASE("a backend added at run time lasts until the next reload") {
  Fixture f;
  all_up(f);
  REQUIRE(f.registry.add("web", "web4", "10.0.0.4:80", 3, true));
  CHECK(f.at("web", "web4").weight == 3);
  CHECK(f.at("web", "web4").backup);
  CHECK(f.status("web", "web4").added);
  SECTION("adding it once more is fine, adding another in its place is not") {
    CHECK_FALSE(f.registry.add("web", "web4", "10.0.0.4:80", 3, true)->published);
    CHECK(f.registry.add("web", "web4", "10.0.0.5:80", 3, true).error().kind == Kind::Refused);
    CHECK(f.registry.add("web", "web5", "10.0.0.4:80")->notes ==
          std::vector<std::string>{"web/web4 has this address, too: one server gets the sessions of both"});
  }
  SECTION("a reload takes it away and says so") {
    const auto report = f.registry.apply(Fixture::three());
    CHECK(f.registry.table()->find("web")->find("web4") == nullptr);
    CHECK(report.notes.size() == 1);
  }
  SECTION("a reload that finds it in the file makes it the file's, identity and all") {
    const auto load = f.at("web", "web4").load;
    auto next = Fixture::three();
    next->pools[0].backends.push_back(backend("web4", "10.0.0.4:80", 3));
    f.registry.apply(next);
    CHECK(f.at("web", "web4").load == load);
    CHECK_FALSE(f.status("web", "web4").added);
  }
}

TEST_CASE("what cannot be a backend is not added") {
  Fixture f;
  all_up(f);
  CHECK(f.registry.add("nope", "a", "10.0.0.4:80").error().kind == Kind::Unknown);
  CHECK(f.registry.add("web", "a b", "10.0.0.4:80").error().kind == Kind::Usage);
  CHECK(f.registry.add("web", "a*", "10.0.0.4:80").error().kind == Kind::Usage);
  CHECK(f.registry.add("web", "a", "10.0.0.4").error().kind == Kind::Usage);
  CHECK(f.registry.add("web", "a", "10.0.0.4:80", 257).error().kind == Kind::Usage);
  CHECK(f.registry.add("web", "a", "127.0.0.1:8080").error().kind == Kind::Refused);
}

TEST_CASE("a removed backend gets no session, and a reload brings the file's own back") {
  Fixture f;
  all_up(f);
  Lease session = Lease::take(f.at("web", "web2").load);
  REQUIRE(f.registry.remove("web/web2"));
  CHECK(f.registry.table()->find("web")->find("web2") == nullptr);
  CHECK(f.status("web", "web2").removed);
  const auto again = f.registry.remove("web/web2");
  REQUIRE(again);
  CHECK_FALSE(again->published);
  CHECK(f.registry.set_admin("web/web2", Admin::Drained).error().kind == Kind::Refused);
  f.registry.apply(Fixture::three());
  CHECK(f.at("web", "web2").load.get() == session.get());
  CHECK(f.at("web", "web2").health == Health::Unknown);
}

TEST_CASE("a removed backend can be added again") {
  Fixture f;
  all_up(f);
  REQUIRE(f.registry.remove("web/web2"));
  REQUIRE(f.registry.add("web", "web2", "10.0.0.2:80"));
  CHECK(f.at("web", "web2").health == Health::Unknown);
  CHECK(f.registry.table()->find("web")->backends().size() == 3);
}

TEST_CASE("explain names the backend, and why each of the others is not eligible") {
  Fixture f;
  all_up(f);
  REQUIRE(f.registry.set_admin("web/web2", Admin::Drained));
  f.down("web", "web3");
  const auto why = f.registry.explain("web", "203.0.113.9");
  REQUIRE(why);
  CHECK(why->backend == "web1");
  CHECK_FALSE(why->because.empty());
  CHECK(why->excluded == std::vector<std::pair<std::string, std::string>>{{"web2", "drained by an operator"},
                                                                          {"web3", "down: 3 probes failed"}});
  CHECK(f.registry.explain("web", "nonsense").error().kind == Kind::Usage);
  CHECK(f.registry.explain("db", "203.0.113.9").error().kind == Kind::Unknown);
}

TEST_CASE("under try_all a backend that is used although down is eligible and says so") {
  Fixture f;
  auto file = Fixture::three();
  file->pools[0].on_all_down = OnAllDown::TryAll;
  f.registry.apply(file);
  for (const auto* name : {"web1", "web2", "web3"}) f.down("web", name);
  CHECK(f.status("web", "web1").eligible);
  CHECK(f.status("web", "web1").reason.find("used although down") != std::string::npos);
}

TEST_CASE("the counters of a listener outlive it") {
  Fixture f;
  f.registry.apply(Fixture::three());
  auto& load = f.registry.listener_load("front", "web");
  load.active = 3;
  load.accepted[0].value = 10;
  load.accepted[1].value = 5;
  CHECK(f.registry.status()->listeners.at(0).total == 15);
  auto next = Fixture::three();
  next->listeners[0].name = "other";
  f.registry.apply(next);
  CHECK(f.registry.status()->listeners.at(0).total == 0);
  CHECK(f.registry.status()->total == 15);
  CHECK(f.registry.status()->active == 3);
}

TEST_CASE("a word that was said for a time ends by itself, whoever is left, and the file's is in force") {
  Fixture f;
  all_up(f);
  REQUIRE(
      f.registry.set_admin("web/web1", Admin::Drained, false, {.by = "ann", .comment = "disk", .lasts = 2h}));
  REQUIRE(f.registry.set_weight("web/web1", 5, {.by = "bob", .lasts = 1h}));
  REQUIRE(f.registry.set_weight("web/web2", 6));
  CHECK(f.registry.next_word_end() == f.registry.overrides().at({"web", "web1"}).weight->until);
  f.now += 1h;
  CHECK(f.registry.end_words().empty());
  CHECK(f.at("web", "web1").weight == 1);
  CHECK(f.at("web", "web1").admin == Admin::Drained);
  f.now += 1h - 1ms;
  CHECK(f.registry.end_words().empty());
  CHECK(f.at("web", "web1").admin == Admin::Drained);
  f.now += 1ms;
  CHECK(f.registry.end_words() == std::vector<BackendId>{f.at("web", "web1").id()});
  CHECK(f.at("web", "web1").eligible());
  CHECK(f.at("web", "web2").weight == 6);
  CHECK_FALSE(f.registry.next_word_end());
  CHECK(f.registry.overrides().size() == 1);
}

TEST_CASE("a disable that ends by itself leaves the backend unknown until a probe has passed") {
  Fixture f;
  all_up(f);
  REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled, false, {.lasts = 1s}));
  f.now += 1s;
  CHECK(f.registry.end_words().size() == 1);
  CHECK(f.at("web", "web1").health == Health::Unknown);
}

TEST_CASE("saying it again says nothing new, but for what is said with it") {
  Fixture f;
  all_up(f);
  const auto word = [&] { return *f.registry.overrides().at({"web", "web1"}).admin; };
  REQUIRE(f.registry.set_admin("web/web1", Admin::Drained, false, {.by = "ann", .comment = "disk"}));
  const auto first = word();
  f.now += 1s;
  SECTION("nothing with it") {
    REQUIRE(f.registry.set_admin("web/web1", Admin::Drained, false, {.by = "bob"}));
    CHECK(word() == first);
  }
  SECTION("a time: the comment stays, and since when") {
    REQUIRE(f.registry.set_admin("web/web1", Admin::Drained, false, {.by = "bob", .lasts = 1h}));
    CHECK(word().by == "bob");
    CHECK(word().comment == "disk");
    CHECK(word().since == first.since);
    REQUIRE(word().until);
    f.now += 1s;
    // Whoever drains it without an end means what they say.
    REQUIRE(f.registry.set_admin("web/web1", Admin::Drained, false, {.by = "eve"}));
    CHECK_FALSE(word().until);
    CHECK(word().by == "eve");
  }
  SECTION("another word is another's") {
    REQUIRE(f.registry.set_admin("web/web1", Admin::Disabled, false, {.by = "bob"}));
    CHECK(word().comment.empty());
    CHECK(word().since != first.since);
  }
}

TEST_CASE("what the file says already does not end by itself, and the operator is told") {
  Fixture f;
  all_up(f);
  const auto change = f.registry.set_weight("web/web1", 1, {.lasts = 1h});
  REQUIRE(change);
  CHECK(change->notes ==
        std::vector<std::string>{"web/web1 has weight 1 by the file: nothing ends by itself"});
  CHECK_FALSE(f.registry.next_word_end());
}
