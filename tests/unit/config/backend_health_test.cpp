#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;
using Catch::Matchers::Contains;
using namespace std::chrono_literals;

namespace {

const std::string kHealth = "[pool.backend.health]\n";

/// The backend's table begins on line `line` = 9 + those of `pool`.
std::string with_own(const std::string& pool, const std::string& own) {
  return kListener + kPool + (pool.empty() ? "" : "[pool.health]\n" + pool + "\n") + kBackend + kHealth +
         own + "\n";
}

/// The probe of the one backend.
ProbeConfig probe_of(const std::string& pool, const std::string& own) {
  const Config config = good(with_own(pool, own));
  REQUIRE(config.pools[0].backends[0].probe);
  return config.pools[0].probe_of(config.pools[0].backends[0]);
}

std::string warnings_of(const std::string& text) {
  const LoadResult result = parse(text);
  CHECK(result.faults.empty());
  return all_of(result.warnings);
}

}  // namespace

TEST_CASE("a backend without health keys is probed as its pool is") {
  const Config config = good(with_health("interval = \"7s\""));
  CHECK_FALSE(config.pools[0].backends[0].probe);
  CHECK(config.pools[0].probe_of(config.pools[0].backends[0]).interval == 7s);
}

TEST_CASE("what a backend's health keys do not give comes from its pool's") {
  const ProbeConfig probe = probe_of("probe = \"http\"\ninterval = \"7s\"\npath = \"/a\"\nhost = \"h\"",
                                     "port = 9000\npath = \"/b\"\nfall = 9");
  ProbeConfig expected;
  expected.kind = "http";
  expected.interval = 7s;
  expected.host = "h";
  expected.port = 9000;
  expected.path = "/b";
  expected.fall = 9;
  CHECK(probe == expected);
}

TEST_CASE("a backend's health keys may stand before or beside others, in a table of one line too") {
  const Config config = good(kListener + kPool +
                             "backend = [{address = \"10.0.0.1:80\", health = {port = 81}}, {address = "
                             "\"10.0.0.2:80\"}]\n");
  CHECK(config.pools[0].probe_of(config.pools[0].backends[0]).port == 81);
  CHECK_FALSE(config.pools[0].backends[1].probe);
}

TEST_CASE("of another kind of probe a backend takes nothing that is of the pool's kind") {
  const ProbeConfig probe =
      probe_of("probe = \"redis\"\nrole = \"master\"\ntimeout = \"7s\"", "probe = \"postgres\"");
  CHECK(probe.kind == "postgres");
  CHECK(probe.timeout == 7s);
  CHECK(probe.role.empty());
  CHECK(probe_of("probe = \"exec\"\ncommand = [\"/bin/sh\"]", "probe = \"tcp\"").command.empty());
}

TEST_CASE("what a kind of probe needs may be in the pool's health or in the backend's") {
  CHECK(probe_of("probe = \"exec\"\ncommand = [\"/bin/sh\", \"a\"]", "timeout = \"1s\"").command ==
        std::vector<std::string>{"/bin/sh", "a"});
  CHECK(probe_of("probe = \"exec\"\ncommand = [\"/bin/sh\", \"a\"]", "command = [\"/bin/true\"]").command ==
        std::vector<std::string>{"/bin/true"});
  CHECK(probe_of("probe = \"tls\"\nhost = \"h\"", "verify = true").host == "h");
  CHECK_THAT(bad(with_own("", "probe = \"exec\"")),
             Contains("f:9:1: pool.backend.health.command is missing: "));
  CHECK_THAT(bad(with_own("", "probe = \"expect\"")),
             Contains("f:9:1: pool.backend.health.expect is missing: "));
  CHECK_THAT(bad(with_own("probe = \"tls\"\nverify = false", "verify = true")),
             Contains("f:12:1: pool.backend.health.host is missing: "));
}

TEST_CASE("a backend's steps stand for the pool's one, and the other way round") {
  const std::string one = "probe = \"expect\"\nsend = \"a\"\nexpect = \"b\"";
  const ProbeConfig steps = probe_of(one, "steps = [{ expect = \"x\" }]");
  CHECK(steps.expect.empty());
  CHECK(steps.send.empty());
  CHECK(steps.steps == std::vector<ExpectStep>{{.expect = "x"}});
  const ProbeConfig expect = probe_of("probe = \"expect\"\nsteps = [{ expect = \"x\" }]", "expect = \"y\"");
  CHECK(expect.steps.empty());
  CHECK(expect.expect == "y");
  const ProbeConfig sent = probe_of(one, "send = \"c\"");
  CHECK(sent.send == "c");
  CHECK(sent.expect == "b");
  CHECK_THAT(bad(with_own("probe = \"expect\"\nsteps = [{ expect = \"x\" }]", "send = \"y\"")),
             Contains("pool.backend.health.expect is missing: "));
  CHECK_THAT(bad(with_own(one, "steps = [{ expct = \"a\" }]")),
             Contains("unknown key \"pool.backend.health.steps.expct\": did you mean \"expect\"?"));
}

TEST_CASE("a backend's probe may go to another address") {
  CHECK(probe_of("", "address = \"10.0.0.9:8080\"").address ==
        Address::parse_ip_port("10.0.0.9:8080").value());
  CHECK(probe_of("port = 9", "address = \"[::1]:80\"").address->port() == 80);
  CHECK(probe_of("", "address = \"unix:/run/x.sock\"").address->is_unix());
}

TEST_CASE("mistakes in a backend's health keys are told with their place and what is allowed") {
  const auto [own, fault] = GENERATE(table<std::string, std::string>({
      {"prt = 1", "f:10:7: unknown key \"pool.backend.health.prt\": did you mean \"port\"?\n"},
      {"port = 0", "f:10:8: pool.backend.health.port = 0: must be 1 to 65535\n"},
      {"interval = \"0s\"",
       "f:10:12: pool.backend.health.interval = \"0s\": must be longer than zero, at most 10000h\n"},
      {"path = \"/x\"",
       "f:10:8: pool.backend.health.path belongs to probe = \"http\", and this backend has probe = "
       "\"tcp\"\n"},
      {"address = \"host:80\"",
       "f:10:11: pool.backend.health.address = \"host:80\": must be ip:port, [v6]:port, unix:/path or "
       "unix:@name, not a host name\n"},
      {"address = \"10.0.0.9:80\"\nport = 81",
       "f:11:8: pool.backend.health.port cannot stand beside address, which says it\n"},
  }));
  CHECK(bad(with_own("", own)) == fault);
}

TEST_CASE("nothing is said about a backend's keys when the kind of probe is unknown") {
  CHECK(parse(with_own("probe = \"htpp\"", "path = \"/\"")).faults.size() == 1);
  CHECK(parse(with_own("", "probe = \"htpp\"\npath = \"/\"")).faults.size() == 1);
  CHECK(parse(with_own("probe = \"htpp\"", "probe = \"http\"\npath = \"/\"")).faults.size() == 1);
}

TEST_CASE("address belongs to one backend's health, and the pool's says so") {
  CHECK_THAT(bad(with_health("address = \"10.0.0.9:80\"")),
             Contains("unknown key \"pool.health.address\": "));
}

TEST_CASE("what has no effect on a backend's probe is warned of") {
  CHECK_THAT(warnings_of(with_own("", "probe = \"none\"\ninterval = \"1s\"")),
             Contains("pool.backend.health.interval has no effect: probe = \"none\""));
  CHECK_THAT(warnings_of(with_own("", "fall = 1")), Contains("pool.backend.health.fall = 1: "));
  CHECK_THAT(warnings_of(kListener + kPool + "[[pool.backend]]\nname = \"u\"\naddress = \"unix:/run/x\"\n" +
                         kHealth + "port = 9\n"),
             Contains("pool.backend.health.port = 9: has no effect on \"u\""));
  CHECK_THAT(warnings_of(kListener + kPool + "[[pool.backend]]\nname = \"u\"\naddress = \"unix:/run/x\"\n" +
                         kHealth + "agent_port = 9\n"),
             Contains("pool.backend.health.agent_port = 9: has no effect on \"u\""));
}

TEST_CASE("an agent is asked every interval, of a backend that is not probed, too") {
  const std::string agent = "probe = \"none\"\ninterval = \"1s\"\ntimeout = \"500ms\"\nagent_port = 9999";
  const LoadResult result = parse(with_health(agent));
  REQUIRE(result.config != nullptr);
  CHECK(result.warnings.empty());
  CHECK(result.config->pools.at(0).probe.agent_port == 9999);
  CHECK(reserved_probe_sockets(*result.config, 20'000) == 1 + 16);
  CHECK_THAT(bad(with_health("agent_port = 0")), Contains("pool.health.agent_port = 0: "));
}

TEST_CASE("descriptors are kept for the probes of single backends") {
  const Config none = good(with_own("probe = \"none\"", "probe = \"none\""));
  const Config one = good(with_own("probe = \"none\"", "probe = \"http\""));
  CHECK(reserved_probe_sockets(none, 20'000) == 0);
  CHECK(reserved_probe_sockets(one, 20'000) == 1 + 16);
  CHECK(reserved_descriptors(one, 1) > reserved_descriptors(none, 1) + 1);
}
