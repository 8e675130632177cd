#include "lb/proxy/attempts.h"

#include <catch2/catch.hpp>

#include "tests/unit/balance/random_pool.h"

using namespace weir;

namespace {

constexpr std::uint64_t kTimeoutMs = 2'000;

/// A pool of backends "a", "b", … with that many addresses each, and one session that looks for one of them.
struct Search {
  explicit Search(const std::vector<std::size_t>& addresses) : group("round_robin") {
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      Backend& backend = group.add(std::string(1, static_cast<char>('a' + i)));
      backend.addresses.clear();
      for (std::size_t n = 0; n < addresses[i]; ++n)
        backend.addresses.push_back(*Address::parse_ip_port(fmt::format("10.0.{}.{}:80", i, n + 1)));
    }
    group.build();
  }

  /// "a 10.0.0.1:80", "wait for a source port", "no_backend"; a blamed backend comes first: "!a ".
  std::string next(std::uint64_t now_ms) {
    const std::string before = last;
    const Attempts::Next next = attempts.next(group.pool.get(), {}, now_ms);
    std::string said = attempts.take_blame() ? "!" + before + " " : "";
    if (const auto* const one = std::get_if<Attempts::Try>(&next)) {
      last = one->backend->name;
      until_ms = one->until_ms;
      return said + one->backend->name + " " + one->address->host_to_string();
    }
    if (const auto* const wait = std::get_if<Attempts::Wait>(&next)) {
      until_ms = wait->until_ms;
      key = wait->key;
      return said + "wait for " + std::string(to_string(wait->key.why));
    }
    if (std::holds_alternative<Attempts::GoOn>(next)) {
      last = hedged;
      return said + "go on";
    }
    return said + std::string(to_string(std::get<Attempts::GiveUp>(next).how));
  }
  /// The same after the last try has failed so.
  std::string after(ConnectFault fault, std::uint64_t now_ms = 0) {
    attempts.failed(fault);
    return next(now_ms);
  }

  /// Of a hedge: "b 10.0.1.1", "nobody".
  std::string hedge(std::uint64_t now_ms = 100) { return told(attempts.hedge(*group.pool, {}, now_ms)); }
  std::string hedge_after(ConnectFault fault, std::uint64_t now_ms = 100) {
    return told(attempts.next_of_hedge(group.pool.get(), fault, now_ms));
  }
  std::string told(const std::optional<Attempts::Try>& one) {
    if (!one) return "nobody";
    hedged = one->backend->name;
    until_ms = one->until_ms;
    return hedged + " " + one->address->host_to_string();
  }

  Group group;
  Attempts attempts;
  std::string last;
  std::string hedged;
  std::uint64_t until_ms = 0;
  WaitKey key;
};

}  // namespace

TEST_CASE("a backend that fails is tried at its other addresses, then blamed, then another is tried") {
  Search search({2, 1});
  CHECK(search.next(0) == "a 10.0.0.1");
  CHECK(search.after(ConnectFault::Backend) == "a 10.0.0.2");
  CHECK(search.after(ConnectFault::Backend) == "!a b 10.0.1.1");
  CHECK(search.after(ConnectFault::Backend) == "!b connect_failed");
  CHECK(search.attempts.count() == 2);
}

TEST_CASE("connect_timeout counts for the backend: its addresses share what is left of it") {
  Search search({4, 1});
  search.next(0);
  CHECK(search.until_ms == kTimeoutMs / 4);
  CHECK(search.after(ConnectFault::Backend, 100) == "a 10.0.0.2");  // it refused early: more for the others
  CHECK(search.until_ms == 100 + (kTimeoutMs - 100) / 3);
  CHECK(search.after(ConnectFault::Backend, 1'000) == "a 10.0.0.3");
  CHECK(search.until_ms == 1'500);
  CHECK(search.after(ConnectFault::Backend, 1'999) == "a 10.0.0.4");
  CHECK(search.until_ms == kTimeoutMs);
  CHECK(search.after(ConnectFault::Backend, kTimeoutMs) == "!a b 10.0.1.1");
  CHECK(search.until_ms == 2 * kTimeoutMs);
}

TEST_CASE("an address that this host cannot use hides no other one, and is nobody's fault") {
  Search search({2, 1});
  search.next(0);
  CHECK(search.after(ConnectFault::AddressUnusable) == "a 10.0.0.2");
  CHECK(search.after(ConnectFault::AddressUnusable) == "b 10.0.1.1");
  CHECK(search.after(ConnectFault::AddressUnusable) == "connect_failed");
}

TEST_CASE("no more backends are tried than connect_attempts says") {
  Search search({1, 1, 1, 1});
  search.next(0);
  CHECK(search.after(ConnectFault::Backend) == "!a b 10.0.1.1");
  CHECK(search.after(ConnectFault::Backend) == "!b c 10.0.2.1");
  CHECK(search.after(ConnectFault::Backend) == "!c connect_failed");
}

TEST_CASE("without a source port the others are tried first, and then the port is waited for") {
  Search search({2, 1});
  search.next(0);
  CHECK(search.after(ConnectFault::NoSourcePort) == "a 10.0.0.2");  // another address has ports of its own
  CHECK(search.after(ConnectFault::NoSourcePort) == "b 10.0.1.1");
  CHECK(search.after(ConnectFault::NoSourcePort, 10) == "wait for a source port");
  CHECK(search.key.of == search.group["a"].id());
  CHECK(search.until_ms == 10 + kTimeoutMs);
  CHECK(search.attempts.count() == 0);
  search.attempts.resume(false);
  const std::string again = search.next(20);
  CHECK((again == "a 10.0.0.1" || again == "b 10.0.1.1"));
  search.attempts.failed(ConnectFault::NoSourcePort);
  search.next(20);
  search.attempts.failed(ConnectFault::NoSourcePort);
  search.next(20);
  search.attempts.failed(ConnectFault::NoSourcePort);
  CHECK(search.next(kTimeoutMs + 10) == "connect_failed");
}

TEST_CASE("a shortage of ours is waited for with the same backend, and never held against it") {
  Search search({2, 1});
  search.next(0);
  CHECK(search.after(ConnectFault::Shortage) == "wait for a descriptor");
  CHECK(search.key == WaitKey{WaitFor::Descriptor, 0});
  CHECK(search.until_ms == kTimeoutMs);
  search.attempts.resume(false);
  CHECK(search.next(500) == "a 10.0.0.1");
  CHECK(search.after(ConnectFault::Shortage, kTimeoutMs) == "b 10.0.1.1");
  CHECK(search.after(ConnectFault::Shortage, 2 * kTimeoutMs) == "connect_failed");
}

TEST_CASE("a unix backend's full backlog is waited for, and held against it when it stays full") {
  Search search({1, 1});
  search.next(0);
  CHECK(search.after(ConnectFault::BacklogFull) == "wait for a unix backlog");
  CHECK(search.key == WaitKey{WaitFor::UnixBacklog, search.group["a"].id()});
  search.attempts.resume(false);
  CHECK(search.next(100) == "a 10.0.0.1");
  CHECK(search.after(ConnectFault::BacklogFull, 100) == "wait for a unix backlog");
  CHECK(search.next(kTimeoutMs) == "!a b 10.0.1.1");
}

TEST_CASE("a backend that is drained while a session waits for it gets that session no more") {
  Search search({1, 1});
  search.next(0);
  CHECK(search.after(ConnectFault::Shortage) == "wait for a descriptor");
  search.group["a"].admin = Admin::Drained;
  search.group.build();
  search.attempts.resume(false);
  CHECK(search.next(10) == "b 10.0.1.1");
}

TEST_CASE("when nobody is eligible a session waits for a first verdict that is to come, and only for that") {
  Search search({1, 1});
  search.group["a"].health = Health::Unknown;
  search.group["b"].health = Health::Down;
  search.group.build();
  CHECK(search.next(0) == "no_backend");
  search.group["a"].undecided = true;
  search.group.build();
  CHECK(search.next(100) == "wait for a first verdict");
  CHECK(search.until_ms == 100 + kTimeoutMs);
  search.attempts.resume(false);
  CHECK(search.next(200) == "wait for a first verdict");
  CHECK(search.until_ms == 100 + kTimeoutMs);
  search.group["a"].health = Health::Up;
  search.group.build();
  search.attempts.resume(false);
  CHECK(search.next(300) == "a 10.0.0.1");
  Search late({1});
  late.group["a"].health = Health::Unknown;
  late.group["a"].undecided = true;
  late.group.build();
  late.next(0);
  CHECK(late.next(kTimeoutMs) == "no_backend");
}

TEST_CASE("somebody who failed does not keep a session from waiting for somebody who is not known yet") {
  Search search({1, 1});
  search.group["b"].health = Health::Unknown;
  search.group["b"].undecided = true;
  search.group.build();
  CHECK(search.next(0) == "a 10.0.0.1");
  CHECK(search.after(ConnectFault::Backend) == "!a wait for a first verdict");
}

TEST_CASE("who has failed everybody in rotation is given to one that is ejected") {
  Search search({1, 1});
  for (Backend& backend : search.group.backends) backend.unprobed = true;
  search.group["b"].health = Health::Down;
  search.group.build();
  CHECK(search.next(0) == "a 10.0.0.1");
  CHECK(search.after(ConnectFault::Backend) == "!a b 10.0.1.1");
}

TEST_CASE("a backend that ends a session at once has failed with all its addresses") {
  Search search({3, 1});
  search.next(0);
  search.attempts.ended_at_once();
  CHECK(search.next(10) == "!a b 10.0.1.1");
}

TEST_CASE("without a pool there is no backend, and after a try it has failed") {
  Attempts attempts;
  CHECK(std::get<Attempts::GiveUp>(attempts.next(nullptr, {}, 0)).how == End::NoBackend);
}

namespace {

class Nobody final : public RoomWatcher {
 public:
  void on_room(std::uint32_t) override {}
};

}  // namespace

TEST_CASE("who finds everybody full queues for queue_timeout in all, and has then been turned away") {
  Search search({1, 1});
  for (const char* name : {"a", "b"}) {
    search.group.limit(name, 1);
    search.group.fill(name, 1);
  }
  search.group.build();
  CHECK(search.next(0) == "wait for a backend with room");
  CHECK(search.key == WaitKey{WaitFor::BackendSlot, search.group.queue->id});
  CHECK(search.until_ms == 5'000);
  CHECK(search.attempts.count() == 0);
  CHECK(search.next(100) == "wait for a backend with room");
  CHECK(search.until_ms == 5'000);
  search.group["b"].load->set_max_sessions(2);
  search.attempts.resume(true);
  CHECK(search.next(200) == "b 10.0.1.1");
  CHECK(search.after(ConnectFault::Backend, 300) == "!b wait for a backend with room");
  CHECK(search.until_ms == 5'000);
  CHECK(search.next(5'000) == "overloaded");
}

TEST_CASE("a place that another has taken first is no try") {
  Search search({1, 1});
  search.group.limit("a", 1);
  search.group.build();
  CHECK(search.next(0) == "a 10.0.0.1");
  search.group.fill("a", 1);
  search.attempts.was_full();
  CHECK(search.next(0) == "b 10.0.1.1");
  CHECK(search.attempts.count() == 1);
  CHECK(search.attempts.tried().empty());
}

TEST_CASE("a place in rotation that another has taken first is waited for, whoever is ejected") {
  Search search({1, 1});
  for (Backend& backend : search.group.backends) backend.unprobed = true;
  search.group["b"].health = Health::Down;
  search.group.limit("a", 1);
  search.group.build();
  CHECK(search.next(0) == "a 10.0.0.1");
  search.group.fill("a", 1);
  search.attempts.was_full();
  CHECK(search.next(0) == "wait for a backend with room");
  CHECK_FALSE(search.attempts.is_particular());
  search.attempts.resume(false);
  CHECK(search.next(1) == "wait for a backend with room");
}

TEST_CASE(
    "who has failed everybody else waits for another session's trial, and gets the backend when it worked") {
  Search search({1, 1});
  for (Backend& backend : search.group.backends) backend.unprobed = true;
  search.group["b"].on_trial = true;
  search.group["b"].load->trial_taken = true;
  search.group.build();
  CHECK(search.next(0) == "a 10.0.0.1");
  CHECK(search.after(ConnectFault::Backend) == "!a wait for a first verdict");
  CHECK(search.hedge() == "nobody");
  CHECK(search.group["b"].load->trial_taken);
  search.group["b"].on_trial = false;
  search.group.build();
  search.attempts.resume(false);
  CHECK(search.next(1) == "b 10.0.1.1");
}

TEST_CASE("a session does what explain says of one that comes now, in whatever state the pool is") {
  const std::string policy =
      GENERATE("round_robin", "least_connections", "source_hash", "random_two", "least_time", "first");
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    RandomPool random(policy, seed);
    const PickInput newcomer = random.newcomer();
    std::vector<std::string> because;
    const Pool& pool = *random.group.pool;
    const Choice foreseen = pool.explain(newcomer, because);
    const bool queue_is_full = pool.load()->queued() >= pool.settings().queue;
    const Attempts::Next next = Attempts().next(&pool, newcomer.client, newcomer.now_ms);
    CAPTURE(policy, seed, because, next.index());
    if (const auto* const wait = std::get_if<Attempts::Wait>(&next);
        wait != nullptr && !(wait->key.why == WaitFor::BackendSlot && queue_is_full)) {
      REQUIRE(foreseen.kind == Choice::Kind::Wait);
      REQUIRE(foreseen.wait_for == wait->key.why);
      continue;
    }
    const auto* const one = std::get_if<Attempts::Try>(&next);
    REQUIRE(foreseen.backend == (one != nullptr ? one->backend : nullptr));
    REQUIRE(foreseen.kind == (one != nullptr ? Choice::Kind::Chosen : Choice::Kind::None));
  }
}

TEST_CASE("newcomers stand behind those who wait, but for the one that is called") {
  Search search({1, 1});
  search.group.limit("a", 5);
  search.group.build();
  Nobody nobody;
  REQUIRE(search.group.queue->join(10, false, nobody) == PoolLoad::Joined::AsFirst);
  CHECK(search.next(0) == "wait for a backend with room");
  search.attempts.resume(false);
  CHECK(search.next(1) == "wait for a backend with room");
  search.attempts.resume(true);
  CHECK(search.next(2) == "a 10.0.0.1");
}

TEST_CASE("where nobody may wait a full pool turns away at once") {
  Search search({1});
  search.group.limit("a", 1);
  search.group.fill("a", 1);
  search.group.settings.queue = 0;
  search.group.build();
  CHECK(search.next(0) == "overloaded");
}

TEST_CASE("nobody waits for room with backends that are all out") {
  Search search({1});
  search.group.limit("a", 1);
  search.group.fill("a", 1);
  search.group.set("a", Health::Down);
  Nobody nobody;
  search.group.queue->join(10, false, nobody);
  CHECK(search.next(0) == "no_backend");
}

TEST_CASE("who has tried some, and waits, keeps no newcomer from the others") {
  Search search({1, 1});
  search.group.limit("a", 1);
  search.group.fill("a", 1);
  search.group.build();
  CHECK(search.next(0) == "b 10.0.1.1");
  CHECK(search.after(ConnectFault::Backend) == "!b wait for a backend with room");
  CHECK(search.attempts.is_particular());
  Nobody nobody;
  REQUIRE(search.group.queue->join(1, true, nobody) == PoolLoad::Joined::AsFirst);
  REQUIRE(search.group.queue->join(1, false, nobody) == PoolLoad::Joined::No);
  Attempts newcomer;
  CHECK(std::holds_alternative<Attempts::Try>(newcomer.next(search.group.pool.get(), {}, 0)));
  search.group.queue->leave(true);
  CHECK(search.group.queue->queued() == 0);
}

TEST_CASE(
    "a limit that the pool's version does not know of yet is waited for like any other, and never for ever") {
  Search search({1, 1});
  for (const char* name : {"a", "b"}) {
    search.group[name].load->set_max_sessions(1);
    search.group.fill(name, 1);
  }
  REQUIRE_FALSE(search.group.pool->limited());
  // Its roster asks the loads all the same, or is told by the Lease: either way it comes to an end.
  std::string said = search.next(0);
  for (int i = 0; i < 3 && said != "wait for a backend with room"; ++i) {
    search.attempts.was_full();
    said = search.next(0);
  }
  CHECK(said == "wait for a backend with room");
}

TEST_CASE(
    "one for whom no source port was left waits for room as one who is particular, and tries that one "
    "again") {
  Search search({1, 1});
  search.group.limit("b", 1);
  search.group.fill("b", 1);
  search.group.build();
  CHECK(search.next(0) == "a 10.0.0.1");
  CHECK(search.after(ConnectFault::NoSourcePort) == "wait for a backend with room");
  CHECK(search.attempts.is_particular());
  search.attempts.resume(true);
  CHECK(search.next(10) == "a 10.0.0.1");
}

TEST_CASE("a silent backend gets one hedge beside it, another one, with a time of its own") {
  Search search({1, 2, 1});
  search.next(0);
  CHECK(search.hedge() == "b 10.0.1.1");
  CHECK(search.until_ms == 100 + kTimeoutMs / 2);
  CHECK(search.attempts.count() == 2);
  CHECK(search.hedge_after(ConnectFault::Backend, 300) == "b 10.0.1.2");
  CHECK(search.until_ms == 100 + kTimeoutMs);
  CHECK(search.hedge_after(ConnectFault::Backend) == "nobody");
  CHECK(search.attempts.drop_hedge());
  CHECK(search.hedge() == "nobody");  // one for each session
  CHECK(search.after(ConnectFault::Backend) == "!a c 10.0.2.1");
}

TEST_CASE("when the first one fails its hedge is the attempt, and what follows knows of both") {
  Search search({2, 1, 1});
  search.next(0);
  CHECK(search.hedge() == "b 10.0.1.1");
  CHECK(search.after(ConnectFault::Backend) == "a 10.0.0.2");  // it has another address: both go on
  CHECK(search.after(ConnectFault::Backend) == "!a go on");
  CHECK(search.after(ConnectFault::Backend) == "!b c 10.0.2.1");
  CHECK(search.after(ConnectFault::Backend) == "!c connect_failed");
  CHECK(search.attempts.count() == 3);
}

TEST_CASE("nothing is held against the one that was slower") {
  Search search({1, 1});
  search.next(0);
  CHECK(search.hedge() == "b 10.0.1.1");
  search.attempts.hedge_won();
  search.attempts.ended_at_once();
  CHECK(search.next(0) == "!a a 10.0.0.1");  // "!a": the name of the last try; it is b that is blamed
  CHECK(search.attempts.tried() == std::vector<BackendId>{search.group["b"].id()});
}

TEST_CASE("a hedge that was lost to the first one has not been tried") {
  Search search({1, 1});
  search.next(0);
  CHECK(search.hedge() == "b 10.0.1.1");
  search.attempts.hedge_lost();
  search.attempts.ended_at_once();
  CHECK(search.next(0) == "!a b 10.0.1.1");
}

TEST_CASE(
    "a hedge for which there is no port, descriptor or place is none, and its backend is still to be had") {
  for (const auto fault : {ConnectFault::NoSourcePort, ConnectFault::Shortage, ConnectFault::BacklogFull}) {
    Search search({1, 1});
    search.next(0);
    CHECK(search.hedge() == "b 10.0.1.1");
    CHECK(search.hedge_after(fault) == "nobody");
    CHECK_FALSE(search.attempts.drop_hedge());
    CHECK(search.attempts.count() == 1);
    CHECK(search.after(ConnectFault::Backend) == "!a b 10.0.1.1");
  }
}

TEST_CASE("nobody is hedged onto who is full, on trial, wanted by others, or beyond connect_attempts") {
  const std::string why = GENERATE("full", "on trial", "wanted", "no attempt left");
  CAPTURE(why);
  Search search({1, 1});
  search.next(0);
  if (why == "full" || why == "wanted") search.group.limit("b", 1);
  if (why == "full") search.group.fill("b", 1);
  if (why == "on trial") search.group["b"].on_trial = true;
  if (why == "no attempt left") search.group.settings.connect_attempts = 1;
  search.group.build();
  Nobody nobody;
  if (why == "wanted") REQUIRE(search.group.queue->join(10, false, nobody) == PoolLoad::Joined::AsFirst);
  CHECK(search.hedge() == "nobody");
  CHECK_FALSE(search.attempts.drop_hedge());
  CHECK(search.attempts.count() == 1);
  CHECK_FALSE(search.group["b"].load->trial_taken);
}

TEST_CASE("whom another session tries is no hedge, and stays that session's") {
  Search search({1, 1});
  for (Backend& backend : search.group.backends) backend.unprobed = true;
  search.group["b"].on_trial = true;
  search.group["b"].load->trial_taken = true;
  search.group.build();
  search.next(0);
  CHECK(search.hedge() == "nobody");
  CHECK(search.group["b"].load->trial_taken);
}
