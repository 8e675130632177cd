#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace std::chrono_literals;

TEST_CASE("a key of one kind of probe is refused with another kind") {
  const auto [text, fault] = GENERATE(table<std::string, std::string>({
      {"path = \"/x\"",
       "f:8:8: pool.health.path belongs to probe = \"http\", and this pool has probe = \"tcp\"\n"},
      {"probe = \"none\"\nbody = \"x\"",
       "f:9:8: pool.health.body belongs to probe = \"http\", and this pool has probe = \"none\"\n"},
      {"probe = \"http\"\nsend = \"x\"",
       "f:9:8: pool.health.send belongs to probe = \"expect\", and this pool has probe = \"http\"\n"},
      {"probe = \"tcp\"\ncommand = [\"/bin/sh\"]",
       "f:9:11: pool.health.command belongs to probe = \"exec\", and this pool has probe = \"tcp\"\n"},
      {"probe = \"exec\"\ncommand = [\"/bin/sh\"]\nhttps = false",
       "f:10:9: pool.health.https belongs to probe = \"http\", and this pool has probe = \"exec\"\n"},
  }));
  CHECK(bad(with_health(text)) == fault);
}

TEST_CASE("nothing is said about keys of a probe that is unknown itself") {
  CHECK(parse(with_health("probe = \"htpp\"\npath = \"/\"")).faults.size() == 1);
}

TEST_CASE("a kind of probe that this room does not know may have any key") {
  LoadOptions options = default_options();
  options.kinds.probes.push_back("dns");
  CHECK(good(with_health("probe = \"dns\"\nsend = \"x\"\nhost = \"h\""), options).pools[0].probe.kind ==
        "dns");
}

TEST_CASE("an expect probe needs what it expects, an exec probe its command") {
  CHECK_THAT(bad(with_health("probe = \"expect\"")), StartsWith("f:7:1: pool.health.expect is missing: "));
  CHECK_THAT(bad(with_health("probe = \"expect\"\nexpect = \"\"")),
             StartsWith("f:9:10: pool.health.expect = \"\": "));
  CHECK_THAT(bad(with_health("probe = \"exec\"")), StartsWith("f:7:1: pool.health.command is missing: "));
  CHECK_THAT(bad(with_health("probe = \"exec\"\ncommand = []")),
             StartsWith("f:9:11: pool.health.command is an empty list"));
  CHECK_THAT(bad(with_health("probe = \"exec\"\ncommand = [\"check\"]")),
             StartsWith("f:9:12: pool.health.command[0] = \"check\": must be an absolute path"));
  CHECK_THAT(bad(with_health("probe = \"exec\"\ncommand = [\"/bin/sh\", \"a\\u0000b\"]")),
             StartsWith("f:9:23: pool.health.command[1] = \"a\\x00b\": an argument cannot hold a NUL"));
}

TEST_CASE("an expect probe may have several steps, written either way") {
  const std::vector<ExpectStep> steps = {{.send = "", .expect = "220 ", .reject = ""},
                                         {.send = "EHLO x\r\n", .expect = "250 ", .reject = "500"},
                                         {.send = "QUIT\r\n", .expect = "", .reject = ""}};
  const std::string inline_tables = R"(steps = [{ expect = "220 " },
    { send = "EHLO x\r\n", expect = "250 ", reject = "500" }, { send = "QUIT\r\n" }])";
  const std::string tables = R"([[pool.health.steps]]
expect = "220 "
[[pool.health.steps]]
send = "EHLO x\r\n"
expect = "250 "
reject = "500"
[[pool.health.steps]]
send = "QUIT\r\n")";
  CHECK(good(with_health("probe = \"expect\"\n" + inline_tables)).pools[0].probe.steps == steps);
  CHECK(good(with_health("probe = \"expect\"\n" + tables)).pools[0].probe.steps == steps);
}

TEST_CASE("steps that make no sense are faults, each at its place") {
  const auto [keys, fault] = GENERATE(table<std::string, std::string>({
      {"steps = []", "f:9:9: pool.health.steps: one step at least must expect something"},
      {"steps = \"x\"", "f:9:9: pool.health.steps = \"x\" is a string, must be a list of tables"},
      {"steps = [{ expect = \"\" }]", "f:9:21: pool.health.steps.expect = \"\": must be what"},
      {"steps = [{ expect = \"a\", reject = \"\" }]",
       "f:9:35: pool.health.steps.reject = \"\": must be what"},
      {"steps = [{ expect = \"a\" }, { }]",
       "f:9:28: pool.health.steps.expect is missing: a step sends something, or expects"},
      {"steps = [{ expect = \"a\" }, { send = \"a\", reject = \"b\" }]",
       "f:9:28: pool.health.steps.expect is missing: reject is looked for in what is read"},
      {"steps = [{ send = \"a\" }]", "f:9:9: pool.health.steps: one step at least must expect something"},
      {"steps = [{ expct = \"a\" }]",
       "f:9:20: unknown key \"pool.health.steps.expct\": did you mean \"expect\"?"},
      {"steps = [{ expect = \"a\" }]\nsend = \"x\"",
       "f:10:8: pool.health.send cannot stand beside steps: make it the first of them"},
      {"reject = \"x\"", "f:7:1: pool.health.expect is missing: "},
      {"expect = \"x\"\nreject = \"\"", "f:10:10: pool.health.reject = \"\": must be what"},
  }));
  CAPTURE(keys);
  CHECK_THAT(bad(with_health("probe = \"expect\"\n" + keys)), Contains(fault));
  std::string many;
  for (int i = 0; i < 17; ++i) many += "{ expect = \"a\" }, ";
  CHECK_THAT(bad(with_health("probe = \"expect\"\nsteps = [" + many + "]")),
             StartsWith("f:9:9: pool.health.steps has 17 steps, 16 at most are allowed"));
  CHECK_THAT(bad(with_health("steps = [{ expect = \"a\" }]")),
             StartsWith("f:8:9: pool.health.steps belongs to probe = \"expect\""));
}

TEST_CASE("bytes are written as \\xHH in single quotes") {
  const auto expected = [](const std::string& text) {
    return good(with_health("probe = \"expect\"\nexpect = " + text)).pools[0].probe.expect;
  };
  CHECK(expected("'\\x01a\\xfF\\x0d\\x0a\\x5c'") ==
        "\x01"
        "a\xff\r\n\\");
  CHECK(expected("'\\x00'") == std::string(1, '\0'));
  CHECK(expected("\"\\u0001\\\\x02\"") == "\x01\x02");
  CHECK(expected("'a\\r'") == "a\\r");
  const std::string wrong = GENERATE("'\\x'", "'\\x1'", "'\\xg0'", "'\\x-1'", "'\\x01\\r\\n'", "'\\x01\\'");
  CAPTURE(wrong);
  CHECK_THAT(bad(with_health("probe = \"expect\"\nexpect = " + wrong)),
             StartsWith("f:9:10: pool.health.expect = ") && Contains("beside \\xHH"));
  CHECK_THAT(bad(with_health("probe = \"expect\"\nexpect = \"\\x01\"")),
             StartsWith("f:9:1") && Contains("in single quotes, like send = '\\x01'"));
}

TEST_CASE("a probe that speaks a protocol takes its own keys") {
  const auto probe = [](const std::string& text) { return good(with_health(text)).pools[0].probe; };
  CHECK(probe("probe = \"postgres\"").user == "weir");
  const ProbeConfig postgres =
      probe("probe = \"postgres\"\nuser = \"u\"\ndatabase = \"d\"\nrole = \"standby\"");
  CHECK(postgres.user == "u");
  CHECK(postgres.database == "d");
  CHECK(postgres.role == "standby");
  CHECK(probe("probe = \"postgres\"\ndatabase = \"\"").database.empty());
  CHECK(probe("probe = \"mysql\"\nuser = \"u\"").user == "u");
  CHECK(probe("probe = \"redis\"\nrole = \"master\"").role == "master");
  CHECK(probe("probe = \"smtp\"\nhost = \"lb.example.org\"").host == "lb.example.org");
  const ProbeConfig tls = probe("probe = \"tls\"\nhost = \"h\"\nca_file = \"/dev/null\"\nmin_days_left = 14");
  CHECK(tls.verify);
  CHECK(tls.host == "h");
  CHECK(tls.ca_file == "/dev/null");
  CHECK(tls.min_days_left == 14);
  CHECK_FALSE(probe("probe = \"tls\"\nverify = false").verify);
}

TEST_CASE("a wrong value of such a key is a fault at its place") {
  const auto [text, fault] = GENERATE(table<std::string, std::string>({
      {"probe = \"postgres\"\nuser = \"\"", "f:9:8: pool.health.user = \"\": must be 1 to 128 bytes"},
      {"probe = \"mysql\"\nuser = \"a\\u0000b\"", "f:9:8: pool.health.user = \"a\\x00b\": must be 1 to 128"},
      {"probe = \"postgres\"\ndatabase = \"a\\nb\"",
       "f:9:12: pool.health.database = \"a\\nb\": must be 0 to 128"},
      {"probe = \"postgres\"\nrole = \"master\"",
       "f:9:8: pool.health.role = \"master\": unknown role (known: primary, standby)"},
      {"probe = \"redis\"\nrole = \"mastre\"",
       "f:9:8: pool.health.role = \"mastre\": unknown role: did you mean \"master\"? (known: master, "
       "replica)"},
      {"probe = \"mysql\"\nrole = \"primary\"",
       "f:9:8: pool.health.role belongs to probe = \"postgres\" or \"redis\", and this pool has probe = "
       "\"mysql\"\n"},
      {"probe = \"mysql\"\nhost = \"h\"",
       "f:9:8: pool.health.host belongs to probe = \"http\", \"smtp\" or \"tls\", and this pool has"},
      {"probe = \"redis\"\nuser = \"u\"",
       "f:9:8: pool.health.user belongs to probe = \"postgres\" or \"mysql\""},
      {"probe = \"tls\"", "f:7:1: pool.health.host is missing: whose certificate it must be"},
      {"probe = \"tls\"\nhost = \"\"", "f:9:8: pool.health.host = \"\": must be a name or an IP address"},
      {"probe = \"tls\"\nhost = \"h\"\nca_file = \"ca.pem\"",
       "f:10:11: pool.health.ca_file = \"ca.pem\": must be an absolute path"},
      {"probe = \"tls\"\nhost = \"h\"\nmin_days_left = 3651",
       "f:10:17: pool.health.min_days_left = 3651: must be 0 to 3650"},
      {"probe = \"tls\"\nhost = \"h\"\nmin_days_left = \"14d\"",
       "f:10:17: pool.health.min_days_left = \"14d\""},
  }));
  CAPTURE(text);
  CHECK_THAT(bad(with_health(text)), Contains(fault));
}

TEST_CASE("a file of trusted certificates that is not there, or is not asked for, is a warning") {
  const LoadResult missing = parse(with_health("probe = \"tls\"\nhost = \"h\"\nca_file = \"/no/such\""));
  CHECK(missing.config != nullptr);
  CHECK(all_of(missing.warnings) == "f:10:11: pool.health.ca_file = \"/no/such\": cannot be read here\n");
  const LoadResult idle = parse(with_health("probe = \"tls\"\nverify = false\nca_file = \"/dev/null\""));
  CHECK(idle.config != nullptr);
  CHECK(all_of(idle.warnings) == "f:10:11: pool.health.ca_file has no effect: verify = false\n");
}

TEST_CASE("a command that cannot be run here is a warning") {
  const LoadResult result = parse(with_health("probe = \"exec\"\ncommand = [\"/no/such/program\"]"));
  CHECK(result.config != nullptr);
  CHECK_THAT(all_of(result.warnings), StartsWith("f:9:12: pool.health.command[0] = \"/no/such/program\": "));
}

TEST_CASE("the expected status is one or more ranges within 100 to 599") {
  using Ranges = std::vector<std::pair<std::uint16_t, std::uint16_t>>;
  const auto status = [](const std::string& text) {
    return good(with_health("probe = \"http\"\nstatus = \"" + text + "\"")).pools[0].probe.status;
  };
  CHECK(status("200") == Ranges{{200, 200}});
  CHECK(status("100-599") == Ranges{{100, 599}});
  CHECK(status("200 - 204 , 301") == Ranges{{200, 204}, {301, 301}});
  const std::string wrong = GENERATE("", "99", "600", "399-200", "200-", "-200", "200,", ",200", "2xx",
                                     "200-300-400", "+200", "0200 1", "20 0");
  CAPTURE(wrong);
  CHECK_THAT(bad(with_health("probe = \"http\"\nstatus = \"" + wrong + "\"")),
             StartsWith("f:9:10: pool.health.status = "));
}

TEST_CASE("a probe's path and host cannot end the request's head") {
  CHECK_THAT(bad(with_health("probe = \"http\"\npath = \"x\"")),
             StartsWith("f:9:8: pool.health.path = \"x\": "));
  CHECK_THAT(bad(with_health("probe = \"http\"\npath = \"/x\\r\\nEvil: 1\"")),
             StartsWith("f:9:8: pool.health.path"));
  CHECK_THAT(bad(with_health("probe = \"http\"\npath = \"/x y\"")), StartsWith("f:9:8: pool.health.path"));
  CHECK_THAT(bad(with_health("probe = \"http\"\nhost = \"a\\r\\nb: c\"")),
             StartsWith("f:9:8: pool.health.host"));
}

TEST_CASE("a timeout longer than the interval is allowed") {
  CHECK(good(with_health("interval = \"1s\"\ntimeout = \"10s\"")).pools[0].probe.timeout == 10s);
}

TEST_CASE("a fast interval longer than the interval is cut to it with a warning") {
  const LoadResult result = parse(with_health("interval = \"1s\"\nfast_interval = \"2s\""));
  REQUIRE(result.config != nullptr);
  CHECK(result.config->pools[0].probe.fast_interval == 1s);
  CHECK(all_of(result.warnings) ==
        "f:9:17: pool.health.fast_interval = \"2s\" is longer than the interval: cut to \"1s\"\n");
}

TEST_CASE("what has no effect without probes is a warning") {
  const LoadResult result = parse(with_health("probe = \"none\"\ninterval = \"1s\"\nfall = 2"));
  CHECK(result.config != nullptr);
  CHECK(all_of(result.warnings) ==
        "f:9:12: pool.health.interval has no effect: probe = \"none\"\n"
        "f:10:8: pool.health.fall has no effect: probe = \"none\"\n");
}

TEST_CASE("how an unprobed backend is ejected is configured, and has no effect with probes") {
  const std::string keys = "eject_after = 0\neject_for = \"200ms\"\neject_for_at_most = \"5s\"";
  const LoadResult unprobed = parse(with_health("probe = \"none\"\n" + keys));
  REQUIRE(unprobed.config != nullptr);
  CHECK(unprobed.warnings.empty());
  const ProbeConfig& probe = unprobed.config->pools[0].probe;
  CHECK(probe.eject_after == 0);
  CHECK(probe.eject_for == 200ms);
  CHECK(probe.eject_for_at_most == 5s);

  const std::string why =
      " has no effect: it belongs to probe = \"none\", and this pool has probe = \"tcp\"\n";
  const LoadResult probed = parse(with_health(keys));
  REQUIRE(probed.config != nullptr);
  CHECK(all_of(probed.warnings) == "f:8:15: pool.health.eject_after" + why + "f:9:13: pool.health.eject_for" +
                                       why + "f:10:21: pool.health.eject_for_at_most" + why);
}

TEST_CASE("a longest ejection shorter than the first is raised to it") {
  const auto loaded = [](const std::string& keys) { return parse(with_health("probe = \"none\"\n" + keys)); };
  const LoadResult silent = loaded("eject_for = \"1m\"");
  REQUIRE(silent.config != nullptr);
  CHECK(silent.warnings.empty());
  CHECK(silent.config->pools[0].probe.eject_for_at_most == 1min);
  const LoadResult said = loaded("eject_for = \"2s\"\neject_for_at_most = \"1s\"");
  REQUIRE(said.config != nullptr);
  CHECK(all_of(said.warnings) ==
        "f:10:21: pool.health.eject_for_at_most = \"1s\" is shorter than eject_for: raised to \"2s\"\n");
  CHECK(said.config->pools[0].probe.eject_for_at_most == 2s);
  CHECK(bad(with_health("probe = \"none\"\neject_for = \"0s\"")) != "");
}

TEST_CASE("an http probe may go to a unix socket, where a port has no effect") {
  const std::string backend = "[[pool.backend]]\nname = \"u\"\naddress = \"unix:/run/u.sock\"\n";
  CHECK(parse(with_health("probe = \"http\"") + backend).warnings.empty());
  const LoadResult result = parse(with_health("probe = \"http\"\nport = 81") + backend);
  CHECK(result.config != nullptr);
  CHECK(all_of(result.warnings) ==
        "f:9:8: pool.health.port = 81: has no effect on \"u\", which is on a unix socket\n");
}
