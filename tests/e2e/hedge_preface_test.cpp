// hedge_after where the listener answers PostgreSQL's SSLRequest: two connects, one of which is asked for
// TLS.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "lb/wire/postgres_start.h"
#include "tests/support/admin_client.h"
#include "tests/support/fake_backend.h"
#include "tests/support/port.h"
#include "tests/support/rig.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tls_hello.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::string kSslRequest(weir::kPostgresSslRequest);
const std::string kHello = tls_hello("shop.example.org");

/// Ten clients, of whom one gets a hedge, since that is one session in ten. Each is sent to "a" first.
class Ten {
 public:
  Ten(const std::string& a, const std::string& b) : weir_(config(a, b)) {
    while (clients_.size() < 10) {
      clients_.push_back(Stream::connect(port_.v4()));
      clients_.back().send_all(kSslRequest + kHello);
    }
  }

  nlohmann::json pool() const { return get_json(dir_.file("weir.sock"), "status")["pools"][0]; }
  bool one_is_hedged() const {
    return eventually([&] { return pool()["hedged"] == 1; });
  }
  std::vector<Stream>& clients() { return clients_; }
  WeirDaemon& weir() { return weir_; }

 private:
  SimpleConfig config(const std::string& a, const std::string& b) const {
    SimpleConfig config;
    config.global = "shutdown_grace = \"0s\"";
    config.bind = port_.v4();
    config.admin = fmt::format("socket = \"{}\"", dir_.file("weir.sock"));
    config.listener =
        "preface = \"postgres\"\n[[listener.route]]\nsni = \"shop.example.org\"\npool = \"web\"";
    config.pool = "balance = \"first\"\nconnect_timeout = \"10m\"\nhedge_after = \"100ms\"";
    config.backends = {{"a", a}, {"b", b}};
    return config;
  }

  TempDir dir_;
  FreePort port_;
  WeirDaemon weir_;
  std::vector<Stream> clients_;
};

/// Serves a connection as a backend does that speaks TLS, which says its name then. False: nothing came.
bool serve(Stream& connection, const std::string& name) {
  std::string question;
  try {
    question = connection.recv_exact(1);
  } catch (const StreamError&) {
    return false;
  }
  question += connection.recv_exact(kSslRequest.size() - 1);
  if (question != kSslRequest) throw StreamError("no SSLRequest");
  connection.send_all("S");
  if (connection.recv_exact(kHello.size()) != kHello) throw StreamError("another hello");
  connection.send_all(name);
  return true;
}

}  // namespace

TEST_CASE("a hedge that is accepted first is asked for TLS, once, and serves its client byte by byte") {
  const BlackHole silent;
  FakeBackend quick(scripted([](Stream& stream) {
    if (!serve(stream, "b")) throw StreamError("nothing came");
    while (true) {
      const std::string more = stream.recv_some();
      if (more.empty()) return;
      stream.send_all(more);
    }
  }));
  Ten ten(silent.address(), quick.address());
  REQUIRE(ten.one_is_hedged());
  REQUIRE(eventually([&] { return ten.pool()["backends"][1]["active"] == 1; }));
  CHECK(ten.pool()["backends"][0]["active"] == 9);
  for (Stream& client : ten.clients()) REQUIRE(client.recv_exact(1) == "S");
  const auto hears = [](const Stream& client) {
    char letter;
    return ::recv(client.fd(), &letter, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
  };
  REQUIRE(eventually([&] { return std::ranges::count_if(ten.clients(), hears) == 1; }));
  const auto served = std::ranges::find_if(ten.clients(), hears);
  CHECK(served->recv_exact(1) == "b");
  CHECK(served->echoes(std::string(300'000, 'x')));
  served->half_close();
  CHECK(served->recv_to_end().ending == Ending::Eof);
  for (Stream& client : ten.clients()) client.reset();
  CHECK(ten.pool()["hedged"] == 1);
  CHECK(ten.pool()["hedges_won"] == 1);
  CHECK(ten.pool()["backends"][0]["connect_failures"] == 0);
  CHECK(quick.accepted() == 1);
  CHECK(quick.script_failures().empty());
  for (const AccessLine& line : ten.weir().wait_for_access(10)) {
    if (line["end"] != "done") continue;
    CHECK(line["backend"] == "b");
    CHECK(line["sni"] == "shop.example.org");
    CHECK(line["bytes_to_backend"] == std::to_string(kHello.size() + 300'000));
    CHECK(line["bytes_to_client"] == "300001");
  }
}

TEST_CASE("of two that accept in the same moment one is asked for TLS, and the other hears nothing") {
  BlackHole first, second;
  Ten ten(first.address(), second.address());
  REQUIRE(ten.one_is_hedged());
  ten.weir().process().signal(SIGSTOP);
  std::vector<Stream> of_first, of_second;
  while (of_first.size() < 10) of_first.push_back(first.accept());
  of_second.push_back(second.accept());
  ten.weir().process().signal(SIGCONT);
  std::size_t served = 0;
  for (Stream& one : of_second) served += serve(one, "b") ? 1u : 0u;
  const std::size_t by_hedge = served;
  for (Stream& one : of_first) served += serve(one, "a") ? 1u : 0u;
  CHECK(served == 10);
  CHECK(ten.pool()["hedged"] == 1);
  CHECK(ten.pool()["hedges_won"] == by_hedge);
  std::size_t by_b = 0;
  for (Stream& client : ten.clients()) {
    CHECK(client.recv_exact(1) == "S");
    by_b += client.recv_exact(1) == "b" ? 1u : 0u;
  }
  CHECK(by_b == by_hedge);
  CHECK(ten.pool()["backends"][0]["active"] == 10 - by_hedge);
  CHECK(ten.pool()["backends"][1]["active"] == by_hedge);
}
