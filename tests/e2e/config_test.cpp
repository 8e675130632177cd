#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>

#include "tests/support/rig.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Valid; the lines are counted on by the cases below.
const std::string kGood = R"(workers = 1
state_file = ""
shutdown_grace = "30s"
[admin]
socket = ""
[log]
access = "stdout"
[[listener]]
name = "web"
bind = "127.0.0.1:18080"
pool = "web"
[[pool]]
name = "web"
balance = "round_robin"
connect_timeout = "2s"
[pool.health]
probe = "tcp"
fall = 3
[[pool.backend]]
name = "web1"
address = "127.0.0.1:18081"
weight = 1
[[pool.backend]]
name = "web2"
address = "127.0.0.1:18082"
)";

std::string changed(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

struct BadFile {
  std::string what;
  std::string from;
  std::string to;
  std::string place;                  ///< ":line:column:"
  std::vector<std::string> mentions;  ///< what the line names
};

const std::vector<BadFile> kBadFiles = {
    {"TOML syntax", "workers = 1", "workers = = 1", ":1:", {}},
    {"an unknown key",
     "connect_timeout = \"2s\"",
     "conect_timeout = \"2s\"",
     ":15:",
     {"conect_timeout", "connect_timeout"}},
    {"an unknown table", "[log]", "[logs]", ":6:", {"logs", "log"}},
    {"a wrong type", "workers = 1", "workers = \"one\"", ":1:11:", {"workers"}},
    {"a list for a string", "pool = \"web\"", "pool = [\"web\"]", ":11:8:", {"pool"}},
    {"port 0 of a listener", "127.0.0.1:18080", "127.0.0.1:0", ":10:8:", {"127.0.0.1:0"}},
    {"port 65536 of a listener", "127.0.0.1:18080", "127.0.0.1:65536", ":10:8:", {"65536"}},
    {"port 0 of a backend", "127.0.0.1:18081", "127.0.0.1:0", ":21:11:", {"127.0.0.1:0"}},
    {"port 65536 of a backend", "127.0.0.1:18081", "127.0.0.1:65536", ":21:11:", {"65536"}},
    {"no port", "127.0.0.1:18081", "127.0.0.1", ":21:11:", {"127.0.0.1"}},
    {"weight -1", "weight = 1", "weight = -1", ":22:10:", {"weight", "-1", "256"}},
    {"weight 0", "weight = 1", "weight = 0", ":22:10:", {"weight", "256"}},
    {"weight 257", "weight = 1", "weight = 257", ":22:10:", {"257", "256"}},
    {"a duplicate backend name", "name = \"web2\"", "name = \"web1\"", ":24:8:", {"web1"}},
    {"a duplicate listener address",
     "bind = \"127.0.0.1:18080\"",
     "bind = [\"127.0.0.1:18080\", \"127.0.0.1:18080\"]",
     ":10:28:",
     {"127.0.0.1:18080"}},
    {"an unknown balancer",
     "round_robin",
     "random",
     ":14:11:",
     {"random", "round_robin", "least_connections", "source_hash"}},
    {"a negative duration", "\"2s\"", "\"-2s\"", ":15:19:", {"-2s"}},
    {"a duration without unit", "\"2s\"", "\"2\"", ":15:19:", {"connect_timeout"}},
    {"a bare number for a duration", "\"2s\"", "2", ":15:19:", {"connect_timeout"}},
    {"an overflowing duration", "\"2s\"", "\"99999999999999999999h\"", ":15:19:", {"99999999999999999999h"}},
    {"a timeout of zero", "\"2s\"", "\"0s\"", ":15:19:", {"connect_timeout"}},
    {"fall 0", "fall = 3", "fall = 0", ":18:8:", {"fall"}},
    {"an unknown probe", "probe = \"tcp\"", "probe = \"ping\"", ":17:9:", {"ping"}},
    {"IPv6 without brackets", "127.0.0.1:18081", "::1:18081", ":21:11:", {"::1:18081"}},
    {"an unknown pool", "pool = \"web\"", "pool = \"app\"", ":11:8:", {"app"}},
    {"a backend that is the file's own listener",
     "127.0.0.1:18082",
     "127.0.0.1:18080",
     ":25:11:",
     {"127.0.0.1:18080"}},
    {"an admin path that is too long",
     "socket = \"\"",
     "socket = \"/tmp/" + std::string(108, 'x') + "\"",
     ":5:10:",
     {"107"}},
    {"a missing directory of the admin socket",
     "socket = \"\"",
     "socket = \"/no/such/directory/weir.sock\"",
     ":5:10:",
     {"/no/such/directory"}},
    {"more connections than descriptors",
     "workers = 1",
     "max_connections = 100000000",
     ":1:19:",
     {"100000000"}},
    {"max_connections 0", "workers = 1", "max_connections = 0", ":1:19:", {"max_connections"}},
    {"a name with a space", "name = \"web1\"", "name = \"web 1\"", ":20:8:", {"web 1"}},
    {"an empty name", "name = \"web1\"", "name = \"\"", ":20:8:", {"name"}},
    {"an unset variable", "name = \"web1\"", "name = \"${WEIR_TEST_UNSET}\"", ":20:8:", {"WEIR_TEST_UNSET"}},
    {"a missing address", "address = \"127.0.0.1:18081\"\n", "", ":19:", {"address"}},
};

Finished check(const std::string& toml, const ProcessOptions& options = {}) {
  return run_weir({"check", "-c", "{}"}, toml, options);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a good file passes the check") {
  const Finished finished = check(kGood);
  CAPTURE(finished.err);
  CHECK(finished.status == 0);
}

TEST_CASE("each fault is refused by check and by run in one line with its place") {
  for (const BadFile& bad : kBadFiles) {
    DYNAMIC_SECTION(bad.what) {
      const std::string toml = changed(bad.from, bad.to);
      const Finished checked = check(toml);
      CAPTURE(checked.err);
      CHECK(checked.status == 1);
      const auto lines = lines_of(checked.err);
      REQUIRE_FALSE(lines.empty());
      CHECK_THAT(lines[0], Catch::Contains("weir.toml" + bad.place));
      for (const std::string& word : bad.mentions) CHECK_THAT(lines[0], Catch::Contains(word));
      CHECK(lines.size() ==
            (bad.what == "an unknown pool" || bad.what == "an unknown table" ? lines.size() : 1U));
      CHECK(run_weir({"run", "-c", "{}"}, toml).status == 1);
    }
  }
}

TEST_CASE("a file of many faults shows every one in the file's order and binds nothing") {
  const FreePort port;
  std::string toml = kGood;
  const auto change = [&toml](const std::string& from, const std::string& to) {
    toml.replace(toml.find(from), from.size(), to);
  };
  change("127.0.0.1:18080", port.v4());
  change("workers = 1", "wrokers = 1");
  change("round_robin", "random");
  change("\"2s\"", "\"soon\"");
  change("fall = 3", "fall = 0");
  change("weight = 1", "weight = 257");
  change("name = \"web2\"", "name = \"web1\"");
  const TempDir dir;
  const std::string access = dir.file("access.log");
  change("access = \"stdout\"", "access = \"" + access + "\"");
  const Finished finished = run_weir({"run", "-c", "{}"}, toml);
  CHECK(finished.status == 1);
  const auto lines = lines_of(finished.err);
  const std::vector<std::string> places = {":1:", ":14:11:", ":15:19:", ":18:8:", ":22:10:", ":24:8:"};
  CAPTURE(finished.err);
  REQUIRE(lines.size() == places.size());
  for (std::size_t i = 0; i < lines.size(); ++i)
    CHECK_THAT(lines[i], Catch::Contains("weir.toml" + places[i]));
  CHECK_FALSE(std::filesystem::exists(access));
}

TEST_CASE("files without a listener or with an empty pool are refused") {
  const std::size_t listener = kGood.find("[[listener]]");
  const std::size_t pool = kGood.find("[[pool]]");
  const Finished no_listener = check(kGood.substr(0, listener) + kGood.substr(pool));
  CHECK(no_listener.status == 1);
  CHECK_THAT(no_listener.err, Catch::Contains("listener"));
  const Finished empty_pool = check(kGood.substr(0, kGood.find("[[pool.backend]]")));
  CHECK(empty_pool.status == 1);
  CHECK_THAT(empty_pool.err, Catch::Contains("web"));
  CHECK_THAT(empty_pool.err, Catch::Contains(":12:"));
}

TEST_CASE("a backend that its own listener's wildcard covers is refused") {
  std::string toml = changed("127.0.0.1:18080", "0.0.0.0:18082");
  const Finished finished = check(toml);
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Catch::Contains("127.0.0.1:18082"));
}

TEST_CASE("limits beyond the descriptor limit name both numbers") {
  ProcessOptions options;
  options.descriptor_limit = 256;
  const Finished finished = check("max_connections = 1000\n" + kGood, options);
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Catch::Contains("1000"));
  CHECK_THAT(finished.err, Catch::Contains("256"));
  CHECK(check("max_connections = 50\n" + kGood, options).status == 0);
}

TEST_CASE("environment variables are filled in") {
  const std::string toml = changed("127.0.0.1:18081", "${WEIR_TEST_HOST}:${WEIR_TEST_PORT:-18081}");
  ProcessOptions options;
  options.environment = {{"WEIR_TEST_HOST", "127.0.0.1"}};
  CHECK(check(toml, options).status == 0);
  CHECK(check(toml).status == 1);
  options.environment.emplace_back("WEIR_TEST_PORT", "0");
  CHECK(check(toml, options).status == 1);
}

TEST_CASE("check touches no socket and resolves no name") {
  const FreePort port;
  FakeBackend holder([&] {
    FakeBackendOptions options;
    options.address = port.v4();
    return options;
  }());
  std::string toml = changed("127.0.0.1:18080", port.v4());
  toml.replace(toml.find("127.0.0.1:18081"), 15, "no-such-host.invalid:1");
  const Finished finished = check(toml);
  CAPTURE(finished.err);
  CHECK(finished.status == 0);
}

TEST_CASE("a missing file and a missing command are told apart by the status") {
  const Finished missing = run_program({weir_binary(), "check", "-c", "/no/such/weir.toml"});
  CHECK(missing.status == 1);
  CHECK_THAT(missing.err, Catch::Contains("/no/such/weir.toml"));
  CHECK(run_program({weir_binary(), "no-such-command"}).status == 2);
  CHECK(run_program({weir_binary(), "run", "--no-such-option"}).status == 2);
  const Finished version = run_program({weir_binary(), "version"});
  CHECK(version.status == 0);
  CHECK_THAT(version.out, Catch::Contains("weir") || Catch::Contains("0."));
}

TEST_CASE("a port in use is named with its listener and the reason") {
  const FreePort port;
  FakeBackend holder([&] {
    FakeBackendOptions options;
    options.address = port.v4();
    return options;
  }());
  const int workers = GENERATE(1, 2);
  std::string toml = changed("127.0.0.1:18080", port.v4());
  toml.replace(0, 11, fmt::format("workers = {}", workers));
  const Finished finished = run_weir({"run", "-c", "{}"}, toml);
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Catch::Contains("web"));
  CHECK_THAT(finished.err, Catch::Contains(port.v4()));
  CHECK_THAT(finished.err, Catch::Contains("in use"));
}

TEST_CASE("a second Weir on the same address is refused and the first one undisturbed") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(1), config);
  config.bind = rig.address();
  config.backends = {{"a", rig.backend().address()}};
  const Finished second = run_weir({"run", "-c", "{}"}, config.toml());
  CHECK(second.status == 1);
  CHECK_THAT(second.err, Catch::Contains(rig.address()) && Catch::Contains("weir upgrade"));
  CHECK(rig.letters(5) == "aaaaa");
}

TEST_CASE("a privileged port without the right to it names what is missing") {
  SKIP_UNLESS(!(::geteuid() != 0), "only root can become somebody without rights");
  ProcessOptions options;
  options.user = 65'534;
  std::string toml = changed("127.0.0.1:18080", "127.0.0.1:81");
  const Finished finished = run_weir({"run", "-c", "{}"}, toml, options);
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Catch::Contains("127.0.0.1:81"));
  CHECK_THAT(finished.err, Catch::Contains("CAP_NET_BIND_SERVICE"));
}
