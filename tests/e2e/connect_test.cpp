#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Weir in front of addresses that are no fake backends of the rig.
struct Front {
  FreePort port;
  std::unique_ptr<WeirDaemon> weir;

  explicit Front(SimpleConfig config) {
    config.bind = port.v4();
    weir = std::make_unique<WeirDaemon>(config);
  }
  Stream connect() const { return Stream::connect(port.v4()); }
};

FakeBackendOptions greeting(std::string letter) {
  FakeBackendOptions options;
  options.greeting = std::move(letter);
  return options;
}

}  // namespace

TEST_CASE("beside a backend that refuses every session is served by the other one") {
  RefusingPort dead;
  FakeBackend live(greeting("b"));
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  config.backends = {{"a", dead.address()}, {"b", live.address()}};
  Front front(config);
  std::string served;
  for (int i = 0; i < 100; ++i) served += one_session(front.port.v4());
  CHECK(served == std::string(100, 'b'));
  const auto log = front.weir->wait_for_access(100);
  CHECK(std::all_of(log.begin(), log.end(), [](const AccessLine& line) { return line["backend"] == "b"; }));
  // The first session at the latest has met the dead one.
  CHECK(std::any_of(log.begin(), log.end(), [](const AccessLine& line) { return line["attempts"] == "2"; }));
}

TEST_CASE("after a refused attempt the session on the next backend is like any other") {
  RefusingPort dead;
  FakeBackend live(greeting("b"));
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  config.backends = {{"a", dead.address()}, {"b", live.address()}};
  Front front(config);
  for (int i = 0; i < 4; ++i) {
    Stream client = front.connect();
    REQUIRE(client.recv_exact(1) == "b");
    // Nothing of the failed attempt may end this one.
    CHECK(client.recv_to_end(100ms).ending == Ending::Open);
    client.send_all("question");
    CHECK(client.recv_to_end(300ms).data == "question");
    client.half_close();
    CHECK(client.recv_to_end().ending == Ending::Eof);
  }
}

TEST_CASE("beside a backend that answers nothing the first byte comes after one connect_timeout", "[alone]") {
  BlackHole hole;
  FakeBackend live(greeting("b"));
  SimpleConfig config;
  config.pool = "connect_timeout = \"1s\"";
  config.backends = {{"a", hole.address()}, {"b", live.address()}};
  Front front(config);
  const auto start = Clock::now();
  Stream client = front.connect();
  CHECK(client.recv_exact(1) == "b");
  CHECK(since(start) >= 990ms);
  CHECK(since(start) < (kSanitized ? 2500ms : 1300ms));
}

TEST_CASE("what the client sent before a backend was found arrives once and in order") {
  const bool finish_at_once = GENERATE(false, true);
  CAPTURE(finish_at_once);
  RefusingPort dead;
  FakeBackend live;
  SimpleConfig config;
  config.backends = {{"a", dead.address()}, {"b", live.address()}};
  Front front(config);
  Stream client = front.connect();
  const std::string data = BytePattern(1).bytes(65'536);
  client.send_all(data);
  if (finish_at_once) client.half_close();
  CHECK(client.recv_exact(data.size()) == data);
  if (!finish_at_once) client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Eof);
  CHECK(live.received() == data);
}

TEST_CASE("a client's end before a backend is connected is a half-close like any other") {
  BlackHole hole;
  FakeBackend live;
  SimpleConfig config;
  config.pool = "connect_timeout = \"500ms\"";
  config.backends = {{"a", hole.address()}, {"b", live.address()}};
  Front front(config);
  Stream client = front.connect();
  client.send_all("request");
  client.half_close();
  const Received answer = client.recv_to_end();
  CHECK(answer.data == "request");
  CHECK(answer.ending == Ending::Eof);
  CHECK(front.weir->wait_for_access(1)[0]["end"] == "done");
}

TEST_CASE("a client that resets before a backend is connected is client_gone at once") {
  BlackHole hole;
  const std::size_t hanging = sockets_in_state("02", to_address(hole.address()).port());
  SimpleConfig config;
  config.pool = "connect_timeout = \"60s\"";
  config.backends = {{"a", hole.address()}};
  Front front(config);
  Stream client = front.connect();
  const std::string name = client.local_address();
  // Weir's own unanswered SYN, beside the one that filled the hole up, shows that it is trying.
  const std::uint16_t hole_port = to_address(hole.address()).port();
  REQUIRE(eventually([&] { return sockets_in_state("02", hole_port) > hanging; }));
  client.reset();
  const auto log = front.weir->wait_for_access(1);  // long before connect_timeout
  CHECK(log[0]["end"] == "client_gone");
  CHECK(log[0]["client"] == name);
  CHECK(log[0]["attempts"] == "1");
  CHECK(log[0]["bytes_to_backend"] == "0");
}

TEST_CASE("a session that has begun to move bytes is never tried elsewhere") {
  FakeBackendOptions taker = scripted([](Stream& stream) {
    stream.recv_exact(1024);
    stream.reset();
  });
  Rig rig({taker, greeting("b")});
  Stream client = rig.connect();
  client.send_all(std::string(1024, 'x'));
  const Received received = client.recv_to_end();
  CHECK(received.data.empty());
  CHECK(received.ending == Ending::Reset);
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "backend_reset");
  CHECK(rig.backend(1).accepted() == 0);
}

TEST_CASE("when all backends refuse the client is reset at once and one line is logged", "[alone]") {
  RefusingPort one;
  RefusingPort two;
  SimpleConfig config;
  config.backends = {{"a", one.address()}, {"b", two.address()}};
  Front front(config);
  const auto start = Clock::now();
  Stream client = front.connect();
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(since(start) < patient(100ms));
  const auto log = front.weir->wait_for_access(1);
  CHECK(log.size() == 1);
  CHECK(log[0]["end"] == "connect_failed");
  CHECK(log[0]["attempts"] == "2");
}

TEST_CASE("connect_attempts bounds the backends that are tried for one session") {
  const int attempts = GENERATE(1, 2, 3, 5);
  CAPTURE(attempts);
  std::vector<RefusingPort> dead(5);
  SimpleConfig config;
  config.pool = fmt::format("connect_attempts = {}", attempts);
  for (std::size_t i = 0; i < dead.size(); ++i)
    config.backends.push_back({fmt::format("b{}", i), dead[i].address()});
  Front front(config);
  CHECK(front.connect().recv_to_end().ending == Ending::Reset);
  const auto log = front.weir->wait_for_access(1);
  CHECK(log[0]["attempts"] == std::to_string(attempts));
  CHECK(log[0]["end"] == "connect_failed");
}

TEST_CASE("a backup is tried after every primary has failed") {
  std::vector<RefusingPort> dead(2);
  FakeBackend backup(greeting("c"));
  SimpleConfig config;
  config.backends = {
      {"c", backup.address(), "backup = true"}, {"a", dead[0].address()}, {"b", dead[1].address()}};
  Front front(config);
  CHECK(one_session(front.port.v4()) == 'c');
  CHECK(front.weir->wait_for_access(1)[0]["attempts"] == "3");
}

TEST_CASE("a backup gets nothing while a primary serves") {
  Rig rig(lettered(3), {}, {"", "backup = true", ""});
  CHECK(rig.letters(6) == "acacac");
}

TEST_CASE("backups serve when no primary is eligible") {
  Rig rig(lettered(3), {}, {"admin = \"drained\"", "backup = true", "admin = \"disabled\""});
  CHECK(rig.letters(3) == "bbb");
}

TEST_CASE("three failed connects in a row take an unprobed backend out of rotation") {
  Rig rig(lettered(2));
  rig.backend(0).stop_listening();
  for (std::size_t sessions = 1; sessions <= 8; ++sessions) {
    CHECK(rig.letters(1) == "b");
    rig.weir().wait_for_access(sessions);
  }
  REQUIRE(rig.process().wait_for_err("web/a up → down: connect failed 3 times in a row"));
  CHECK(eventually(patient(1s), [&] {
    const std::size_t before = rig.weir().access_log().size();
    rig.letters(4);
    const auto lines = rig.weir().wait_for_access(before + 4);
    return std::all_of(lines.end() - 4, lines.end(),
                       [](const auto& line) { return line["attempts"] == "1"; });
  }));
}

TEST_CASE("a backend whose name does not resolve does not keep Weir from starting") {
  FakeBackend live(greeting("b"));
  SimpleConfig config;
  config.backends = {{"a", "no-such-host.invalid:80"}, {"b", live.address()}};
  Front front(config);
  for (int i = 0; i < 4; ++i) CHECK(one_session(front.port.v4()) == 'b');
}

TEST_CASE("a backend's host name is resolved") {
  FakeBackend live(greeting("a"));
  SimpleConfig config;
  config.backends = {{"a", fmt::format("localhost:{}", live.port())}};
  Front front(config);
  // Whether ::1 or 127.0.0.1 comes first is the system's affair: a refused one is followed by the next.
  char letter = 0;
  REQUIRE(eventually([&] {
    try {
      letter = one_session(front.port.v4());
      return true;
    } catch (const StreamError&) {
      return false;
    }
  }));
  CHECK(letter == 'a');
}

TEST_CASE("a name with several addresses is one backend whose addresses are tried in order") {
  FakeBackend live(greeting("a"));  // 127.0.0.1 only, while localhost is often ::1 first
  SimpleConfig config;
  config.pool = "connect_attempts = 1";
  config.backends = {{"a", fmt::format("localhost:{}", live.port())}};
  Front front(config);
  REQUIRE(eventually([&] { return front.connect().recv_to_end(2s).data == "a"; }));
  for (int i = 0; i < 5; ++i) CHECK(one_session(front.port.v4()) == 'a');
}

TEST_CASE("sessions that wait for a backend that answers nothing hold up nobody else") {
  BlackHole hole;
  FakeBackend live(greeting("b"));
  SimpleConfig config;
  config.pool = "connect_timeout = \"10s\"";
  config.backends = {{"a", hole.address()}, {"b", live.address()}};
  Front front(config);
  std::vector<Stream> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(front.connect());
  std::size_t served = 0;
  for (Stream& client : clients) served += client.recv_to_end(50ms).data == "b" ? 1U : 0U;
  CHECK(served == 10);
}
