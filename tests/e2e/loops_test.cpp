#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/support/fake_dns.h"
#include "tests/support/operated.h"
#include "tests/support/private_names.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

#define NEEDS_PRIVATE_NAMES() \
  SKIP_UNLESS(PrivateNames::possible(), "needs root, ip, nft and mount namespaces")

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("a backend that is an address of this host is refused where a listener has every address") {
  NEEDS_PRIVATE_NAMES();
  const PrivateNames names;
  names.network().add_address("192.0.2.7/32");
  SimpleConfig config;
  config.bind = "0.0.0.0:8080";
  config.backends = {{"a", "192.0.2.7:8080"}};
  const Finished check = run_weir({"check", "-c", "{}"}, config.toml());
  CHECK(check.status == 1);
  CHECK_THAT(check.err, Catch::Contains("is this file's own listener \"web\""));
  config.backends = {{"a", "192.0.2.8:8080"}};
  CHECK(run_weir({"check", "-c", "{}"}, config.toml()).status == 0);
}

TEST_CASE("a backend that is a listener's unix socket by another path is refused") {
  const TempDir dir;
  std::filesystem::create_symlink("web.sock", dir.file("other.sock"));
  SimpleConfig config;
  config.bind = "unix:" + dir.file("web.sock");
  config.backends = {{"a", "unix:" + dir.file("other.sock")}};
  const Finished check = run_weir({"check", "-c", "{}"}, config.toml());
  CHECK(check.status == 1);
  CHECK_THAT(check.err, Catch::Contains("is this file's own listener \"web\""));
}

TEST_CASE("no backend is added that is Weir itself") {
  NEEDS_PRIVATE_NAMES();
  const PrivateNames names;
  names.network().add_address("192.0.2.7/32");
  Operated operated(lettered(1));
  const std::string port = operated.address().substr(operated.address().rfind(':') + 1);
  operated.config.bind = fmt::format("[\"0.0.0.0:{0}\", \"[::]:{0}\"]", port);
  operated.restart();
  for (const char* host : {"127.0.0.1", "192.0.2.7", "[::1]", "[::ffff:192.0.2.7]", "localhost"}) {
    const Finished add = operated.cli({"add", "web", "loop", fmt::format("{}:{}", host, port)});
    CAPTURE(host);
    CHECK(add.status == 1);
    CHECK_THAT(add.err, Catch::Contains("Weir's own listener web"));
  }
}

TEST_CASE("a name that resolves to Weir itself gets no session, and says so once") {
  NEEDS_PRIVATE_NAMES();
  const PrivateNames names;
  FakeDns dns(53);
  dns.set("loop.test", {.addresses = {"127.0.0.1"}, .ttl = 1});
  Operated operated(lettered(1));
  const std::string port = operated.address().substr(operated.address().rfind(':') + 1);
  operated.config.backends.push_back({"loop", "loop.test:" + port});
  REQUIRE(operated.reload().status == 0);
  const std::string reason =
      fmt::format("loop.test resolves to Weir's own listener web (127.0.0.1:{})", port);
  REQUIRE(eventually([&] { return operated.backend_status("loop")["reason"] == reason; }));
  CHECK(operated.backend_status("loop")["health"] == "unknown");
  CHECK(operated.letters(20) == std::string(20, 'a'));
  const std::size_t questions = dns.questions("loop.test");
  REQUIRE(eventually([&] { return dns.questions("loop.test") > questions + 4; }));
  CHECK(count(operated.log(), reason + ": that address is not used") == 1);
  // The name moves away from here: all is well.
  const FakeBackend other({.greeting = "b", .address = "127.0.0.2:" + port});
  dns.set("loop.test", {.addresses = {"127.0.0.2"}, .ttl = 1});
  REQUIRE(eventually([&] { return operated.backend_status("loop")["health"] == "up"; }));
}

TEST_CASE("a listener that a reload binds where a name leads to already takes the name's sessions away") {
  NEEDS_PRIVATE_NAMES();
  const PrivateNames names;
  FakeDns dns(53);
  dns.set("next.test", {.addresses = {"127.0.0.1"}});
  Operated operated(lettered(1));
  const FreePort next;
  operated.config.backends.push_back({"next", fmt::format("next.test:{}", next.number())});
  REQUIRE(operated.reload().status == 0);
  REQUIRE(eventually([&] { return operated.backend_status("next")["resolved"].size() == 1; }));
  const std::string port = operated.address().substr(operated.address().rfind(':') + 1);
  operated.config.bind = fmt::format("[\"127.0.0.1:{}\", \"0.0.0.0:{}\"]", port, next.number());
  REQUIRE(operated.reload().status == 0);
  REQUIRE(eventually([&] { return operated.backend_status("next")["resolved"].is_null(); }));
  CHECK(operated.letters(20) == std::string(20, 'a'));
}

TEST_CASE("a backend that a packet filter leads back to Weir does not take every session there is") {
  NEEDS_PRIVATE_NAMES();
  const int workers = GENERATE(1, 2);
  const PrivateNames names;
  const FreePort port;
  const FreePort loop;
  names.network().redirect_port(loop.number(), port.number());
  SimpleConfig config;
  config.workers = workers;
  config.bind = port.v4();
  config.global = "max_connections = 300";
  config.backends = {{"b1", loop.v4()}};
  WeirDaemon weir(config);
  Stream client = Stream::connect(port.v4());
  REQUIRE(client.recv_to_end().ending == Ending::Reset);
  CHECK(weir.process().wait_for_err("web/b1 leads back to Weir"));
  CHECK(weir.wait_for_access(1).size() < 150);
  // While that is known, nobody goes round more than once.
  for (int n = 0; n < 10; ++n) Stream::connect(port.v4()).recv_to_end();
  CHECK(eventually([&] { return weir.access_log().size() >= 80; }));
  CHECK(weir.access_log().size() < 200);
  CHECK(count(weir.process().err(), "leads back to Weir") == 1);
}
