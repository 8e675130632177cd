// Draining, disabling and enabling, as an operator does it.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

SimpleConfig with_workers(int workers, std::string pool = "") {
  SimpleConfig config;
  config.workers = workers;
  config.pool = std::move(pool);
  return config;
}

constexpr auto kQuickProbe =
    "probe = \"tcp\"\ninterval = \"100ms\"\nfast_interval = \"50ms\"\ntimeout = \"1s\"\nrise = 1\nfall = 1";

/// `count` sessions of backend `letter`; those that landed elsewhere are ended.
std::vector<Stream> held_by(const Operated& weir, char letter, std::size_t count) {
  std::vector<Stream> result;
  for (std::size_t i = 0; result.size() < count && i < 10 * count; ++i) {
    HeldSession held = hold_session(weir, i);
    if (held.letter == letter) result.push_back(std::move(held.stream));
  }
  REQUIRE(result.size() == count);
  return result;
}

void check_drained_sessions_go_on(Operated& weir, milliseconds how_long) {
  std::vector<Stream> live = held_by(weir, 'a', 10);
  const Finished drained = weir.cli({"drain", "web/a"});
  CAPTURE(drained.err);
  REQUIRE(drained.status == 0);
  CHECK_THAT(drained.out, Contains("web/a: drained, 10 sessions left"));
  const std::size_t before = weir.backend(0).accepted();
  for (const auto start = Clock::now(); since(start) < how_long;) {
    for (Stream& session : live) REQUIRE(session.echoes("still here"));
    std::this_thread::sleep_for(20ms);
  }
  CHECK(weir.letters(100) == std::string(100, 'b'));
  CHECK(weir.backend(0).accepted() == before);
  for (Stream& session : live) CHECK(session.echoes("to the end"));
}

/// The backend of each of `count` clients 127.1.0.1, 127.1.0.2, ...
std::string map_of(const Operated& weir, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    ConnectOptions options;
    options.source = to_address(fmt::format("127.1.0.{}:0", i + 1));
    result += one_session(weir.address(), options);
  }
  return result;
}

}  // namespace

TEST_CASE("the sessions of a drained backend echo on and no new one lands there") {
  Operated weir(lettered(2), with_workers(GENERATE(1, 2)));
  check_drained_sessions_go_on(weir, 2s);
}

TEST_CASE("the sessions of a drained backend echo on for 10 s", "[long]") {
  Operated weir(lettered(2), with_workers(2));
  check_drained_sessions_go_on(weir, 10s);
}

TEST_CASE("once drain has answered no worker gives the backend another session") {
  Operated weir(lettered(2), with_workers(2));
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < 2; ++i) {
    clients.emplace_back([&, i] {
      ConnectOptions options;
      options.source = client_source(i);
      while (!stop) {
        try {
          one_session(weir.address(), options);
        } catch (const StreamError&) {
          ++failures;
        }
      }
    });
  }
  std::size_t landed = 0;
  for (int round = 0; round < 5; ++round) {
    if (weir.status({"drain", "web/a"}) != 0) ++failures;
    // What a worker had given it before may still be in its accept queue.
    std::this_thread::sleep_for(50ms);
    const std::size_t before = weir.backend(0).accepted();
    std::this_thread::sleep_for(200ms);
    landed += weir.backend(0).accepted() - before;
    if (weir.status({"enable", "web/a"}) != 0) ++failures;
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  CHECK(landed == 0);
  CHECK(failures == 0);
}

TEST_CASE("a drained backend that goes down and up stays drained") {
  SimpleConfig config = with_workers(2);
  config.health = kQuickProbe;
  Operated weir(lettered(2), config);
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  const auto health = [&] { return weir.backend_status("a").at("health").get<std::string>(); };
  for (int i = 0; i < 2; ++i) {
    weir.backend(0).stop_listening();
    REQUIRE(eventually([&] { return health() == "down"; }));
    weir.backend(0).listen_again();
    REQUIRE(eventually([&] { return health() == "up"; }));
  }
  const auto now = weir.backend_status("a");
  CHECK(now.at("admin") == "drained");
  CHECK(now.at("eligible") == false);
  CHECK(weir.letters(10) == "bbbbbbbbbb");
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  CHECK(weir.letters(10).find('a') != std::string::npos);
}

TEST_CASE("no enable makes a dead backend eligible") {
  SimpleConfig config;
  config.health = kQuickProbe;
  Operated weir(lettered(2), config);
  weir.backend(0).stop_listening();
  REQUIRE(eventually([&] { return weir.backend_status("a").at("health") == "down"; }));
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  const Finished enabled = weir.cli({"enable", "web/a"});
  CHECK(enabled.status == 0);
  CHECK_THAT(enabled.out, Contains("when its health allows"));
  CHECK(weir.backend_status("a").at("eligible") == false);
  CHECK(weir.letters(4) == "bbbb");
}

TEST_CASE("a drain with a timeout closes what is left when it has passed", "[alone]") {
  Operated weir(lettered(2), with_workers(GENERATE(1, 2)));
  std::vector<Stream> live = held_by(weir, 'a', 5);
  Stream other = std::move(held_by(weir, 'b', 1)[0]);
  Finished drained{};
  const auto start = Clock::now();
  std::thread operator_waits([&] {
    drained = weir.cli({"drain", "web/a", "--timeout", "1s", "--then", "close"});
  });
  std::vector<milliseconds> ends;
  std::size_t resets = 0;
  for (Stream& session : live) {
    if (session.recv_to_end().ending == Ending::Reset) ++resets;
    ends.push_back(since(start));
  }
  operator_waits.join();
  CAPTURE(drained.err, drained.out);
  CHECK(resets == live.size());
  CHECK(ends.front() >= 990ms);
  CHECK(ends.back() <= patient(1500ms));
  CHECK(drained.status == 0);
  CHECK_THAT(drained.out, Contains("web/a: drained, 0 sessions left"));
  CHECK(other.echoes("not concerned"));
  for (const AccessLine& line : weir.weir().access_log())
    if (line["backend"] == "a" && line.number("duration_ms") >= 900) CHECK(line["end"] == "killed");
}

TEST_CASE("a reload that brings a backend back calls off the closing that was planned for it") {
  Operated weir(lettered(2));
  const bool taken_out = GENERATE(true, false);
  CAPTURE(taken_out);
  std::vector<Stream> live = held_by(weir, 'a', 1);
  {
    Process gone(
        {weir_binary(), "drain", "web/a", "--timeout", "3s", "--then", "close", "--socket", weir.socket()});
    REQUIRE(eventually([&] { return weir.backend_status("a").contains("closes_at"); }));
    gone.signal(SIGKILL);
    gone.wait();
  }
  const SimpleConfig whole = weir.config;
  // Either way the word is forgotten: with its backend, or since the file says something new of it.
  if (taken_out)
    weir.config.backends.erase(weir.config.backends.begin());
  else
    weir.config.backends[0].more = "admin = \"drained\"";
  REQUIRE(weir.reload().status == 0);
  weir.config = whole;
  REQUIRE(weir.reload().status == 0);
  CHECK(weir.backend_status("a").at("admin") == "enabled");
  CHECK_FALSE(weir.backend_status("a").contains("closes_at"));
  live.push_back(std::move(held_by(weir, 'a', 1)[0]));
  std::this_thread::sleep_for(4s);
  for (Stream& session : live) CHECK(session.echoes("left alone"));
}

TEST_CASE("the daemon closes what is left when nobody waits any more", "[alone]") {
  Operated weir(lettered(2));
  std::vector<Stream> live = held_by(weir, 'a', 3);
  {
    Process impatient(
        {weir_binary(), "drain", "web/a", "--timeout", "1s", "--then", "close", "--socket", weir.socket()});
    REQUIRE(eventually([&] { return weir.backend_status("a").at("admin") == "drained"; }));
    impatient.signal(SIGKILL);
    impatient.wait();
  }
  for (Stream& session : live) CHECK(session.recv_to_end(patient(5s)).ending == Ending::Reset);
}

TEST_CASE("an enable before the timeout calls the closing off", "[alone]") {
  Operated weir(lettered(2));
  std::vector<Stream> live = held_by(weir, 'a', 3);
  // A command may take its time to start where sanitizers slow it down.
  const milliseconds timeout = patient(1s);
  const auto start = Clock::now();
  Process waits({weir_binary(), "drain", "web/a", "--timeout", fmt::format("{}ms", timeout.count()), "--then",
                 "close", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").contains("closes_at"); }));
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  REQUIRE(since(start) < timeout);
  std::this_thread::sleep_for(timeout + 500ms - since(start));
  for (Stream& session : live) CHECK(session.echoes("still here"));
}

TEST_CASE("a spread closes the sessions one after another", "[alone]") {
  Operated weir(lettered(2), with_workers(2));
  std::vector<Stream> live = held_by(weir, 'a', 20);
  REQUIRE(weir.cli({"drain", "web/a"}).status == 0);
  std::vector<milliseconds> ends(live.size());
  const auto start = Clock::now();
  std::vector<std::thread> watchers;
  for (std::size_t i = 0; i < live.size(); ++i) {
    watchers.emplace_back([&, i] {
      live[i].recv_to_end();
      ends[i] = since(start);
    });
  }
  const Finished drained =
      weir.cli({"drain", "web/a", "--timeout", "500ms", "--then", "close", "--spread", "2s"});
  for (std::thread& watcher : watchers) watcher.join();
  CHECK(drained.status == 0);
  std::sort(ends.begin(), ends.end());
  CHECK(ends.front() >= 490ms);
  // Evenly: of 20 over 2 s half are gone about half way, whatever the pauses of the machine.
  const auto gone_by = [&](milliseconds when) {
    return std::count_if(ends.begin(), ends.end(), [&](milliseconds end) { return end <= when; });
  };
  CHECK(gone_by(1000ms) <= 6);
  CHECK(gone_by(1500ms) <= 11);
  CHECK(gone_by(2000ms) <= 16);
  CHECK(ends.back() <= patient(4s));
}

TEST_CASE("a wait that runs out exits with 4 and leaves the sessions") {
  Operated weir(lettered(2));
  std::vector<Stream> live = held_by(weir, 'a', 2);
  const Finished waited = weir.cli({"drain", "web/a", "--wait", "--timeout", "300ms"});
  CHECK(waited.status == 4);
  CHECK_THAT(waited.err, Contains("timed out: 2 sessions go on"));
  CHECK_THAT(waited.out, Contains("web/a: drained, 2 sessions left"));
  const auto left = weir.cli({"drain", "web/a", "--wait", "--timeout", "300ms", "-o", "json"});
  CHECK(left.status == 4);
  CHECK(nlohmann::json::parse(left.out).at("changed").at(0).at("sessions") == 2);
  for (Stream& session : live) CHECK(session.echoes("still here"));
}

TEST_CASE("a wait without a timeout returns when the last session has ended") {
  Operated weir(lettered(2));
  std::vector<Stream> live = held_by(weir, 'a', 2);
  Process waits({weir_binary(), "drain", "web/a", "--wait", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").at("admin") == "drained"; }));
  live.pop_back();
  CHECK_FALSE(waits.wait(500ms));
  live.pop_back();
  CHECK(waits.wait() == 0);
  CHECK_THAT(waits.out(), Contains("web/a: drained, 0 sessions left"));
}

TEST_CASE("who asks how a drain goes may wait for its end, as long as said") {
  Operated weir(lettered(2));
  std::vector<Stream> live = held_by(weir, 'a', 1);
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  const auto left = [&](const std::string& wait) {
    return weir.get("drains/web/a?wait_ms=" + wait).at("changed").at(0).at("sessions");
  };
  CHECK(left("0") == 1);
  const auto begin = Clock::now();
  CHECK(left("400") == 1);
  CHECK(since(begin) >= 400ms);
  live.clear();
  CHECK(eventually([&] { return left("1000") == 0; }));
}

TEST_CASE("a daemon that goes away while a drain waits is reported with 5") {
  Operated weir(lettered(2));
  std::vector<Stream> live = held_by(weir, 'a', 1);
  Process waits({weir_binary(), "drain", "web/a", "--wait", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").at("admin") == "drained"; }));
  weir.weir().expect_exit();
  weir.process().signal(SIGKILL);
  CHECK(waits.wait() == 5);
  // It may have been in the middle of an answer.
  CHECK_THAT(waits.err(), Contains("no daemon at " + weir.socket()) ||
                              Contains("the daemon at " + weir.socket() + " went away"));
}

TEST_CASE("a drain under source_hash moves the backend's own clients and enable brings them back") {
  Operated weir(lettered(5), with_workers(2, "balance = \"source_hash\""));
  constexpr std::size_t kClients = 120;
  const std::string before = map_of(weir, kClients);
  REQUIRE(weir.status({"drain", "web/c"}) == 0);
  const std::string during = map_of(weir, kClients);
  REQUIRE(weir.status({"enable", "web/c"}) == 0);
  CHECK(map_of(weir, kClients) == before);
  CHECK(before.find('c') != std::string::npos);
  CHECK(during.find('c') == std::string::npos);
  std::size_t moved_needlessly = 0;
  for (std::size_t i = 0; i < kClients; ++i)
    if (before[i] != 'c' && during[i] != before[i]) ++moved_needlessly;
  CHECK(moved_needlessly == 0);
}

TEST_CASE("the last eligible backend is drained, disabled or removed with force only") {
  Operated weir(lettered(2));
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  const std::string verb = GENERATE("drain", "disable", "remove");
  const Finished refused = weir.cli({verb, "web/b"});
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("web/b") && Contains("--force"));
  CHECK(weir.letters(2) == "bb");
  CHECK(weir.status({verb, "web/b", "--force"}) == 0);
  Stream client = weir.connect();
  CHECK(client.recv_to_end().ending == Ending::Reset);
}

TEST_CASE("disable ends the probes and forgets the health") {
  SimpleConfig config;
  config.health = kQuickProbe;
  Operated weir(lettered(2), config);
  REQUIRE(weir.backend_status("a").at("health") == "up");
  REQUIRE(weir.status({"disable", "web/a"}) == 0);
  CHECK(weir.backend_status("a").at("health") == "unknown");
  CHECK(weir.backend_status("a").at("admin") == "disabled");
  // A probe may have been on its way.
  std::this_thread::sleep_for(100ms);
  const std::size_t probes = weir.backend(0).accepted();
  std::this_thread::sleep_for(500ms);
  CHECK(weir.backend(0).accepted() == probes);
  weir.backend(0).stop_listening();
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  CHECK(eventually([&] { return weir.backend_status("a").at("health") == "down"; }));
  CHECK(weir.letters(4) == "bbbb");
  weir.backend(0).listen_again();
  CHECK(eventually([&] { return weir.letters(2).find('a') != std::string::npos; }));
}
