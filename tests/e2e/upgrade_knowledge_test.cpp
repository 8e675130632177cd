// What a new process knows from the old one, and what it is told of a file that was never reloaded.
#include <fmt/format.h>

#include <csignal>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/steady_clients.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using Json = nlohmann::json;

namespace {

/// Answers every probe of every backend, as the test wants it.
class Probed {
 public:
  std::string health(const std::string& more) const {
    return fmt::format("probe = \"expect\"\nexpect = \"well\"\nport = {}\n{}", backend_.port(), more);
  }
  void take(milliseconds time) { time_ = time.count(); }
  void fail_once() { failures_ = 1; }
  bool has_failed() const { return failures_ == 0; }
  std::size_t count() const { return backend_.accepted(); }

 private:
  std::atomic<std::int64_t> time_{0};
  std::atomic<int> failures_{0};
  FakeBackend backend_{scripted([this](Stream& stream) {
    std::this_thread::sleep_for(milliseconds(time_));
    int left = failures_;
    if (left > 0 && failures_.compare_exchange_strong(left, left - 1)) return stream.send_all("ill");
    stream.send_all("well");
  })};
};

void replace_in_file(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = read_file(path);
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  write_file(path, text);
}

Json first_backend(const Upgradable& weir) {
  return weir.get("status").at("pools").at(0).at("backends").at(0);
}

void wait_until_up(const Upgradable& weir) {
  REQUIRE(eventually([&] {
    const Json status = weir.get("status");
    for (const Json& backend : status.at("pools").at(0).at("backends"))
      if (backend.at("health") != "up") return false;
    return true;
  }));
}

SimpleConfig probed_by(const std::string& health) {
  SimpleConfig config;
  config.workers = 2;
  config.health = health;
  return config;
}

}  // namespace

TEST_CASE("an upgrade while a probe takes 4 s costs no session") {
  Probed probed;
  Upgradable weir(echoing(2), probed_by(probed.health("interval = \"500ms\"\ntimeout = \"6s\"")));
  wait_until_up(weir);
  SteadyClients clients(weir.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(50)));
  probed.take(4s);
  const auto begin = Clock::now();
  weir.upgrade();
  CHECK(since(begin) < patient(3s));
  REQUIRE(clients.wait_for_more(scaled(100)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("a probe that fails once during an upgrade costs no session") {
  Probed probed;
  Upgradable weir(echoing(1), probed_by(probed.health("interval = \"30s\"\ntimeout = \"2s\"\nfall = 3")));
  wait_until_up(weir);
  SteadyClients clients(weir.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(50)));
  probed.fail_once();
  weir.upgrade();
  CHECK(eventually([&] { return probed.has_failed(); }));
  REQUIRE(clients.wait_for_more(scaled(100)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("a SIGHUP that comes while an upgrade is under way is obeyed by whoever serves after it") {
  Probed probed;
  Upgradable weir(echoing(1), probed_by(probed.health("interval = \"500ms\"\ntimeout = \"6s\"")));
  wait_until_up(weir);
  const FakeBackend first;
  const FakeBackend second;
  const std::string file = weir.rig().weir().config_file();
  replace_in_file(file, weir.rig().backend().address(), first.address());
  SECTION("the new one") {
    const TempDir dir;
    const std::string slow = dir.file("slow");
    write_file(slow, fmt::format("#!/bin/sh\nsleep 1\nexec {} \"$@\"\n", weir_binary()));
    std::filesystem::permissions(slow, std::filesystem::perms::owner_all);
    std::thread upgrade([&] { weir.upgrade({"--binary", slow}); });
    REQUIRE(weir.rig().process().wait_for_err("upgrade: starting"));
    replace_in_file(file, first.address(), second.address());
    weir.rig().process().signal(SIGHUP);
    upgrade.join();
  }
  SECTION("the old one, when the new one does not come to serve") {
    int status = -1;
    std::thread upgrade([&] { status = weir.cli({"upgrade", "--binary", "/bin/sleep"}).status; });
    REQUIRE(weir.rig().process().wait_for_err("upgrade: starting"));
    replace_in_file(file, first.address(), second.address());
    weir.rig().process().signal(SIGHUP);
    upgrade.join();
    CHECK(status == 1);
  }
  const bool obeyed = eventually([&] { return first_backend(weir).at("address") == second.address(); });
  CAPTURE(weir.rig().process().err());
  CHECK(obeyed);
}

TEST_CASE("health, its time and all counters are the same after an upgrade") {
  Probed probed;
  Upgradable weir(lettered(1), probed_by(probed.health("interval = \"30s\"")));
  wait_until_up(weir);
  for (int i = 0; i < 5; ++i) one_session(weir.address());
  REQUIRE(eventually([&] { return weir.get("status").at("sessions").at("active") == 0; }));
  const Json before = weir.get("status");
  weir.upgrade();
  CHECK(weir.rig().process().wait() == 0);
  const Json after = weir.get("status");
  CHECK(before.at("sessions").at("total") == 5);
  CHECK(after.at("sessions").at("total") == 5);
  CHECK(after.at("listeners").at(0).at("total") == 5);
  for (const auto* key : {"health", "since", "total", "bytes_to_backend", "bytes_to_client", "admin_since"}) {
    CAPTURE(key);
    CHECK(after.at("pools").at(0).at("backends").at(0).at(key) ==
          before.at("pools").at(0).at("backends").at(0).at(key));
  }
}

TEST_CASE("how a pool stands, and since when, is the same after an upgrade") {
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"\nfall = 1\nrise = 1";
  Upgradable weir(lettered(2), config);
  const bool degraded = GENERATE(false, true);
  const auto pool = [&] { return weir.get("status").at("pools").at(0); };
  if (degraded) weir.rig().backend(0).stop_listening();
  REQUIRE(eventually([&] { return pool().at("verdict") == (degraded ? "degraded" : "ok"); }));
  const auto before = pool();
  std::this_thread::sleep_for(20ms);
  weir.upgrade();
  CHECK(pool().at("verdict") == before.at("verdict"));
  CHECK(pool().at("verdict_since") == before.at("verdict_since"));
}

TEST_CASE("counters do not count twice while the old process finishes its sessions") {
  Upgradable weir(echoing(1));
  for (int i = 0; i < 4; ++i) REQUIRE(weir.rig().connect().echoes("short"));
  Stream held = weir.rig().connect();
  REQUIRE(held.echoes("held"));
  weir.upgrade();
  Stream more = weir.rig().connect();
  REQUIRE(more.echoes("more"));
  CHECK(weir.get("status").at("sessions").at("total") == 6);
  CHECK(first_backend(weir).at("total") == 6);
  REQUIRE(held.echoes("bytes that the old process moves"));
  const auto bytes = first_backend(weir).at("bytes_to_client").get<std::uint64_t>();
  CHECK(bytes > 0);
}

TEST_CASE("no counter falls when the old processes of two upgrades end, in either order") {
  Upgradable weir(echoing());
  const bool oldest_first = GENERATE(true, false);
  Stream first = Stream::connect(weir.address());
  REQUIRE(first.echoes("12345"));
  weir.upgrade();
  Stream second = Stream::connect(weir.address());
  REQUIRE(second.echoes("12345"));
  weir.upgrade();
  Stream third = Stream::connect(weir.address());
  REQUIRE(third.echoes("12345"));
  // Counted after they have been handed over.
  REQUIRE(first.echoes("1234567"));
  REQUIRE(second.echoes("1234567"));
  const auto expected = [&](const char* when) {
    INFO(when);
    const auto status = weir.get("status");
    CHECK(status.at("sessions").at("total") == 3);
    CHECK(status.at("listeners").at(0).at("total") == 3);
    const auto backend = first_backend(weir);
    CHECK(backend.at("total") == 3);
    CHECK(backend.at("bytes_to_backend") == 29);
    CHECK(backend.at("bytes_to_client") == 29);
  };
  const auto old_processes = [&] { return weir.get("status").at("predecessors").size(); };
  expected("all three serve");
  (oldest_first ? first : second).close();
  REQUIRE(eventually([&] { return old_processes() == 1; }));
  expected("one of the old ones has ended");
  (oldest_first ? second : first).close();
  REQUIRE(eventually([&] { return old_processes() == 0; }));
  expected("both have ended");
}

TEST_CASE("only an older process of this Weir may add to its counters") {
  Upgradable weir(echoing());
  const std::string body =
      R"({"backends":[{"pool":"web","name":"a","sessions":5,"connect_failures":0,"bytes_to_backend":0,)"
      R"("bytes_to_client":0}],"listeners":[]})";
  Stream caller = Stream::connect("unix:" + weir.socket());
  caller.send_all(fmt::format(
      "POST /v1/counts HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body));
  CHECK_THAT(caller.recv_to_end().data, Catch::Contains(" 409 "));
  CHECK(first_backend(weir).at("total") == 0);
}

TEST_CASE("a backend that was added by command stays over an upgrade") {
  Upgradable weir(echoing(2));
  FakeBackend extra;
  REQUIRE(weir.cli({"add", "web", "extra", extra.address()}).status == 0);
  REQUIRE(weir.cli({"remove", "web/b"}).status == 0);
  weir.upgrade();
  const Json backends = weir.get("status").at("pools").at(0).at("backends");
  REQUIRE(backends.size() == 2);
  CHECK(backends.at(1).at("name") == "extra");
  CHECK(backends.at(1).at("added") == true);
}

TEST_CASE("an upgrade says what the file changes, that was never reloaded") {
  Upgradable weir(echoing(2));
  replace_in_file(weir.rig().weir().config_file(), "name = \"b\"", "name = \"b\"\nweight = 7");
  const Finished done = weir.cli({"upgrade"});
  CAPTURE(done.err);
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out, Contains("~ web/b weight 1→7"));
  weir.upgrade();  // for the test to end what the first one has started
}

TEST_CASE("an upgrade by a faulty file is refused with its faults, before anything is started") {
  Upgradable weir(echoing(2));
  replace_in_file(weir.rig().weir().config_file(), "workers = ", "wrokers = ");
  const Finished done = weir.cli({"upgrade"});
  CHECK(done.status == 1);
  CHECK_THAT(done.err, Contains("wrokers"));
  CHECK_THAT(weir.rig().process().err(), !Contains("upgrade: starting"));
  CHECK(weir.rig().process().running());
}

TEST_CASE("an upgrade by a file that leaves a pool nobody needs --force") {
  Upgradable weir(echoing(2));
  for (const auto* name : {"name = \"a\"", "name = \"b\""})
    replace_in_file(weir.rig().weir().config_file(), name, std::string(name) + "\nadmin = \"drained\"");
  const Finished refused = weir.cli({"upgrade"});
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("pool web has nobody: a is drained, b is drained"));
  CHECK_THAT(refused.err, Contains("--force"));
  CHECK(weir.rig().process().running());
  weir.upgrade({"--force"});
  CHECK(first_backend(weir).at("admin") == "drained");
}

TEST_CASE("a file whose backends are all new costs no session at an upgrade") {
  Probed probed;
  Upgradable weir(echoing(1), probed_by(probed.health("interval = \"1s\"\ntimeout = \"6s\"")));
  wait_until_up(weir);
  FakeBackend fresh;
  replace_in_file(weir.rig().weir().config_file(), weir.rig().backend().address(), fresh.address());
  SteadyClients clients(weir.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(50)));
  probed.take(4s);
  weir.upgrade();
  REQUIRE(clients.wait_for_more(scaled(50)));
  CHECK(eventually(patient(15s), [&] { return fresh.accepted() > 10; }));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("a client that has its sessions with an old process gets none of the new one until they end") {
  SimpleConfig config;
  config.workers = 2;
  config.listener = "sessions_per_client = 2";
  Upgradable weir({{.greeting = "a"}}, config);
  const auto connect = [&](const std::string& source) {
    return Stream::connect(weir.address(), {.source = to_address(source + ":0")});
  };
  const auto is_let_in = [](Stream& client) {
    try {
      return client.recv_exact(1) == "a";
    } catch (const StreamError&) {
      return false;
    }
  };
  const auto comes = [&](const std::string& source) {
    Stream client = connect(source);
    return is_let_in(client);
  };
  Stream first = connect("127.0.0.5"), second = connect("127.0.0.5");
  REQUIRE((is_let_in(first) && is_let_in(second)));
  REQUIRE_FALSE(comes("127.0.0.5"));
  weir.upgrade();
  for (int i = 0; i < 20; ++i) {
    CHECK_FALSE(comes("127.0.0.5"));
    CHECK(comes(fmt::format("127.0.1.{}", i + 1)));
    std::this_thread::sleep_for(20ms);  // over several questions to the old process
  }
  // Over another one both of the older processes count: the second has nothing of this client.
  Stream of_second = connect("127.0.0.7");
  REQUIRE(is_let_in(of_second));
  weir.upgrade();
  CHECK_FALSE(comes("127.0.0.5"));
  second.close();
  Stream third = connect("127.0.0.7");
  CHECK(eventually([&] {
    third = connect("127.0.0.5");
    return is_let_in(third);
  }));
  CHECK_FALSE(comes("127.0.0.5"));
  CHECK(first.echoes("still there"));
}

TEST_CASE("the sessions of an old process that is gone without a word count no more") {
  SimpleConfig config;
  config.listener = "sessions_per_client = 1";
  Upgradable weir({{.greeting = "a"}}, config);
  const auto comes = [&] {
    Stream client = Stream::connect(weir.address());
    try {
      return client.recv_exact(1) == "a";
    } catch (const StreamError&) {
      return false;
    }
  };
  Stream first = Stream::connect(weir.address());
  REQUIRE(first.recv_exact(1) == "a");
  weir.upgrade();
  CHECK_FALSE(comes());
  weir.rig().weir().expect_exit();
  weir.rig().process().signal(SIGKILL);
  CHECK(eventually(comes));
}
