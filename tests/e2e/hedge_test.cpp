// A second connect beside one that is silent: hedge_after, from outside.
#include <fmt/format.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/admin_client.h"
#include "tests/support/fake_backend.h"
#include "tests/support/port.h"
#include "tests/support/rig.h"
#include "tests/support/temp_dir.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// A Weir whose every session is first sent to "a".
class Hedged {
 public:
  Hedged(const std::string& a, const std::string& b, const std::string& after = "100ms")
      : weir_(config(a, b, after)) {}

  nlohmann::json pool() const { return get_json(dir_.file("weir.sock"), "status")["pools"][0]; }
  std::uint64_t count(const char* what) const { return pool().value(what, std::uint64_t{0}); }
  std::vector<Stream> connect(std::size_t clients) const {
    std::vector<Stream> out;
    while (out.size() < clients) out.push_back(Stream::connect(port_.v4()));
    return out;
  }
  WeirDaemon& weir() { return weir_; }

 private:
  SimpleConfig config(const std::string& a, const std::string& b, const std::string& after) const {
    SimpleConfig config;
    config.global = "shutdown_grace = \"0s\"";
    config.bind = port_.v4();
    config.admin = fmt::format("socket = \"{}\"", dir_.file("weir.sock"));
    config.pool = fmt::format("balance = \"first\"\nconnect_timeout = \"10m\"\nhedge_after = \"{}\"", after);
    config.backends = {{"a", a}, {"b", b}};
    return config;
  }

  TempDir dir_;
  FreePort port_;
  WeirDaemon weir_;
};

/// Those to whom a backend has said something by now.
std::size_t greeted(std::vector<Stream>& clients) {
  std::size_t count = 0;
  for (const Stream& client : clients) {
    char letter;
    if (::recv(client.fd(), &letter, 1, MSG_PEEK | MSG_DONTWAIT) == 1) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE(
    "a connect that is silent gets a second one beside it, for one session in ten, and nobody is blamed") {
  const BlackHole silent;
  FakeBackend quick({.greeting = "b"});
  Hedged hedged(silent.address(), quick.address());
  std::vector<Stream> clients = hedged.connect(20);
  REQUIRE(eventually([&] { return greeted(clients) == 2; }));
  const auto pool = hedged.pool();
  CHECK(pool["hedged"] == 2);
  CHECK(pool["hedges_won"] == 2);
  CHECK(pool["backends"][0]["connect_failures"] == 0);
  CHECK(pool["backends"][0]["active"] == 18);  // the first connect is given up at once
  CHECK(pool["backends"][1]["active"] == 2);
  std::erase_if(clients, [](Stream& client) {
    char letter;
    if (::recv(client.fd(), &letter, 1, MSG_PEEK | MSG_DONTWAIT) == 1) return false;
    client.reset();
    return true;
  });
  for (Stream& client : clients) {
    CHECK(client.recv_exact(1) == "b");
    CHECK(client.echoes("all is well"));
    client.half_close();
    CHECK(client.recv_to_end().ending == Ending::Eof);
  }
  std::size_t served = 0;
  for (const AccessLine& line : hedged.weir().wait_for_access(20)) {
    if (line["end"] != "done") continue;
    ++served;
    CHECK(line["backend"] == "b");
    CHECK(line["attempts"] == "2");
    CHECK(line["tried"] == "-");
  }
  CHECK(served == 2);
  CHECK(hedged.pool()["backends"][0]["active"] == 0);
}

TEST_CASE("when the silent one refuses after all, its hedge goes on, and the others try the next") {
  BlackHole first, second;
  Hedged hedged(first.address(), second.address());
  std::vector<Stream> clients = hedged.connect(10);
  REQUIRE(eventually([&] { return hedged.count("hedged") == 1; }));
  CHECK(hedged.count("hedges_won") == 0);
  first.refuse();
  REQUIRE(eventually([&] { return hedged.pool()["backends"][0]["connect_failures"] == 10; }));
  std::vector<Stream> served;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    served.push_back(second.accept());
    served.back().send_all("b");
  }
  for (Stream& client : clients) CHECK(client.recv_exact(1) == "b");
  CHECK(hedged.count("hedges_won") == 0);
  CHECK(hedged.pool()["backends"][1]["active"] == 10);
}

TEST_CASE("the one that accepts first has the session, and the other is closed, whichever it was") {
  BlackHole first, second;
  Hedged hedged(first.address(), second.address());
  std::vector<Stream> clients = hedged.connect(10);
  REQUIRE(eventually([&] { return hedged.count("hedged") == 1; }));
  std::vector<Stream> served;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    served.push_back(first.accept());
    served.back().send_all("a");
  }
  for (Stream& client : clients) CHECK(client.recv_exact(1) == "a");
  const auto pool = hedged.pool();
  CHECK(pool["hedges_won"] == 0);
  CHECK(pool["backends"][0]["active"] == 10);
  CHECK(pool["backends"][1]["active"] == 0);
  CHECK(pool["backends"][1]["connect_failures"] == 0);
}

TEST_CASE("a hedge that has accepted keeps its session, though the first is refused in the same moment") {
  BlackHole first, second;
  Hedged hedged(first.address(), second.address());
  const std::uint16_t port = weir::Address::parse_ip_port(first.address())->port();
  std::vector<Stream> clients = hedged.connect(10);
  REQUIRE(eventually([&] { return hedged.count("hedged") == 1; }));
  // Weir hears of both at once, of the hedge first.
  hedged.weir().process().signal(SIGSTOP);
  std::vector<Stream> served;
  served.push_back(second.accept());
  first.refuse();
  REQUIRE(eventually([&] { return sockets_in_state("02", port) == 0; }));
  hedged.weir().process().signal(SIGCONT);
  while (served.size() < clients.size()) served.push_back(second.accept());
  for (Stream& one : served) one.send_all("b");
  for (Stream& client : clients) CHECK(client.recv_exact(1) == "b");
  const auto pool = hedged.pool();
  CHECK(pool["hedges_won"] == 1);
  CHECK(pool["backends"][0]["connect_failures"] == 9);
  CHECK(pool["backends"][1]["connect_failures"] == 0);
  CHECK(pool["backends"][1]["active"] == 10);
}

TEST_CASE("a client that leaves, and the end, leave nothing of a hedge behind") {
  const BlackHole first, second;
  Hedged hedged(first.address(), second.address());
  const std::size_t before = hedged.weir().process().descriptors("socket:");
  std::vector<Stream> clients = hedged.connect(10);
  REQUIRE(eventually([&] { return hedged.count("hedged") == 1; }));
  for (Stream& client : clients) client.reset();
  REQUIRE(eventually([&] { return hedged.weir().process().descriptors("socket:") == before; }));
  CHECK(hedged.pool()["backends"][0]["active"] == 0);
  CHECK(hedged.pool()["backends"][1]["active"] == 0);
  clients = hedged.connect(10);
  REQUIRE(eventually([&] { return hedged.count("hedged") == 2; }));
  CHECK(hedged.weir().stop(kPatience).has_value());
}
