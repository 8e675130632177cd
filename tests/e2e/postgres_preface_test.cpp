// PostgreSQL's SSLRequest, which Weir answers in order to read the name behind it: with backends whose every
// word is the test's, and with Debian's server.
#include <fmt/format.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "lb/wire/postgres_start.h"
#include "tests/e2e/postgres_cluster.h"
#include "tests/support/rig.h"
#include "tests/support/tls_hello.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::string kSslRequest(weir::kPostgresSslRequest);
const std::string kGssRequest(weir::kPostgresGssRequest);
const std::string kHello = tls_hello("shop.example.org");
const std::string kStartup = std::string("\0\0\0\x12\0\3\0\0", 8) + std::string("user\0me\0\0", 10);

/// Hears the SSLRequest, answers with `answer`, then says its name once something follows, and
/// echoes what has.
FakeBackendOptions speaks_tls(const std::string& name, const std::string& answer = "S") {
  return scripted([=](Stream& client) {
    if (client.recv_exact(kSslRequest.size()) != kSslRequest) throw StreamError("no SSLRequest");
    // Nobody speaks before the answer.
    std::this_thread::sleep_for(20ms);
    if (char byte; recv(client.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
      throw StreamError("somebody spoke before the answer");
    client.send_all(answer);
    const std::string first = client.recv_some();
    if (first.empty()) return;
    client.send_all(name + first);
    while (true) {
      const std::string more = client.recv_some();
      if (more.empty()) return;
      client.send_all(more);
    }
  });
}

SimpleConfig by_name(const std::string& pool = "", const std::string& listener = "") {
  SimpleConfig config;
  config.listener = "preface = \"postgres\"\n" + listener +
                    "\n[[listener.route]]\nsni = \"shop.example.org\"\npool = \"web\"";
  config.pool = pool;
  return config;
}

/// What its client gets to hear after the ClientHello, byte by byte or at once.
std::string served(const Rig& rig, bool in_pieces = false) {
  Stream client = rig.connect();
  for (std::size_t at = 0; at < kSslRequest.size();) {
    const std::size_t size = in_pieces ? 1 : kSslRequest.size();
    client.send_all(kSslRequest.substr(at, size));
    if (in_pieces) std::this_thread::sleep_for(2ms);
    at += size;
  }
  if (client.recv_exact(1) != "S") return "no S";
  client.send_all(kHello);
  const std::string name = client.recv_exact(1);
  return client.recv_exact(kHello.size()) == kHello ? name : name + " with other bytes";
}

}  // namespace

TEST_CASE(
    "a backend is asked for TLS before it hears the ClientHello of a client that has been promised it") {
  Rig rig({speaks_tls("a")}, by_name());
  CHECK(served(rig) == "a");
  CHECK(served(rig, true) == "a");
  for (const AccessLine& line : rig.weir().wait_for_access(2)) {
    CHECK(line["sni"] == "shop.example.org");
    CHECK(line["end"] == "done");
    CHECK(line["why"] == "-");
    // Neither the request nor the answer are counted: they are not the session's own.
    CHECK(line["bytes_to_backend"] == std::to_string(kHello.size()));
    CHECK(line["bytes_to_client"] == std::to_string(kHello.size() + 1));
  }
  CHECK(rig.backend().script_failures().empty());
}

TEST_CASE("a PROXY header goes before the SSLRequest") {
  Rig rig({scripted([](Stream& client) {
            std::string line;
            while (!line.ends_with("\r\n")) line += client.recv_exact(1);
            if (!line.starts_with("PROXY TCP4 127.0.0.9 127.0.0.1 ")) throw StreamError(line);
            if (client.recv_exact(8) != kSslRequest) throw StreamError("no SSLRequest");
            client.send_all("S");
            if (client.recv_exact(kHello.size()) != kHello) throw StreamError("another hello");
            client.send_all("a");
          })},
          by_name("send_proxy = \"v1\""));
  Stream client = rig.connect({.source = to_address("127.0.0.9:0")});
  client.send_all(kSslRequest + kHello);
  CHECK(client.recv_exact(2) == "Sa");
  CHECK(rig.backend().script_failures().empty());
}

TEST_CASE("a backend that does not say yes to TLS has failed, and the next one serves the client") {
  const std::string answer = GENERATE("N", "ESFATAL", "", "S");
  CAPTURE(answer);
  Rig rig({speaks_tls("a", answer), speaks_tls("b")}, by_name("balance = \"first\""));
  CHECK(served(rig) == (answer == "S" ? "a" : "b"));
  const AccessLine line = rig.weir().wait_for_access(1)[0];
  CHECK(line["tried"] == (answer == "S" ? "-" : "a"));
  CHECK(line["attempts"] == (answer == "S" ? "1" : "2"));
  CHECK(line["why"] == "-");
}

TEST_CASE("a backend that says nothing to the SSLRequest has had its time when connect_timeout is over") {
  Rig rig({{.then = Then::Stall}, speaks_tls("b")},
          by_name("balance = \"first\"\nconnect_timeout = \"200ms\""));
  CHECK(served(rig) == "b");
  CHECK(rig.weir().wait_for_access(1)[0]["tried"] == "a");
}

TEST_CASE("when none speaks TLS the client is reset, and the log says why") {
  Rig rig({speaks_tls("a", "N")}, by_name());
  Stream client = rig.connect();
  client.send_all(kSslRequest + kHello);
  const Received rest = client.recv_to_end();
  CHECK(rest.data == "S");
  CHECK(rest.ending == Ending::Reset);
  const AccessLine line = rig.weir().wait_for_access(1)[0];
  CHECK(line["end"] == "connect_failed");
  CHECK(line["why"] == "a does not speak TLS: it says no to the SSLRequest");
  CHECK(line["connect_ms"] == "-");
}

TEST_CASE("a client that leaves while its backend is asked for TLS is gone") {
  Rig rig({{.then = Then::Stall}}, by_name("connect_timeout = \"1m\""));
  Stream client = rig.connect();
  client.send_all(kSslRequest + kHello);
  REQUIRE(client.recv_exact(1) == "S");
  REQUIRE(eventually([&] { return rig.backend().open() == 1; }));
  client.reset();
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "client_gone");
  CHECK(eventually([&] { return rig.backend().open() == 0 || rig.backend().resets() == 1; }));
}

TEST_CASE(
    "GSSAPI is refused, and TLS may be asked for after that; what is no such request goes on unchanged") {
  Rig rig(echoing(), by_name());
  Stream gss = rig.connect();
  gss.send_all(kGssRequest);
  REQUIRE(gss.recv_exact(1) == "N");
  gss.send_all(kStartup);
  CHECK(gss.recv_exact(kStartup.size()) == kStartup);
  const std::string cancel = std::string("\0\0\0\x10\x04\xd2\x16\x2e", 8) + "12345678";
  for (const std::string& first : {kStartup, cancel, kHello}) CHECK(rig.connect().echoes(first));
}

TEST_CASE("a client that stops after its SSLRequest is told from one that says nothing") {
  Rig rig(echoing(), by_name("", "header_timeout = \"200ms\""));
  Stream client = rig.connect();
  client.send_all(kSslRequest);
  const Received rest = client.recv_to_end();
  CHECK(rest.data == "S");
  CHECK(rest.ending == Ending::Reset);
  const AccessLine line = rig.weir().wait_for_access(1)[0];
  CHECK(line["end"] == "bad_hello");
  CHECK(line["why"] == "no whole first message within header_timeout = 200ms");
  CHECK(rig.backend().accepted() == 0);
}

TEST_CASE("that preface without a route that reads names has no effect and check says so") {
  SimpleConfig config;
  config.bind = "127.0.0.1:8080";
  config.backends = {{"a", "127.0.0.1:1"}};
  config.listener = "preface = \"postgres\"";
  const Finished check = run_weir({"check", "-c", "{}"}, config.toml());
  CHECK(check.status == 0);
  CHECK_THAT(check.err, Catch::Contains("listener.preface has no effect: there is no route by sni or alpn"));
  config.listener = "preface = \"mysql\"";
  CHECK_THAT(run_weir({"check", "-c", "{}"}, config.toml()).err, Catch::Contains("postgres"));
}

TEST_CASE("PostgreSQL's servers behind one port are told apart by name, with TLS from end to end") {
  if (no_postgres() || missing({"openssl"})) return;
  Cluster www, shop;
  www.start_with_tls();
  shop.start_with_tls();
  const FreePort port;
  WeirDaemon weir(
      fmt::format("workers = 2\nstate_file = \"\"\n[admin]\nsocket = \"\"\n[log]\naccess = \"stdout\"\n"
                  "[[listener]]\nname = \"pg\"\nbind = \"{}\"\npool = \"www\"\npreface = \"postgres\"\n"
                  "[[listener.route]]\nsni = \"shop.example.org\"\npool = \"shop\"\n"
                  "[[pool]]\nname = \"www\"\n[pool.health]\nprobe = \"none\"\n"
                  "[[pool.backend]]\nname = \"w\"\naddress = \"{}\"\n"
                  "[[pool]]\nname = \"shop\"\n[pool.health]\nprobe = \"none\"\n"
                  "[[pool.backend]]\nname = \"s\"\naddress = \"{}\"\n",
                  port.v4(), www.port().v4(), shop.port().v4()));
  const auto ask = [&](const std::string& host, const std::string& sslmode) {
    const Finished psql =
        run_program({"psql", "-X", "-At", "-c",
                     "select inet_server_port(), ssl from pg_stat_ssl where pid = pg_backend_pid()",
                     fmt::format("host={} hostaddr=127.0.0.1 port={} user=admin dbname=postgres sslmode={}",
                                 host, port.number(), sslmode)});
    return psql.status == 0 ? psql.out : psql.err;
  };
  const auto answer = [](const Cluster& cluster, char ssl) {
    return fmt::format("{}|{}\n", cluster.port().number(), ssl);
  };
  CHECK(ask("shop.example.org", "require") == answer(shop, 't'));
  CHECK(ask("other.example.org", "require") == answer(www, 't'));
  CHECK(ask("shop.example.org", "prefer") == answer(shop, 't'));
  // Without TLS no name is told.
  CHECK(ask("shop.example.org", "disable") == answer(www, 'f'));
  for (const AccessLine& line : weir.wait_for_access(4)) {
    // With TLS psql says that it ends, and closes: its kernel refuses the server's last word, or the server's
    // kernel what psql had said behind its own.
    const std::string end = line["end"];
    CAPTURE(end);
    CHECK((end == "done" || end == "client_reset" || end == "backend_reset"));
  }
}
