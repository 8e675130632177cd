#include <arpa/inet.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <set>

#include "tests/unit/balance/group.h"

using namespace weir;

namespace {

constexpr std::uint32_t kClients = 10'000;

Group webs(int count) {
  Group group("source_hash");
  for (int i = 1; i <= count; ++i) group.add(fmt::format("web{}", i));
  return group;
}

std::vector<std::string> map_of(const Pool& pool, std::uint32_t clients = kClients) {
  std::vector<std::string> names;
  for (std::uint32_t n = 0; n < clients; ++n) names.push_back(pool.pick({client_number(n), {}})->name);
  return names;
}

std::map<std::string, int> tally(const std::vector<std::string>& map) {
  std::map<std::string, int> counts;
  for (const std::string& name : map) ++counts[name];
  return counts;
}

/// The same backends in a pool that has no history.
std::vector<std::string> map_from_nothing(const Group& group, std::uint32_t clients = kClients) {
  return map_of(*Pool::build(group.settings, group.backends, nullptr), clients);
}

}  // namespace

TEST_CASE("source hash: the same client always gets the same backend, whatever its port") {
  Group group = webs(5);
  const Pool& pool = group.build();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = inet_addr("203.0.113.9");
  std::set<std::string> names;
  for (std::uint16_t port = 1000; port < 1100; ++port) {
    address.sin_port = htons(port);
    sockaddr_storage storage{};
    std::memcpy(&storage, &address, sizeof address);
    const void* generic = &storage;
    names.insert(pool.pick({ClientAddress(static_cast<const sockaddr*>(generic)), {}})->name);
  }
  CHECK(names.size() == 1);
}

TEST_CASE("source hash: an IPv4-mapped address is the IPv4 address") {
  Group group = webs(50);
  const Pool& pool = group.build();
  for (int i = 1; i < 200; ++i) {
    const auto plain = *ClientAddress::parse_ip(fmt::format("127.0.0.{}", i));
    const auto mapped = *ClientAddress::parse_ip(fmt::format("::ffff:127.0.0.{}", i));
    REQUIRE(pool.pick({plain, {}}) == pool.pick({mapped, {}}));
  }
}

TEST_CASE("source hash: the largest of five equal backends has at most 1.25 of the mean") {
  Group group = webs(5);
  for (const auto& [name, clients] : tally(map_of(group.build()))) {
    CAPTURE(name);
    CHECK(clients <= 2500);
    CHECK(clients >= 1600);
  }
}

TEST_CASE("source hash: neighbouring IPv6 clients spread as well") {
  Group group = webs(5);
  const Pool& pool = group.build();
  std::map<std::string, int> by_host;
  std::map<std::string, int> by_network;
  for (int i = 0; i < 5000; ++i) {
    ++by_host[pool.pick({*ClientAddress::parse_ip(fmt::format("2001:db8::{:x}", i + 1)), {}})->name];
    ++by_network[pool.pick({*ClientAddress::parse_ip(fmt::format("2001:db8:{:x}::1", i + 1)), {}})->name];
  }
  for (const auto& [name, clients] : by_host) CHECK(clients <= 1250);
  for (const auto& [name, clients] : by_network) CHECK(clients <= 1250);
  CHECK(by_host.size() == 5);
  CHECK(by_network.size() == 5);
}

TEST_CASE("source hash: clients come in proportion to the weights") {
  Group group("source_hash", {{"a", 5}, {"b", 1}, {"c", 4}});
  const auto counts = tally(map_of(group.build(), 100'000));
  CHECK(std::abs(counts.at("a") - 50'000) < 1200);
  CHECK(std::abs(counts.at("b") - 10'000) < 1200);
  CHECK(std::abs(counts.at("c") - 40'000) < 1200);

  Group wide("source_hash", {{"a", 256}, {"b", 1}});
  const auto few = tally(map_of(wide.build(), 100'000));
  CHECK(few.at("b") > 200);
  CHECK(few.at("b") < 600);
}

TEST_CASE("source hash: the order of the file does not matter") {
  Group group = webs(40);
  group["web7"].weight = 9;
  const std::vector<std::string> map = map_of(group.build());
  std::mt19937 random(3);  // NOLINT: the same cases every time
  for (int i = 0; i < 5; ++i) {
    std::shuffle(group.backends.begin(), group.backends.end(), random);
    CHECK(map_from_nothing(group) == map);
    CHECK(map_of(group.build()) == map);
  }
}

TEST_CASE("source hash: a backend that leaves moves its own clients only, and gets exactly those back") {
  const bool by_health = GENERATE(true, false);
  Group group = webs(10);
  const std::vector<std::string> before = map_of(group.build());
  const std::vector<Backend> all = group.backends;
  if (by_health) {
    group.set("web4", Health::Down);
  } else {
    group.backends.erase(group.backends.begin() + 3);
    group.build();
  }
  const std::vector<std::string> without = map_of(*group.pool);
  std::map<std::string, int> took_over;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == "web4") {
      REQUIRE(without[i] != "web4");
      ++took_over[without[i]];
    } else {
      REQUIRE(without[i] == before[i]);
    }
  }
  CHECK(took_over.size() == 9);  // spread over all that stay
  for (const auto& [name, clients] : took_over) CHECK(clients < 250);
  CHECK(map_from_nothing(group) == without);
  group.backends = all;
  CHECK(map_of(group.build()) == before);
}

TEST_CASE("source hash: an addition takes clients for itself only") {
  Group group = webs(10);
  const std::vector<std::string> before = map_of(group.build());
  group.add("new", 2);
  const std::vector<std::string> after = map_of(group.build());
  for (std::size_t i = 0; i < before.size(); ++i) REQUIRE((after[i] == before[i] || after[i] == "new"));
  CHECK(after == map_from_nothing(group));
}

TEST_CASE("source hash: more weight only takes, less weight only gives") {
  Group group = webs(10);
  group["web3"].weight = 2;
  const std::vector<std::string> before = map_of(group.build());
  group["web3"].weight = 3;
  const std::vector<std::string> more = map_of(group.build());
  for (std::size_t i = 0; i < before.size(); ++i) REQUIRE((more[i] == before[i] || more[i] == "web3"));
  CHECK(more == map_from_nothing(group));
  group["web3"].weight = 2;
  CHECK(map_of(group.build()) == before);
}

TEST_CASE("source hash: after any history the map is the one built from nothing") {
  Group group = webs(60);
  group.build();
  std::mt19937 random(11);  // NOLINT: the same cases every time
  for (int round = 0; round < 60; ++round) {
    const std::size_t changes = round % 10 == 9 ? 50 : 1 + random() % 3;
    for (std::size_t i = 0; i < changes; ++i) {
      Backend& backend = group.backends[random() % group.backends.size()];
      backend.health = random() % 2 == 0 ? Health::Down : Health::Up;
      if (random() % 4 == 0) backend.weight = 1 + static_cast<std::uint32_t>(random()) % 256;
    }
    REQUIRE(map_of(group.build(), 3000) == map_from_nothing(group, 3000));
  }
}

TEST_CASE("source hash: the map of these names never changes") {
  // Weirs of different versions may stand side by side: these values are a promise.
  Group group("source_hash", {{"web1", 1}, {"web2", 2}, {"web3", 1}, {"10.0.0.14:80", 5}});
  const Pool& pool = group.build();
  const auto name = [&](const char* ip) { return pool.pick({*ClientAddress::parse_ip(ip), {}})->name; };
  CHECK(name("127.0.0.1") == "web1");
  CHECK(name("10.0.0.1") == "web3");
  CHECK(name("10.0.0.2") == "web3");
  CHECK(name("192.168.1.77") == "web1");
  CHECK(name("203.0.113.9") == "10.0.0.14:80");
  CHECK(name("203.0.113.10") == "10.0.0.14:80");
  CHECK(name("255.255.255.255") == "web2");
  CHECK(name("::1") == "10.0.0.14:80");
  CHECK(name("2001:db8::1") == "10.0.0.14:80");
  CHECK(name("2001:db8::2") == "10.0.0.14:80");
  CHECK(pool.pick({})->name == "10.0.0.14:80");  // every client of a unix listener
}

TEST_CASE("source hash: a backend in slow start admits more and more of its own clients") {
  Group group = webs(5);
  const std::vector<std::string> full = map_of(group.build());
  group.set("web2", Health::Down);
  const std::vector<std::string> without = map_of(*group.pool);
  group["web2"].health = Health::Up;
  const auto own = std::count(full.begin(), full.end(), "web2");
  std::vector<bool> admitted(kClients);
  for (const std::uint32_t percent : {1u, 5u, 20u, 50u, 80u, 99u, 100u}) {
    group["web2"].share_percent = percent;
    const std::vector<std::string> map = map_of(group.build());
    for (std::size_t i = 0; i < map.size(); ++i) {
      const bool now = map[i] == "web2";
      REQUIRE((now || !admitted[i]));  // once admitted, for good
      REQUIRE(map[i] == (now ? full[i] : without[i]));
      admitted[i] = now;
    }
    const auto part =
        static_cast<double>(std::count(map.begin(), map.end(), "web2")) / static_cast<double>(own);
    CHECK(std::abs(part * 100 - percent) < 4);
  }
  CHECK(map_of(*group.pool) == full);
}

TEST_CASE("source hash: when all are in slow start every client has a backend") {
  Group group = webs(3);
  group["web1"].share_percent = 10;
  group["web2"].share_percent = 20;
  group["web3"].share_percent = 20;
  const auto counts = tally(map_of(group.build()));
  CHECK(counts.at("web1") > 1000);
  CHECK(counts.at("web1") < 2300);
  // Tried ones do not come back, though the only one left does not admit this client yet.
  const std::vector<BackendId> tried{group["web2"].id(), group["web3"].id()};
  for (std::uint32_t n = 0; n < 100; ++n)
    REQUIRE(group.pool->pick({client_number(n), tried})->name == "web1");
}

TEST_CASE("source hash: a retry goes where the client would go were the tried backend gone") {
  Group group = webs(8);
  const Pool& all = group.build();
  for (std::uint32_t n = 0; n < 300; ++n) {
    const ClientAddress client = client_number(n);
    const Backend* first = all.pick({client, {}});
    const std::vector<BackendId> tried{first->id()};
    Group rest = group;
    rest[first->name].health = Health::Down;
    REQUIRE(all.pick({client, tried})->name == rest.build().pick({client, {}})->name);
  }
}

TEST_CASE("source hash: more than 1,024 backends get 64 slots each") {
  Group group = webs(1025);
  std::vector<std::string> because;
  group.build().explain({client_number(1), {}}, because);
  CHECK(because[0].find(" of 131072") != std::string::npos);
  group.set("web1", Health::Down);  // configured all the same
  because.clear();
  group.pool->explain({client_number(1), {}}, because);
  CHECK(because[0].find(" of 131072") != std::string::npos);
}

TEST_CASE("explain of source hash names the slot and its owner, and who is next") {
  Group group = webs(3);
  const Pool& pool = group.build();
  const ClientAddress client = *ClientAddress::parse_ip("203.0.113.9");
  const std::string first = pool.pick({client, {}})->name;
  std::vector<std::string> because;
  CHECK(pool.explain({client, {}}, because).backend->name == first);
  REQUIRE(because.size() == 2);
  CHECK(because[0].rfind("source_hash: slot ", 0) == 0);
  CHECK(because[0].find(" of 65536") != std::string::npos);
  CHECK(because[1].find(" belongs to " + first) != std::string::npos);

  const std::vector<BackendId> tried{group[first].id()};
  because.clear();
  const Backend* second = pool.explain({client, tried}, because).backend;
  CHECK(second == pool.pick({client, tried}));
  REQUIRE(because.size() == 4);
  CHECK(because[2] == first + " has been tried already");
  CHECK(because[3].find(" is " + second->name) != std::string::npos);
}

TEST_CASE("a bounded source hash gives nobody more than its bounded share, whatever addresses clients have") {
  const std::uint32_t weight = GENERATE(1u, 3u);
  CAPTURE(weight);
  Group group("source_hash", {{"a", weight}, {"b", 1}, {"c", 1}});
  group.settings.terms.hash_bound = 1.25;
  group.build();
  // One client alone, as behind one NAT: without a bound all would go to one backend.
  std::uint32_t sessions = 0;
  for (; sessions < 300; ++sessions) {
    const std::string name = group.pool->pick({client_number(7), {}})->name;
    group.fill(name, 1);
    const double weights = weight + 2;
    for (const Backend& backend : group.backends)
      REQUIRE(backend.load->active.load() <= std::ceil(1.25 * (sessions + 1) * backend.weight / weights));
  }
}

TEST_CASE("a bound moves only clients of those who have their share, and to their own next backends") {
  Group group("source_hash", {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}});
  group.build();
  std::map<std::uint32_t, std::string> own;
  for (std::uint32_t client = 0; client < 200; ++client)
    own[client] = group.pool->pick({client_number(client), {}})->name;
  group.settings.terms.hash_bound = 2;
  group.build();
  for (std::uint32_t client = 0; client < 200; ++client) {
    const PickInput input{client_number(client), {}};
    if (group[own[client]].load->active == 0) CHECK(group.pool->pick(input)->name == own[client]);
  }
  group.fill("a", 50);
  for (std::uint32_t client = 0; client < 200; ++client) {
    const PickInput input{client_number(client), {}};
    const std::string now = group.pool->pick(input)->name;
    if (own[client] != "a") {
      CHECK(now == own[client]);
    } else {
      const BackendId tried[] = {group["a"].id()};
      CHECK(now == group.pool->pick({input.client, tried})->name);
    }
  }
}

TEST_CASE("when those within their bounds have been tried somebody goes beyond it") {
  Group group("source_hash", {{"a", 1}, {"b", 1}});
  group.settings.terms.hash_bound = 1.05;
  group.build();
  group.fill("a", 50);
  const BackendId tried[] = {group["b"].id()};
  CHECK(group.pool->pick({client_number(1), tried})->name == "a");
}
