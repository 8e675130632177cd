// Backends that can be full, and the queue before them: max_sessions, queue, queue_timeout, from outside.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/operated.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

SimpleConfig limited(std::vector<std::string> each, std::string pool = "", int workers = 1) {
  SimpleConfig config;
  config.workers = workers;
  for (std::string& more : each) config.backends.push_back({"", "", std::move(more)});
  config.pool = std::move(pool);
  // Longer than a slow machine takes to look.
  if (config.pool.find("queue_timeout") == std::string::npos) config.pool += "\nqueue_timeout = \"10m\"";
  return config;
}

std::uint64_t queued(const Operated& weir) {
  return weir.get("status")["pools"][0].value("queued", 0U);
}
std::uint64_t active(const Operated& weir, const char* name = "a") {
  return weir.backend_status(name)["active"].get<std::uint64_t>();
}

/// Clients who have come one after another, each of whom waits.
std::vector<Stream> wait_in_line(const Operated& weir, std::size_t count) {
  std::vector<Stream> line;
  for (std::size_t i = 0; i < count; ++i) {
    line.push_back(weir.connect());
    const std::size_t expected = i + 1;
    REQUIRE(eventually([&] { return queued(weir) == expected; }));
  }
  return line;
}

}  // namespace

TEST_CASE("who finds every backend full waits, and gets what becomes free in the order of the accepts") {
  const int workers = GENERATE(1, 3);
  Operated weir({{.greeting = "a"}}, limited({"max_sessions = 1"}, "", workers));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  std::vector<Stream> line = wait_in_line(weir, 5);
  const auto sessions = weir.get("sessions");
  for (const auto& session : sessions["sessions"])
    CHECK(session["state"] == (session["backend"].is_null() ? "queued" : "relaying"));
  CHECK(weir.cli({"status"}).out.find("5 OF 100 QUEUED") != std::string::npos);
  CHECK(active(weir) == 1);
  CHECK(weir.says("pool web: every backend has its max_sessions: new clients wait"));
  for (std::size_t i = 0; i < line.size(); ++i) {
    held.close();
    REQUIRE(line[i].recv_exact(1) == "a");
    CHECK(queued(weir) == line.size() - i - 1);
    held = std::move(line[i]);
  }
  held.close();
  const auto log = weir.weir().wait_for_access(6);
  CHECK(log[0]["queue_ms"] == "-");
  for (std::size_t i = 1; i < log.size(); ++i) {
    CHECK(log[i]["end"] == "done");
    CHECK(std::stoi(std::string(log[i]["queue_ms"])) > 0);
  }
}

TEST_CASE("explain says of a client that it would wait, while there is room in the queue") {
  Operated weir({{.greeting = "a"}}, limited({"max_sessions = 1"}, "queue = 1"));
  const auto explain = [&] { return weir.cli({"explain", "web", "192.0.2.1"}).out; };
  CHECK_THAT(explain(), Catch::Contains("192.0.2.1 would get web/a"));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  CHECK_THAT(explain(),
             Catch::Contains("192.0.2.1 would wait in the queue of pool web, for a backend with room"));
  CHECK(weir.answer({"explain", "web", "192.0.2.1"})["waits_for"] == "a backend with room");
  const auto line = wait_in_line(weir, 1);
  CHECK_THAT(explain(), Catch::Contains("would get no backend of pool web"));
}

TEST_CASE("a full queue turns away, and so does its timeout; both are counted") {
  Operated weir(
      {{.greeting = "a"}},
      limited({"max_sessions = 1"}, fmt::format("queue = 2\nqueue_timeout = \"{}ms\"", patient(2s).count())));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  std::vector<Stream> line = wait_in_line(weir, 2);
  Stream late = weir.connect();
  CHECK(late.recv_to_end().ending == Ending::Reset);
  const auto begin = Clock::now();
  CHECK(line[1].recv_to_end().ending == Ending::Reset);
  CHECK(line[0].recv_to_end().ending == Ending::Reset);
  CHECK(since(begin) < patient(4s));
  const auto log = weir.weir().wait_for_access(3);
  for (const auto& entry : log) CHECK(entry["end"] == "overloaded");
  CHECK(log[0]["queue_ms"] == "-");
  CHECK(std::stoi(std::string(log[1]["queue_ms"])) >= patient(2s).count() - 10);
  const auto pool = weir.get("status")["pools"][0];
  CHECK(pool["overloaded"] == 3);
  CHECK(pool["queued"] == 0);
  CHECK(weir.backend_status("a")["connect_failures"] == 0);
}

TEST_CASE("without a queue a full pool turns away at once") {
  Operated weir({{.greeting = "a"}}, limited({"max_sessions = 1"}, "queue = 0"));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  const std::string explained = weir.cli({"explain", "web", "192.0.2.1"}).out;
  CHECK_THAT(explained, Catch::Contains("192.0.2.1 would get no backend of pool web"));
  CHECK_THAT(explained, Catch::Contains("queue = 0: a session would be reset (end=overloaded)"));
  CHECK(weir.connect().recv_to_end().ending == Ending::Reset);
  held.close();
  REQUIRE(eventually([&] { return active(weir) == 0; }));
  CHECK(weir.connect().recv_exact(1) == "a");
}

TEST_CASE("a client that leaves the queue costs nothing, and nobody's turn is lost with it") {
  Operated weir({{.greeting = "a"}}, limited({"max_sessions = 1"}, "", 2));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  std::vector<Stream> line = wait_in_line(weir, 3);
  line[0].reset();
  REQUIRE(eventually([&] { return queued(weir) == 2; }));
  held.close();
  CHECK(line[1].recv_exact(1) == "a");
  line[1].close();
  CHECK(line[2].recv_exact(1) == "a");
  line[2].close();
  REQUIRE(eventually([&] { return active(weir) == 0; }));
  CHECK(weir.backend().accepted() == 3);
}

TEST_CASE("bytes that a client has sent while it waited arrive") {
  Operated weir({{.greeting = "a"}}, limited({"max_sessions = 1"}));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  std::vector<Stream> line = wait_in_line(weir, 1);
  line[0].send_all("hello");
  line[0].half_close();
  held.close();
  CHECK(line[0].recv_to_end().data == "ahello");
}

TEST_CASE("a backend never has more sessions than it may have, whatever number of workers serves") {
  const std::string balance = GENERATE("round_robin", "least_connections", "source_hash");
  CAPTURE(balance);
  std::atomic<int> now{0}, most{0};
  const auto count = [&](Stream& stream) {
    const int mine = ++now;
    for (int seen = most; seen < mine && !most.compare_exchange_weak(seen, mine);) {
    }
    stream.send_all("x");
    std::this_thread::sleep_for(2ms);
    --now;
  };
  Operated weir(
      {{.script = count}},
      limited({"max_sessions = 3"}, fmt::format("balance = \"{}\"\nqueue_timeout = \"60s\"", balance), 4));
  std::atomic<int> served{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 12; ++i)
    clients.emplace_back([&] {
      for (std::size_t n = 0; n < scaled(60); ++n)
        if (weir.connect().recv_to_end().data == "x") ++served;
    });
  for (std::thread& client : clients) client.join();
  CHECK(served == 12 * static_cast<int>(scaled(60)));
  CHECK(most <= 3);
  CHECK(most > 1);
  CHECK(queued(weir) == 0);
}

TEST_CASE("more room by a reload, an enabled or an added backend serves the queue at once") {
  Operated weir({{.greeting = "a"}, {.greeting = "b"}}, limited({"max_sessions = 1", "admin = \"drained\""}));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  std::vector<Stream> line = wait_in_line(weir, 2);
  SECTION("reload") {
    weir.config.backends[0].more = "max_sessions = 2";
    REQUIRE(weir.reload().status == 0);
    CHECK(line[0].recv_exact(1) == "a");
    CHECK(queued(weir) == 1);
    weir.config.backends[0].more = "";
    REQUIRE(weir.reload().status == 0);
    CHECK(line[1].recv_exact(1) == "a");
  }
  SECTION("enable") {
    REQUIRE(weir.status({"enable", "web/b"}) == 0);
    CHECK(line[0].recv_exact(1) == "b");
    CHECK(line[1].recv_exact(1) == "b");
  }
  SECTION("add") {
    REQUIRE(weir.status({"add", "web", "c", weir.backend(1).address(), "--max-sessions", "1"}) == 0);
    CHECK(line[0].recv_exact(1) == "b");
    CHECK(queued(weir) == 1);
  }
}

TEST_CASE("limits that come and go by reloads while sessions come lose nobody and hang nothing") {
  Operated weir({{.greeting = "a"}, {.greeting = "b"}}, limited({"", ""}, "queue_timeout = \"60s\"", 3));
  std::vector<Stream> held;
  for (int i = 0; i < 8; ++i) {
    held.push_back(weir.connect());
    held.back().recv_exact(1);
  }
  std::atomic<bool> stop{false};
  std::atomic<int> served{0}, lost{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 6; ++i)
    clients.emplace_back([&] {
      while (!stop) {
        try {
          one_session(weir.address(), {});
          ++served;
        } catch (const StreamError&) {
          ++lost;
        }
      }
    });
  for (int round = 0; round < 10; ++round) {
    for (auto& backend : weir.config.backends) backend.more = round % 2 == 0 ? "max_sessions = 2" : "";
    REQUIRE(weir.reload().status == 0);
    std::this_thread::sleep_for(50ms);
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  CHECK(lost == 0);
  CHECK(served > 0);
  CHECK(queued(weir) == 0);
}

TEST_CASE("one who waits, since it has tried the others, keeps nobody from these") {
  Operated weir({{.greeting = "a"}, {.greeting = "b"}}, limited({"max_sessions = 1", ""}, "queue = 1"));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  weir.backend(1).stop_listening();
  Stream particular = weir.connect();
  REQUIRE(eventually([&] { return queued(weir) == 1; }));
  weir.backend(1).listen_again();
  REQUIRE(eventually([&] { return weir.backend_status("b")["eligible"] == true; }));
  for (int i = 0; i < 20; ++i) CHECK(weir.connect().recv_exact(1) == "b");
  held.close();
  CHECK(particular.recv_exact(1) == "a");
}

TEST_CASE("nobody waits for room at backends that have all been taken out") {
  Operated weir({{.greeting = "a"}}, limited({"max_sessions = 1"}));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  std::vector<Stream> line = wait_in_line(weir, 2);
  REQUIRE(weir.status({"drain", "web/a", "--force"}) == 0);
  for (Stream& client : line) CHECK(client.recv_to_end().ending == Ending::Reset);
  const auto log = weir.weir().wait_for_access(2);
  CHECK(log[0]["end"] == "no_backend");
  CHECK(log[1]["end"] == "no_backend");
  CHECK(held.echoes("still here"));
}

TEST_CASE("backups serve what does not fit") {
  Operated weir({{.greeting = "a"}, {.greeting = "b"}}, limited({"max_sessions = 1", "backup = true"}));
  std::string letters;
  std::vector<Stream> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(weir.connect());
    letters += held.back().recv_exact(1);
  }
  CHECK(letters == "abb");
  held[0].close();
  REQUIRE(eventually([&] { return active(weir) == 0; }));
  CHECK(weir.connect().recv_exact(1) == "a");
}

TEST_CASE("a reload that removes the pool, or the listener's other one, leaves nobody in an old queue") {
  Operated weir({{.greeting = "a"}, {.greeting = "b"}}, limited({"max_sessions = 1", "admin = \"drained\""}));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "a");
  std::vector<Stream> line = wait_in_line(weir, 2);
  std::string toml = weir.config.toml();
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"name = \"web\"\n", "name = \"shop\"\n"}, {"pool = \"web\"", "pool = \"shop\""}})
    for (auto at = toml.find(from); at != std::string::npos; at = toml.find(from, at + to.size()))
      toml.replace(at, from.size(), to);
  write_file(weir.weir().config_file(), toml);
  const Finished reload = weir.cli({"reload"});
  INFO(toml << reload.out << reload.err);
  REQUIRE(reload.status == 0);
  // The pool has a new name, and its queue and its limit are new with it.
  CHECK(line[0].recv_exact(1) == "a");
  line[0].close();
  CHECK(line[1].recv_exact(1) == "a");
}

TEST_CASE(
    "a limit holds over an upgrade: the old process's sessions count, and give their places to the new "
    "one's") {
  Upgradable weir({{.greeting = "a"}}, limited({}));
  REQUIRE(weir.cli({"add", "web", "few", weir.rig().backend().address(), "--max-sessions", "2"}).status == 0);
  REQUIRE(weir.cli({"drain", "web/a"}).status == 0);
  const auto queued_now = [&] { return weir.get("status")["pools"][0].value("queued", 0U); };
  Stream first = weir.rig().connect(), second = weir.rig().connect();
  REQUIRE((first.recv_exact(1) == "a" && second.recv_exact(1) == "a"));
  weir.upgrade();
  Stream third = weir.rig().connect(), fourth = weir.rig().connect();
  REQUIRE(eventually([&] { return queued_now() == 2; }));
  CHECK(weir.rig().backend().accepted() == 2);
  first.close();
  REQUIRE(eventually([&] { return queued_now() == 1; }));
  CHECK(weir.rig().backend().accepted() == 3);
  second.close();
  REQUIRE(eventually([&] { return queued_now() == 0; }));
  CHECK(weir.rig().backend().accepted() == 4);
}

TEST_CASE(
    "a limit holds over two upgrades, and one that comes after an upgrade counts older processes' sessions") {
  Upgradable weir({{.greeting = "a"}}, limited({}));
  const bool late = GENERATE(false, true);
  const auto add = [&] {
    return weir.cli({"add", "web", "few", weir.rig().backend().address(), "--max-sessions", late ? "0" : "2"})
        .status;
  };
  REQUIRE(add() == 0);
  REQUIRE(weir.cli({"drain", "web/a"}).status == 0);
  Stream first = weir.rig().connect(), second = weir.rig().connect();
  REQUIRE((first.recv_exact(1) == "a" && second.recv_exact(1) == "a"));
  weir.upgrade();
  weir.upgrade();
  if (late) {
    REQUIRE(weir.cli({"remove", "web/few", "--force"}).status == 0);
    REQUIRE(weir.cli({"add", "web", "few", weir.rig().backend().address(), "--max-sessions", "2"}).status ==
            0);
  }
  Stream third = weir.rig().connect();
  REQUIRE(eventually([&] { return weir.get("status")["pools"][0].value("queued", 0U) == 1; }));
  CHECK(weir.rig().backend().accepted() == 2);
  first.close();
  REQUIRE(eventually([&] { return weir.rig().backend().accepted() == 3; }));
}

TEST_CASE("a limit that makes no sense is refused, and one without an effect is warned of") {
  const auto check = [](const std::string& pool, const std::string& backend) {
    SimpleConfig config = limited({backend}, pool);
    config.bind = "127.0.0.1:1";
    config.backends[0].name = "a";
    config.backends[0].address = "127.0.0.1:2";
    return run_weir({"check", "-c", "{}"}, config.toml());
  };
  Finished said = check("", "max_sessions = -1");
  CHECK(said.status == 1);
  CHECK(said.err.find("pool.backend.max_sessions = -1: must be 0 to 1000000000") != std::string::npos);
  said = check("queue = \"many\"", "max_sessions = 1");
  CHECK(said.err.find("pool.queue = \"many\" is a string, must be an integer") != std::string::npos);
  said = check("queue_timeout = \"0s\"", "max_sessions = 1");
  CHECK(said.status == 1);
  CHECK(said.err.find("pool.queue_timeout = \"0s\"") != std::string::npos);
  said = check("queue = 5", "");
  CHECK(said.status == 0);
  CHECK((said.out + said.err).find("pool.queue has no effect: no backend of pool \"web\" has max_sessions") !=
        std::string::npos);
}
