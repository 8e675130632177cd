#include "lb/net/resolver.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "lb/base/fd.h"
#include "lb/net/loop.h"
#include "tests/support/fake_dns.h"
#include "tests/support/port.h"
#include "tests/support/temp_dir.h"
#include "tests/support/timing.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  explicit Fixture(const std::string& resolv_conf = "nameserver 127.0.0.1\n") {
    write_file(file(), resolv_conf);
    loop = std::move(*Loop::create());
    loop->stop();  // from now on run() is one batch
    resolver = std::make_unique<Resolver>(*loop, ResolverSettings{.resolv_conf = file(), .port = dns.port()});
  }
  std::string file() const { return dir.file("resolv.conf"); }

  void run_until(const std::function<bool()>& done) {
    const auto start = Clock::now();
    while (!done() && since(start) < 2 * kPatience) loop->run();
    REQUIRE(done());
  }
  /// Asks and waits. Requires that the answer does not come before ask() has returned.
  NameAnswer ask(const std::string& host, AddressFamily family = AddressFamily::Any) {
    std::optional<NameAnswer> answer;
    resolver->ask(host, family, [&](NameAnswer got) { answer = std::move(got); });
    REQUIRE_FALSE(answer);
    run_until([&] { return answer.has_value(); });
    return *answer;
  }
  std::vector<std::string> addresses(const std::string& host, AddressFamily family = AddressFamily::Any) {
    std::vector<std::string> out;
    for (const Address& address : ask(host, family).addresses) out.push_back(address.to_string());
    return out;
  }

  TempDir dir;
  FakeDns dns;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Resolver> resolver;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("localhost is a loopback address for ever, and no name server is asked") {
  Fixture f;
  const NameAnswer answer = f.ask("localhost");
  REQUIRE_FALSE(answer.addresses.empty());
  for (const Address& address : answer.addresses)
    CHECK((address.to_string() == "127.0.0.1:0" || address.to_string() == "[::1]:0"));
  CHECK_FALSE(answer.ttl);
  CHECK(f.dns.questions("localhost") == 0);
}

TEST_CASE("a name has all its addresses, each once, and the shortest of their times to live") {
  Fixture f;
  f.dns.set("web.test", {.addresses = {"10.0.0.1", "10.0.0.2", "10.0.0.1"}, .ttl = 60});
  f.dns.set("web.test", AF_INET6, {.addresses = {"2001:db8::1"}, .ttl = 30});
  const NameAnswer answer = f.ask("web.test");
  CHECK(answer.addresses.size() == 3);
  CHECK(answer.failure.empty());
  CHECK(answer.ttl == 30s);
}

TEST_CASE("one family alone can be asked for") {
  Fixture f;
  f.dns.set("web.test", {.addresses = {"10.0.0.1"}});
  f.dns.set("web.test", AF_INET6, {.addresses = {"2001:db8::1"}});
  CHECK(f.addresses("web.test", AddressFamily::V4) == Texts{"10.0.0.1:0"});
  CHECK(f.addresses("web.test", AddressFamily::V6) == Texts{"[2001:db8::1]:0"});
}

TEST_CASE("one family's failure does not hide the other") {
  Fixture f;
  f.dns.set("web.test", {.addresses = {"10.0.0.1"}});
  f.dns.set("web.test", AF_INET6, {.rcode = 2});
  CHECK(f.addresses("web.test") == Texts{"10.0.0.1:0"});
}

TEST_CASE("a failure says why, and whether there is nothing to be had") {
  Fixture f;
  f.dns.set("broken.test", {.rcode = 2});
  f.dns.set("empty.test", DnsRecord{});
  CHECK(f.ask("no.test").failure == "there is no such name");
  CHECK(f.ask("no.test").none_exists);
  CHECK(f.ask("empty.test").failure == "the name has no address");
  CHECK(f.ask("empty.test", AddressFamily::V6).none_exists);
  CHECK_THAT(f.ask("broken.test").failure, Catch::Contains("SERVFAIL"));
  CHECK_FALSE(f.ask("broken.test").none_exists);
  CHECK_FALSE(f.ask(std::string(300, 'a')).failure.empty());
}

TEST_CASE("an answer that has nobody to go to any more is dropped, and the end does not wait for it") {
  Fixture f;
  f.dns.set("slow.test", {.silent = true});
  bool answered = false;
  for (int n = 0; n < 100; ++n)
    f.resolver->ask("slow.test", AddressFamily::Any, [&](NameAnswer) { answered = true; });
  f.run_until([&] { return f.dns.questions("slow.test") > 0; });
  const auto start = Clock::now();
  f.resolver.reset();
  f.loop.reset();
  CHECK(since(start) < patient(500ms));
  CHECK_FALSE(answered);
}

TEST_CASE("a hundred dead names do not delay a good one") {
  Fixture f;
  for (int n = 0; n < 100; ++n) {
    const std::string name = fmt::format("dead{}.test", n);
    f.dns.set(name, {.silent = true});
    f.resolver->ask(name, AddressFamily::Any, [](NameAnswer) { FAIL("nobody can have answered"); });
  }
  f.dns.set("good.test", {.addresses = {"10.0.0.1"}});
  const auto start = Clock::now();
  CHECK(f.addresses("good.test") == Texts{"10.0.0.1:0"});
  CHECK(since(start) < patient(1'000ms));
}

TEST_CASE("a question that no server answers fails after 10.5 s", "[long]") {
  Fixture f;
  f.dns.set("dead.test", {.silent = true});
  const auto start = Clock::now();
  const NameAnswer answer = f.ask("dead.test");
  CHECK(answer.failure == "no name server has answered");
  CHECK_FALSE(answer.none_exists);
  CHECK(since(start) >= 10'500ms);
  CHECK(since(start) < patient(12'000ms));
}

TEST_CASE("a resolv.conf that is replaced counts for the questions that are open, too") {
  Fixture f("nameserver 127.0.0.99\n");  // nobody there, and not a word of it
  f.dns.set("web.test", {.addresses = {"10.0.0.1"}});
  Fd silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Address nobody = to_address(fmt::format("127.0.0.99:{}", f.dns.port()));
  REQUIRE(::bind(silent.get(), nobody.data(), nobody.size()) == 0);
  std::optional<NameAnswer> answer;
  f.resolver->ask("web.test", AddressFamily::Any, [&](NameAnswer got) { answer = std::move(got); });
  CHECK_FALSE(f.resolver->files_changed());
  write_file(f.dir.file("new"), "nameserver 127.0.0.1\n");
  std::filesystem::rename(f.dir.file("new"), f.file());
  CHECK(f.resolver->files_changed());
  CHECK_FALSE(f.resolver->files_changed());
  f.run_until([&] { return answer.has_value(); });
  REQUIRE(answer->addresses.size() == 1);
  CHECK(answer->addresses[0].to_string() == "10.0.0.1:0");
}

TEST_CASE("a resolv.conf that would hold up its reader is not read") {
  Fixture f;
  std::filesystem::remove(f.file());
  REQUIRE(::mkfifo(f.file().c_str(), 0600) == 0);
  CHECK(f.resolver->files_changed());
  f.dns.set("web.test", {.addresses = {"10.0.0.1"}});
  CHECK(f.addresses("web.test") == Texts{"10.0.0.1:0"});  // without one, it is 127.0.0.1
}

TEST_CASE("a name without dots is looked for in the domains of the search list") {
  Fixture f("nameserver 127.0.0.1\nsearch a.test b.test\n");
  f.dns.set("web.b.test", {.addresses = {"10.0.0.2"}});
  CHECK(f.addresses("web") == Texts{"10.0.0.2:0"});
}

TEST_CASE("without a descriptor a question fails, and works again when there is one") {
  Fixture f;
  f.dns.set("web.test", {.addresses = {"10.0.0.1"}});
  std::vector<Fd> all;
  while (true) {
    Fd one(::dup(0));
    if (!one) break;
    all.push_back(std::move(one));
  }
  std::optional<NameAnswer> answer;
  f.resolver->ask("web.test", AddressFamily::Any, [&](NameAnswer got) { answer = std::move(got); });
  f.run_until([&] { return answer.has_value(); });
  CHECK_FALSE(answer->failure.empty());
  CHECK_FALSE(answer->none_exists);
  all.clear();
  CHECK(f.addresses("web.test") == Texts{"10.0.0.1:0"});
}
