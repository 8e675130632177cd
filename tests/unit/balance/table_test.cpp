#include "lb/balance/table.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/timing.h"
#include "tests/unit/balance/group.h"

using namespace weir;

namespace {

std::string any_kind() {
  return GENERATE("round_robin", "least_connections", "source_hash", "random_two");
}

}  // namespace

TEST_CASE("the balancers are known by their names") {
  std::vector<std::string> names;
  for (const BalancerKind& kind : balancer_kinds()) names.emplace_back(kind.name);
  CHECK(names == std::vector<std::string>{"round_robin", "least_connections", "source_hash", "random_two",
                                          "least_time", "first"});
  for (const std::string& name : names) CHECK(find_balancer_kind(name)->name == name);
  CHECK(find_balancer_kind("random") == nullptr);
  CHECK(find_balancer_kind("") == nullptr);
}

TEST_CASE("only eligible backends are picked") {
  Group group(any_kind(), {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}, {"f", 1}});
  group["a"].admin = Admin::Drained;
  group["b"].admin = Admin::Disabled;
  group["c"].health = Health::Down;
  group["d"].health = Health::Unknown;
  group["e"].addresses.clear();
  group.build();
  for (std::uint32_t n = 0; n < 50; ++n) CHECK(group.pool->pick({client_number(n), {}})->name == "f");
  CHECK(group.pool->any_eligible());
  group["f"].admin = Admin::Drained;
  group.build();
  CHECK(group.pool->pick({}) == nullptr);
  CHECK_FALSE(group.pool->any_eligible());
  std::vector<std::string> because;
  CHECK(group.pool->explain({}, because).backend == nullptr);
  CHECK(because == std::vector<std::string>{"no backend is eligible"});
}

TEST_CASE("an empty pool picks nobody") {
  Group group(any_kind());
  group.build();
  CHECK(group.pool->pick({}) == nullptr);
  group.add("a");
  group.build();
  CHECK(group.pool->pick({})->name == "a");
  group.backends.clear();
  group.build();
  CHECK(group.pool->pick({}) == nullptr);
}

TEST_CASE("each eligible backend is picked once when each pick is added to the tried") {
  Group group(any_kind(), {{"a", 256}, {"b", 1}, {"c", 7}, {"d", 1}});
  group.add("x", 3, true);
  group.add("y", 1, true);
  group["c"].health = Health::Down;
  group["d"].share_percent = 1;
  group.build();
  for (std::uint32_t n = 0; n < 40; ++n) {
    std::vector<BackendId> tried;
    std::vector<std::string> names;
    while (const Backend* backend = group.pool->pick({client_number(n), tried})) {
      std::vector<std::string> because;
      REQUIRE(names.size() < 5);
      names.push_back(backend->name);
      tried.push_back(backend->id());
      const Backend* next = group.pool->explain({client_number(n), tried}, because).backend;
      REQUIRE((next == nullptr) == (names.size() == 5));
    }
    REQUIRE(names.size() == 5);
    std::sort(names.begin(), names.begin() + 3);
    std::sort(names.begin() + 3, names.end());
    REQUIRE(names == std::vector<std::string>{"a", "b", "d", "x", "y"});  // primaries before backups
  }
}

TEST_CASE("backups are used only when no primary is eligible") {
  Group group(any_kind(), {{"a", 1}, {"b", 1}});
  group.add("spare", 256, true);
  group.build();
  const auto used = [&] {
    std::set<std::string> names;
    for (std::uint32_t n = 0; n < 64; ++n) names.insert(group.pool->pick({client_number(n), {}})->name);
    return names;
  };
  CHECK(used() == std::set<std::string>{"a", "b"});
  group.set("a", Health::Down);
  CHECK(used() == std::set<std::string>{"b"});
  group.set("b", Health::Down);
  CHECK(used() == std::set<std::string>{"spare"});
  std::vector<std::string> because;
  CHECK(group.pool->explain({}, because).backend->name == "spare");
  CHECK(because[0] == "no primary is eligible: a backup is used");
  group.set("a", Health::Up);
  CHECK(used() == std::set<std::string>{"a"});
}

TEST_CASE("without try_all nobody is used when all are down") {
  Group group(any_kind(), {{"a", 1}, {"b", 1}});
  for (Backend& backend : group.backends) backend.health = Health::Down;
  group.build();
  CHECK(group.pool->pick({}) == nullptr);
  CHECK(group.pool->backends()[0].reason == "probe passed");
}

TEST_CASE("try_all uses every enabled backend when none is up, and the reason says so once") {
  Group group(any_kind(), {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}});
  group.settings.try_all_when_down = true;
  for (Backend& backend : group.backends) {
    backend.health = Health::Down;
    backend.reason = "connection refused";
  }
  group["c"].admin = Admin::Drained;
  group["d"].addresses.clear();
  group.build();
  for (int round = 0; round < 3; ++round) {
    std::set<std::string> names;
    for (std::uint32_t n = 0; n < 64; ++n) names.insert(group.pool->pick({client_number(n), {}})->name);
    CHECK(names == std::set<std::string>{"a", "b"});
    CHECK(group.pool->any_eligible());
    CHECK(group.pool->find("a")->eligible());
    CHECK(group.pool->find("a")->reason == "connection refused; used although down (on_all_down = try_all)");
    CHECK(group.pool->find("c")->reason == "connection refused");
    CHECK_FALSE(group.pool->find("c")->eligible());
    group.backends = group.pool->backends();  // what the registry does: copy, change one field
    group.build();
  }
  std::vector<std::string> because;
  const Backend* used = group.pool->explain({}, because).backend;
  CHECK(because.back() == used->name + " is used although down: no backend is up (on_all_down = try_all)");

  group["a"].reason = "connect timed out";  // a new reason while it is used
  group.build();
  CHECK(group.pool->find("a")->reason == "connect timed out; used although down (on_all_down = try_all)");
  group.backends = group.pool->backends();
  group["b"].reason = "probe passed";
  group.set("b", Health::Up);
  CHECK(group.pool->find("a")->reason == "connect timed out");
  CHECK_FALSE(group.pool->find("a")->eligible());
  CHECK(group.pool->find("b")->reason == "probe passed");
}

TEST_CASE("try_all leaves the down ones alone while a backup is up") {
  Group group(any_kind(), {{"a", 1}});
  group.add("spare", 1, true);
  group.settings.try_all_when_down = true;
  group.set("a", Health::Down);
  CHECK(group.pool->pick({})->name == "spare");
  CHECK_FALSE(group.pool->find("a")->eligible());
}

namespace {

/// An unprobed pool of primaries a, b, c and the backups x, y.
struct Unprobed : Group {
  explicit Unprobed(std::string kind) : Group(std::move(kind), {{"a", 1}, {"b", 1}, {"c", 1}}) {
    add("x", 1, true);
    add("y", 1, true);
    for (Backend& backend : backends) backend.unprobed = true;
  }
  void eject(std::string_view name) { (*this)[name].health = Health::Down; }
  void try_out(std::string_view name) {
    (*this)[name].health = Health::Up;
    (*this)[name].on_trial = true;
  }
  /// Whom 64 clients get who all begin at the same moment, each as "a" or, when it holds the trial, "A".
  std::set<std::string> used() const {
    std::set<std::string> names;
    for (std::uint32_t n = 0; n < 64; ++n) {
      const Backend* const backend = pool->pick({client_number(n), {}});
      if (backend == nullptr) continue;
      std::string name = backend->name;
      if (backend->for_one_session()) name[0] = static_cast<char>(std::toupper(name[0]));
      names.insert(names.contains(name) && name != backend->name ? name + " again" : name);
    }
    return names;
  }
};

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("an ejected backend gets no session while another one is in rotation, be it a backup") {
  Unprobed group(any_kind());
  group.eject("a");
  group.build();
  CHECK(group.used() == Names{"b", "c"});
  group.eject("b");
  group.build();
  CHECK(group.used() == Names{"c"});
  group.eject("c");
  group.build();
  CHECK(group.used() == Names{"x", "y"});
  CHECK_FALSE(group.pool->find("c")->eligible());
}

TEST_CASE("an ejection that would take the last backend in rotation takes nobody") {
  Unprobed group(any_kind());
  group.settings.try_all_when_down = GENERATE(false, true);
  for (const char* name : {"a", "b", "c", "x", "y"}) group.eject(name);
  SECTION("all are used, primaries first") {
    group.build();
    CHECK(group.used() == Names{"a", "b", "c"});
    for (const Backend& backend : group.pool->backends()) {
      CHECK(backend.eligible());
      CHECK_FALSE(backend.used_although_down);
    }
    std::vector<std::string> because;
    const Backend* const used = group.pool->explain({}, because).backend;
    REQUIRE(used != nullptr);
    CHECK(because.back() == used->name + " is used although ejected: no backend of the pool is in rotation");
  }
  SECTION("but those that the operator keeps out") {
    group["a"].admin = Admin::Drained;
    group["b"].admin = Admin::Disabled;
    group["c"].addresses.clear();
    group.build();
    CHECK(group.used() == Names{"x", "y"});
  }
  SECTION("until one of them has worked") {
    group.build();
    group.backends = group.pool->backends();  // what the registry does: copy, change one field
    group.set("b", Health::Up);
    CHECK(group.used() == Names{"b"});
    CHECK_FALSE(group.pool->find("a")->eligible());
  }
  SECTION("and those that a probe has found down stay out") {
    for (Backend& backend : group.backends) backend.unprobed = false;
    group.settings.try_all_when_down = false;
    group.build();
    CHECK(group.used().empty());
  }
}

TEST_CASE("of a pool that is probed in part only those that are not are a last resort") {
  Unprobed group(any_kind());
  for (const char* name : {"a", "b", "c", "x", "y"}) group.eject(name);
  group["a"].unprobed = false;
  group.build();
  CHECK(group.used() == Names{"b", "c"});
  group.set("a", Health::Up);
  CHECK(group.used() == Names{"a"});
}

TEST_CASE("the last one in rotation that an operator takes away leaves the ejected ones in use") {
  Unprobed group(any_kind());
  for (const char* name : {"b", "x", "y"}) group.eject(name);
  group.try_out("c");
  group.build();
  CHECK(group.used() == Names{"a", "C"});
  group["a"].admin = Admin::Drained;
  group.build();
  CHECK(group.used() == Names{"b", "c"});
  group["a"].admin = Admin::Enabled;
  group["c"].load->trial_taken = false;
  group.build();
  CHECK(group.used() == Names{"a", "C"});
}

TEST_CASE("a backend on trial gets one session while others are in rotation") {
  Unprobed group(any_kind());
  group.try_out("b");
  group.build();
  CHECK(group.used() == Names{"a", "B", "c"});
  CHECK(group["b"].load->trial_taken);
  CHECK(group.used() == Names{"a", "c"});
  group["b"].load->trial_taken = false;  // nothing was learnt
  CHECK(group.used() == Names{"a", "B", "c"});
}

TEST_CASE("backends on trial are used by every session when nobody is in rotation") {
  Unprobed group(any_kind());
  for (const char* name : {"a", "b", "c", "x"}) group.try_out(name);
  group.eject("y");
  for (const Backend& backend : group.backends) backend.load->trial_taken = true;
  group.build();
  CHECK(group.used() == Names{"a", "b", "c"});
}

TEST_CASE("a backup in rotation serves while a single session tries each primary on trial") {
  Unprobed group(any_kind());
  for (const char* name : {"a", "b", "c"}) group.try_out(name);
  group.eject("y");
  group.build();
  CHECK(group.used() == Names{"A", "B", "C", "x"});
}

TEST_CASE("a trial leaves the others their even shares") {
  Unprobed group("round_robin");
  group.try_out("b");
  group["b"].load->trial_taken = true;
  group.build();
  CHECK(group.counts(60) == std::map<std::string, int>{{"a", 30}, {"c", 30}});
}

TEST_CASE("under source_hash a trial is made with a client of that backend, and moves no other") {
  Unprobed group("source_hash");
  group.build();
  std::vector<std::string> before;
  for (std::uint32_t n = 0; n < 500; ++n) before.push_back(group.pool->pick({client_number(n), {}})->name);
  group.try_out("b");
  group.build();
  for (std::uint32_t n = 0; n < 500; ++n) {
    const Backend* const backend = group.pool->pick({client_number(n), {}});
    if (before[n] != "b") REQUIRE(backend->name == before[n]);
  }
  CHECK(group["b"].load->trial_taken);
}

TEST_CASE("who has tried all others gets one that is ejected, and never one that another session tries") {
  Unprobed group(any_kind());
  group.eject("b");
  group.try_out("c");
  group["c"].load->trial_taken = true;
  group.eject("x");
  group["x"].load->active = 0;
  group["b"].load->active = 5;
  group["c"].load->active = 1;
  group.build();
  std::vector<BackendId> tried;
  std::string names;
  while (const Backend* const backend = group.pool->pick({{}, tried})) {
    names += backend->name;
    tried.push_back(backend->id());
  }
  CHECK(names == "aybx");
}

TEST_CASE("what a client would get tells of a trial, and does not take it") {
  Unprobed group(any_kind());
  group.try_out("a");
  group["b"].admin = group["c"].admin = Admin::Drained;
  group["y"].admin = Admin::Drained;
  group.build();
  std::vector<std::string> because;
  CHECK(group.pool->explain({}, because).backend->name == "a");
  CHECK(because.back() == "a is on trial: this session alone would try it");
  CHECK_FALSE(group["a"].load->trial_taken);
  group["a"].load->trial_taken = true;
  CHECK(group.pool->explain({}, because).backend->name == "x");
}

TEST_CASE("a pool that changes its balancer starts the new one afresh") {
  Group group("round_robin", {{"a", 1}, {"b", 1}, {"c", 1}});
  group.build();
  CHECK(group.picks(1) == "a");
  group.settings.balance = "least_connections";
  group.build();
  CHECK(group.picks(3) == "abc");
  group.settings.balance = "source_hash";
  group.build();
  CHECK(group.pool->pick({}) == group.pool->pick({}));
}

TEST_CASE("primaries and backups keep a sequence each") {
  Group group("round_robin", {{"a", 1}, {"b", 1}});
  group.add("x", 1, true);
  group.add("y", 1, true);
  group.build();
  const std::vector<BackendId> tried{group["a"].id(), group["b"].id()};
  CHECK(group.picks(1) == "a");
  CHECK(group.picks(1, {{}, tried}) == "x");
  group.build();
  CHECK(group.picks(1, {{}, tried}) == "y");
  CHECK(group.picks(1) == "b");
}

TEST_CASE("backends and pools are found by name and id") {
  Group group("round_robin", {{"a", 1}, {"b", 1}});
  group.settings.name = "web";
  group.build();
  CHECK(group.pool->find("b") == &group.pool->backends()[1]);
  CHECK(group.pool->find(group["a"].id()) == &group.pool->backends()[0]);
  CHECK(group.pool->find("z") == nullptr);
  CHECK(group.pool->find(BackendId{1}) == nullptr);
  const Table table{1, {group.pool}};
  CHECK(table.find("web") == group.pool);
  CHECK(table.find("api") == nullptr);
}

TEST_CASE("ten thousand backends of random weights are built, changed and all used") {
  constexpr std::uint32_t kMany = test::kSanitized ? 2'000 : 10'000;
  const std::string kind = any_kind();
  CAPTURE(kind);
  Group group(kind);
  for (std::uint32_t i = 0; i < kMany; ++i) group.add(fmt::format("web{}", i), 1 + i * 7919 % 256);
  group.build();
  group.set("web77", Health::Down);
  const Backend* gone = group.pool->find("web77");
  for (std::uint32_t n = 0; n < 2000; ++n) REQUIRE(group.pool->pick({client_number(n), {}}) != gone);
  group.set("web77", Health::Up);
  std::set<const Backend*> used;
  for (std::uint32_t n = 0; n < 2000; ++n) used.insert(group.pool->pick({client_number(n), {}}));
  CHECK(used.size() > (test::kSanitized ? 700U : 1500U));
}
