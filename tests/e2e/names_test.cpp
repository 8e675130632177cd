#include <fmt/format.h>

#include <signal.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/fake_dns.h"
#include "tests/support/operated.h"
#include "tests/support/private_names.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// A backend that greets after a while, then echoes.
FakeBackendOptions slow_to_greet(milliseconds delay) {
  return scripted([delay](Stream& stream) {
    std::this_thread::sleep_for(delay);
    stream.send_all("hello");
    while (true) {
      const std::string data = stream.recv_some();
      if (data.empty()) return;
      stream.send_all(data);
    }
  });
}

constexpr std::uint32_t kLongTtl = 300;

/// Two backends on one port of 127.0.0.1 and 127.0.0.2, which greet with "a" and "b", a name server, and a
/// Weir whose one backend is web.test.
struct Moving {
  explicit Moving(const SimpleConfig& extra = {},
                  DnsRecord record = {.addresses = {"127.0.0.1"}, .ttl = kLongTtl})
      : a({.greeting = "a", .address = fmt::format("127.0.0.1:{}", port.number())}),
        b({.greeting = "b", .address = fmt::format("127.0.0.2:{}", port.number())}) {
    dns.set("web.test", std::move(record));
    weir = std::make_unique<Operated>(lettered(1), extra);
    weir->config.backends = {{"web", address()}};
    REQUIRE(weir->reload().status == 0);
    REQUIRE(eventually([&] { return backend()["health"] == "up"; }));
  }
  std::string address() const { return fmt::format("web.test:{}", port.number()); }
  void move_to(const std::string& ip, std::uint32_t ttl = kLongTtl) {
    dns.set("web.test", {.addresses = {ip}, .ttl = ttl});
  }
  bool served_by(char letter, milliseconds deadline = kPatience) {
    return eventually(deadline, [&] { return one_session(weir->address()) == letter; });
  }
  nlohmann::json backend() const { return weir->backend_status("web"); }

  PrivateNames names;
  FakeDns dns{53};
  FreePort port;
  FakeBackend a;
  FakeBackend b;
  std::unique_ptr<Operated> weir;
};

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

#define NEEDS_PRIVATE_NAMES() \
  SKIP_UNLESS(PrivateNames::possible(), "needs root, ip, nft and mount namespaces")

}  // namespace

TEST_CASE("the first client of a start is served by a backend with a host name, however slow its probe") {
  FakeBackend backend(slow_to_greet(150ms));
  SimpleConfig config;
  config.backends = {{"a", fmt::format("localhost:{}", backend.port())}};
  config.health = "probe = \"expect\"\nexpect = \"hello\"";
  for (int start = 0; start < 20; ++start) {
    const FreePort port;
    config.bind = port.v4();
    WeirDaemon weir(config);
    INFO("start " << start << "\n" << weir.process().err());
    REQUIRE(Stream::connect(port.v4()).recv_exact(5) == "hello");
  }
}

TEST_CASE("a backend follows its name when the time to live is over, and live sessions stay where they are") {
  NEEDS_PRIVATE_NAMES();
  Moving rig({}, {.addresses = {"127.0.0.1"}, .ttl = 1});
  Stream live = rig.weir->connect();
  REQUIRE(live.recv_exact(1) == "a");
  rig.move_to("127.0.0.2", 1);
  REQUIRE(rig.served_by('b', patient(5s)));
  REQUIRE(live.echoes("still here"));
  REQUIRE(rig.backend()["health"] == "up");
}

TEST_CASE("a name server of Debian's is followed") {
  NEEDS_PRIVATE_NAMES();
  SKIP_UNLESS(have_program("dnsmasq"), "needs dnsmasq");
  const PrivateNames names;
  const TempDir dir;
  const FreePort port;
  const FakeBackend a({.greeting = "a", .address = fmt::format("127.0.0.1:{}", port.number())});
  const FakeBackend b({.greeting = "b", .address = fmt::format("127.0.0.2:{}", port.number())});
  write_file(dir.file("names"), "127.0.0.1 web.test\n");
  Process dnsmasq({"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                   "--addn-hosts=" + dir.file("names"), "--local-ttl=1", "--listen-address=127.0.0.1",
                   "--bind-interfaces", "--user=root", "--group=root", "--pid-file=", "--log-facility=-"});
  REQUIRE(dnsmasq.wait_for_err("read " + dir.file("names")));
  const FreePort own;
  SimpleConfig config;
  config.bind = own.v4();
  config.backends = {{"web", fmt::format("web.test:{}", port.number())}};
  WeirDaemon weir(config);
  REQUIRE(eventually([&] { return Stream::connect(own.v4()).recv_to_end(500ms).data == "a"; }));
  write_file(dir.file("names"), "127.0.0.2 web.test\n");
  dnsmasq.signal(SIGHUP);
  REQUIRE(eventually([&] { return one_session(own.v4()) == 'b'; }));
}

TEST_CASE("a reload by command or by signal asks for names again") {
  NEEDS_PRIVATE_NAMES();
  const bool by_signal = GENERATE(false, true);
  Moving rig;
  REQUIRE(rig.served_by('a'));
  rig.move_to("127.0.0.2");
  if (by_signal)
    rig.weir->process().signal(SIGHUP);
  else
    REQUIRE(rig.weir->reload().status == 0);
  REQUIRE(rig.served_by('b', patient(5s)));
}

TEST_CASE("a backend that goes down has its name asked for again") {
  NEEDS_PRIVATE_NAMES();
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"\nfast_interval = \"50ms\"\nfall = 2";
  Moving rig(config);
  rig.move_to("127.0.0.2");
  rig.a.stop_listening();
  // It may be up again sooner than a slow machine has looked.
  REQUIRE(rig.weir->says("up → down"));
  REQUIRE(eventually(patient(5s), [&] { return rig.backend()["health"] == "up"; }));
  REQUIRE(rig.served_by('b'));
}

TEST_CASE("/etc/hosts comes first, and is read again when it changes") {
  NEEDS_PRIVATE_NAMES();
  Moving rig;
  rig.names.set_hosts("127.0.0.2 Web.Test\n");
  REQUIRE(rig.served_by('b', patient(5s)));
  rig.names.set_hosts("");
  REQUIRE(rig.served_by('a', patient(5s)));
}

TEST_CASE("backends of one name, in any pool, share its questions and its answer") {
  NEEDS_PRIVATE_NAMES();
  Moving rig;
  const std::size_t before = rig.dns.questions("web.test");
  std::string more;
  for (int n = 0; n < 20; ++n)
    more += fmt::format(
        "[[listener]]\nname = \"l{0}\"\nbind = \"unix:{1}/{0}.sock\"\npool = \"p{0}\"\n[[pool]]\n"
        "name = \"p{0}\"\nhealth.probe = \"none\"\n[[pool.backend]]\nname = \"x\"\naddress = "
        "\"WEB.test:{2}\"\n",
        n, rig.weir->dir().path().string(), rig.port.number());
  rig.weir->config.backends.back().more = more;
  REQUIRE(rig.weir->reload().status == 0);
  REQUIRE(eventually([&] { return rig.weir->backend_status("p19/x")["health"] == "up"; }));
  // One for each family, and what is asked once more when a slow machine's answer is late; not forty.
  REQUIRE(rig.dns.questions("web.test") <= before + 8);
}

TEST_CASE("a name server that fails costs no session, and is logged once until it is well again") {
  NEEDS_PRIVATE_NAMES();
  Moving rig({}, {.addresses = {"127.0.0.1"}, .ttl = 1});
  rig.dns.set("web.test", {.rcode = 2});
  INFO(rig.weir->log());
  REQUIRE(rig.weir->says("web.test does not resolve: no name server serves it"));
  const std::size_t questions = rig.dns.questions("web.test");
  REQUIRE(eventually([&] { return rig.dns.questions("web.test") > questions + 4; }));
  REQUIRE(rig.served_by('a'));
  rig.move_to("127.0.0.2");
  REQUIRE(rig.weir->says("web.test resolves again: 127.0.0.2"));
  REQUIRE(count(rig.weir->log(), "web.test does not resolve") == 1);
  REQUIRE(rig.served_by('b'));
}

TEST_CASE("one family's failure keeps that family's addresses in use") {
  NEEDS_PRIVATE_NAMES();
  Moving rig({}, {.addresses = {"127.0.0.1"}, .ttl = 1});
  rig.dns.set("web.test", AF_INET6, {.addresses = {"::1"}, .ttl = 1});
  const auto resolved = [&](std::size_t size) {
    return eventually([&] { return rig.backend()["resolved"].size() == size; });
  };
  REQUIRE(resolved(2));
  rig.dns.set("web.test", AF_INET6, {.rcode = 2});
  const std::size_t questions = rig.dns.questions("web.test");
  REQUIRE(eventually([&] { return rig.dns.questions("web.test") > questions + 6; }));
  REQUIRE(rig.backend()["resolved"].size() == 2);
  rig.dns.set("web.test", AF_INET6, DnsRecord{});
  REQUIRE(resolved(1));
}

TEST_CASE("a name that moves before its new server listens costs no session") {
  NEEDS_PRIVATE_NAMES();
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"200ms\"\nfast_interval = \"50ms\"";
  Moving rig(config, {.addresses = {"127.0.0.1"}, .ttl = 1});
  rig.b.stop_listening();
  rig.move_to("127.0.0.2", 1);
  REQUIRE(eventually(
      [&] { return rig.backend()["resolved"][0] == fmt::format("127.0.0.2:{}", rig.port.number()); }));
  const auto start = Clock::now();
  while (since(start) < 1s) REQUIRE(one_session(rig.weir->address()) == 'a');
  REQUIRE(rig.backend()["health"] == "up");
  rig.b.listen_again();
  REQUIRE(one_session(rig.weir->address()) == 'b');
}

TEST_CASE("the end of the process waits for no name server") {
  NEEDS_PRIVATE_NAMES();
  const PrivateNames names;
  FakeDns dns(53);
  dns.set("web.test", {.silent = true});
  const FreePort port;
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"web", "web.test:80"}};
  WeirDaemon weir(config);
  REQUIRE(eventually([&] { return dns.questions("web.test") > 0; }));
  const auto start = Clock::now();
  REQUIRE(weir.stop() == 0);
  REQUIRE(since(start) < patient(1s));
}

TEST_CASE("a hundred dead names delay neither a good one nor the commands") {
  NEEDS_PRIVATE_NAMES();
  Moving rig;
  for (int n = 0; n < 100; ++n) {
    rig.dns.set(fmt::format("dead{}.test", n), {.silent = true});
    rig.weir->config.backends.push_back({fmt::format("dead{}", n), fmt::format("dead{}.test:80", n)});
  }
  rig.weir->config.backends.push_back({"good", fmt::format("good.test:{}", rig.port.number())});
  rig.dns.set("good.test", {.addresses = {"127.0.0.2"}});
  const auto start = Clock::now();
  REQUIRE(rig.weir->reload().status == 0);
  REQUIRE(eventually([&] { return rig.weir->backend_status("good")["health"] == "up"; }));
  REQUIRE(since(start) < patient(2s));
}
