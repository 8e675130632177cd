#include "lb/admit/client_limits.h"

#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <vector>

using namespace weir;
using namespace std::chrono_literals;

namespace {

constexpr HashKey kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
constexpr Rate::Time kStart = 1000s;

ClientAddress client(std::string_view ip) {
  return *ClientAddress::parse_ip(ip);
}
ClientAddress numbered(std::uint32_t number) {
  return client(fmt::format("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255));
}

ClientLimit at_once(std::uint32_t sessions) {
  return {.sessions = sessions, .rate = {}};
}
ClientLimit at_rate(Rate rate) {
  return {.sessions = 0, .rate = rate};
}

std::string asked(ClientLimits& limits, std::vector<ClientPlace>& places, const ClientAddress& of,
                  const ClientLimit& limit, Rate::Time now = kStart) {
  auto place = limits.admit(of, limit, now);
  if (!place) return place.error() == ClientRefusal::Sessions ? "client_limit" : "client_rate";
  places.push_back(*std::move(place));
  return "in";
}

/// Runs `work` with 0, 1, 2 … on so many threads at once.
template <class Work>
void on_threads(unsigned count, Work work) {
  std::atomic<unsigned> ready{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < count) continue;
      work(i);
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("the keyed hash is SipHash-2-4") {
  // Of the 17 bytes 0 to 16, by the key 0 to 15.
  CHECK(keyed_hash(kKey, 0x0706050403020100, 0x0f0e0d0c0b0a0908, 16) == 0x699ae9f52cbe4794);
}

TEST_CASE("a client has so many sessions at once and not one more, and gets a place back") {
  ClientLimits limits(100, 100, kKey);
  std::vector<ClientPlace> places;
  const auto of = client("192.0.2.1");
  CHECK(asked(limits, places, of, at_once(2)) == "in");
  CHECK(asked(limits, places, client("::ffff:192.0.2.1"), at_once(2)) == "in");
  CHECK(asked(limits, places, of, at_once(2)) == "client_limit");
  CHECK(asked(limits, places, client("192.0.2.2"), at_once(2)) == "in");
  CHECK(limits.standing(of, at_once(2), kStart).sessions == 2);
  places.erase(places.begin());
  CHECK(limits.standing(of, at_once(2), kStart).sessions == 1);
  CHECK(asked(limits, places, of, at_once(2)) == "in");
  CHECK(asked(limits, places, of, at_once(2)) == "client_limit");
  // A reload that allows fewer, or more.
  CHECK(asked(limits, places, of, at_once(1)) == "client_limit");
  CHECK(asked(limits, places, of, at_once(3)) == "in");
  CHECK(asked(limits, places, of, at_once(0)) == "in");
  places.clear();
  CHECK(limits.standing(of, at_once(2), kStart).sessions == 0);
}

TEST_CASE("a place is given back once, however it is moved") {
  ClientLimits limits(100, 100, kKey);
  const auto of = client("192.0.2.1");
  const auto sessions = [&] { return limits.standing(of, at_once(9), kStart).sessions; };
  ClientPlace a = *limits.admit(of, at_once(9), kStart);
  ClientPlace b = *limits.admit(of, at_once(9), kStart);
  ClientPlace c = std::move(a);
  CHECK(sessions() == 2);
  c = std::move(b);
  CHECK(sessions() == 1);
  c.give_back();
  c.give_back();
  CHECK(sessions() == 0);
}

TEST_CASE("a client's new sessions come at its rate, and a refusal takes no token") {
  ClientLimits limits(100, 100, kKey);
  std::vector<ClientPlace> places;
  const auto of = client("192.0.2.1");
  const ClientLimit limit{.sessions = 4, .rate = {50ms, 3}};
  for (int i = 0; i < 3; ++i) CHECK(asked(limits, places, of, limit) == "in");
  for (int i = 0; i < 100; ++i) CHECK(asked(limits, places, of, limit, kStart + 49ms) == "client_rate");
  CHECK(limits.standing(of, limit, kStart + 49ms).token_in == 1ms);
  CHECK(asked(limits, places, of, limit, kStart + 50ms) == "in");
  // Both would refuse: the limit comes first, and takes no token.
  for (int i = 0; i < 100; ++i) CHECK(asked(limits, places, of, limit, kStart + 100ms) == "client_limit");
  places.clear();
  CHECK(asked(limits, places, of, limit, kStart + 100ms) == "in");
  CHECK(asked(limits, places, of, limit, kStart + 100ms) == "client_rate");
  CHECK(asked(limits, places, client("192.0.2.2"), limit, kStart + 100ms) == "in");
}

TEST_CASE("what is one client is said by its leading bits") {
  ClientLimits limits(100, 100, kKey);
  std::vector<ClientPlace> places;
  ClientLimit limit = at_once(1);
  CHECK(asked(limits, places, client("2001:db8::1"), limit) == "in");
  CHECK(asked(limits, places, client("2001:db8::ffff:0:0:1"), limit) == "client_limit");
  CHECK(asked(limits, places, client("2001:db8:0:1::1"), limit) == "in");
  limit.prefix_bits = {24, 128};
  CHECK(asked(limits, places, client("10.0.0.1"), limit) == "in");
  CHECK(asked(limits, places, client("10.0.0.255"), limit) == "client_limit");
  CHECK(asked(limits, places, client("10.0.1.0"), limit) == "in");
  CHECK(asked(limits, places, client("2001:db8::1"), limit) == "in");
  // An IPv4 address is not the IPv6 one that begins like it.
  limit.prefix_bits = {32, 32};
  CHECK(asked(limits, places, client("32.1.13.184"), limit) == "in");
  CHECK(asked(limits, places, client("2001:db8::"), limit) == "in");
}

TEST_CASE("sessions of another process count, beyond the limit too, and take no token") {
  ClientLimits limits(100, 100, kKey);
  std::vector<ClientPlace> places;
  const auto of = client("192.0.2.1");
  const ClientLimit limit{.sessions = 2, .rate = {1h, 2}};
  std::vector<ClientPlace> held;
  held.reserve(3);
  for (int i = 0; i < 3; ++i) held.push_back(limits.hold(of, limit));
  CHECK(limits.standing(of, limit, kStart).sessions == 3);
  CHECK(asked(limits, places, of, limit) == "client_limit");
  held.clear();
  CHECK(asked(limits, places, of, limit) == "in");
  CHECK(asked(limits, places, of, limit) == "in");
  CHECK(limits.standing(of, limit, kStart).token_in == 1h);
}

TEST_CASE("a flood of addresses makes nobody forgotten who has a session, and no empty bucket full") {
  ClientLimits limits(8, 8, kKey);
  const ClientLimit limit = at_rate({1h, 2});
  std::vector<ClientPlace> places;
  for (std::uint32_t i = 0; i < 8; ++i) CHECK(asked(limits, places, numbered(i), limit) == "in");
  std::vector<ClientPlace> gone;
  for (int i = 0; i < 2; ++i) CHECK(asked(limits, gone, client("192.0.2.1"), limit) == "in");
  gone.clear();
  for (std::uint32_t i = 1'000; i < 100'000; ++i) {
    REQUIRE(asked(limits, gone, numbered(i), limit, kStart + Rate::Time(i)) == "in");
    gone.clear();
  }
  for (std::uint32_t i = 0; i < 8; ++i) CHECK(limits.standing(numbered(i), limit, kStart).sessions == 1);
  CHECK(asked(limits, places, client("192.0.2.1"), limit, kStart + 1s) == "client_rate");
}

TEST_CASE("65,536 clients without a session are remembered") {
  ClientLimits limits(1'000, ClientLimits::kMaxIdle, kKey);
  const ClientLimit limit = at_rate({1h, 1});
  std::uint32_t in = 0;
  for (std::uint32_t i = 0; i < ClientLimits::kMaxIdle; ++i)
    in += limits.admit(numbered(i), limit, kStart) ? 1 : 0;
  CHECK(in == ClientLimits::kMaxIdle);
  in = 0;
  for (std::uint32_t i = 0; i < ClientLimits::kMaxIdle; ++i)
    in += limits.admit(numbered(i), limit, kStart) ? 1 : 0;
  CHECK(in == 0);
}

TEST_CASE("when nobody more can be remembered, a new client is refused, and an old one is not") {
  // One bucket of 32.
  ClientLimits limits(4, 4, kKey);
  std::vector<ClientPlace> places;
  for (std::uint32_t i = 0; i < 32; ++i) CHECK(asked(limits, places, numbered(i), at_once(2)) == "in");
  CHECK(asked(limits, places, numbered(32), at_once(2)) == "client_limit");
  CHECK_FALSE(limits.hold(numbered(33), at_once(2)));
  CHECK(asked(limits, places, numbered(31), at_once(2)) == "in");
  places.erase(places.begin());
  CHECK(asked(limits, places, numbered(32), at_once(2)) == "in");
}

TEST_CASE("of many threads that bring a new client at once, one gets its only place") {
  constexpr std::uint32_t kClients = 3'000;
  constexpr unsigned kThreads = 4;
  ClientLimits limits(kClients, 0, kKey);
  std::vector<std::atomic<unsigned>> admitted(kClients);
  std::vector<std::vector<ClientPlace>> places(kThreads);
  on_threads(kThreads, [&](unsigned thread) {
    for (std::uint32_t i = 0; i < kClients; ++i) {
      auto place = limits.admit(numbered(i), at_once(1), kStart);
      if (!place) continue;
      ++admitted[i];
      places[thread].push_back(*std::move(place));
    }
  });
  for (const auto& times : admitted) REQUIRE(times == 1);
}

TEST_CASE("no client ever has one session more, while its entry comes and goes on all threads") {
  // One bucket, and more clients than it holds: each admission makes an entry, and takes another's away.
  constexpr std::uint32_t kClients = 48;
  constexpr std::uint32_t kLimit = 1;
  ClientLimits limits(4, 4, kKey);
  std::vector<std::atomic<std::uint32_t>> sessions(kClients);
  std::atomic<std::uint32_t> most{0};
  std::atomic<std::uint32_t> in{0};
  on_threads(4, [&](unsigned thread) {
    std::mt19937 random(thread + 1);
    struct Held {
      std::uint32_t of;
      ClientPlace place;
    };
    std::optional<Held> held[3];
    for (int i = 0; i < 20'000; ++i) {
      auto& mine = held[random() % 3];
      if (mine) {
        --sessions[mine->of];
        mine.reset();
      }
      // Few clients for a while, so that threads meet.
      const std::uint32_t of = random() % 4 != 0 ? static_cast<std::uint32_t>(i / 64) % kClients
                                                 : static_cast<std::uint32_t>(random()) % kClients;
      auto place = limits.admit(numbered(of), at_once(kLimit), kStart);
      if (!place) continue;
      ++in;
      const std::uint32_t now = ++sessions[of];
      for (std::uint32_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
      mine = Held{of, *std::move(place)};
    }
    for (auto& mine : held)
      if (mine) --sessions[mine->of];
  });
  CHECK(most == kLimit);
  CHECK(in > 10'000);
  for (std::uint32_t i = 0; i < kClients; ++i)
    CHECK(limits.standing(numbered(i), at_once(1), kStart).sessions == 0);
}

TEST_CASE("clients get no token more than their bucket has, on all threads together") {
  constexpr std::uint32_t kClients = 7;
  constexpr std::uint32_t kBurst = 1'000;
  ClientLimits limits(100, 100, kKey);
  std::vector<std::atomic<std::uint32_t>> admitted(kClients);
  on_threads(4, [&](unsigned) {
    for (std::uint32_t i = 0; i < kClients * kBurst / 2; ++i)
      if (limits.admit(numbered(i % kClients), at_rate({1h, kBurst}), kStart)) ++admitted[i % kClients];
  });
  for (const auto& times : admitted) CHECK(times == kBurst);
}

TEST_CASE("tokens that a client has spent are spent in the table of the process that follows") {
  const ClientLimit limit = at_rate({1min, 2});
  ClientLimits before(100, 100, kKey), after(100, 100, kKey);
  std::vector<ClientPlace> places, later;
  for (int i = 0; i < 2; ++i) REQUIRE(asked(before, places, numbered(1), limit) == "in");
  REQUIRE(asked(before, places, numbered(2), limit) == "in");
  REQUIRE(asked(before, places, numbered(3), limit, kStart - 10min) == "in");
  const auto spent = before.spent(kStart);
  CHECK(spent.size() == 2);  // the third one's bucket is full again
  const int times = GENERATE(1, 2);
  for (int i = 0; i < times; ++i) after.spend(spent);
  CHECK(after.standing(numbered(1), limit, kStart).sessions == 0);
  CHECK(asked(after, later, numbered(1), limit) == "client_rate");
  CHECK(asked(after, later, numbered(1), limit, kStart + 1min) == "in");
  CHECK(asked(after, later, numbered(2), limit) == "in");
  CHECK(asked(after, later, numbered(2), limit) == "client_rate");
  for (int i = 0; i < 2; ++i) CHECK(asked(after, later, numbered(3), limit) == "in");
}

TEST_CASE("what cannot have been said of a table is not believed") {
  ClientLimits limits(100, 100, kKey);
  const ClientLimits::Spent good = [] {
    ClientLimits other(100, 100, kKey);
    std::vector<ClientPlace> places;
    REQUIRE(asked(other, places, numbered(1), at_rate({1min, 1})) == "in");
    return other.spent(kStart).at(0);
  }();
  const std::uint64_t top = std::uint64_t{1} << 63;
  limits.spend({{limits.size(), good.who, good.full_at},
                {good.place, 0, good.full_at},
                {good.place, good.who + 1, good.full_at},
                {good.place, good.who, good.full_at | top}});
  CHECK(limits.spent(Rate::Time{0}).empty());
  limits.spend({good});
  CHECK(limits.spent(kStart).size() == 1);
}
