#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <regex>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> kFields = {"time",
                                          "listener",
                                          "client",
                                          "pool",
                                          "backend",
                                          "backend_address",
                                          "attempts",
                                          "connect_ms",
                                          "duration_ms",
                                          "bytes_to_backend",
                                          "bytes_to_client",
                                          "end",
                                          "id",
                                          "peer",
                                          "sni",
                                          "queue_ms",
                                          "first_byte_ms",
                                          "tried",
                                          "why"};

double decimal(const AccessLine& line, std::string_view key) {
  const std::string& text = line[key];
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  CAPTURE(key, text);
  CHECK(*end == '\0');
  return value;
}

}  // namespace

TEST_CASE("a session's line holds every field in the fixed order") {
  Rig rig(lettered(1));
  Stream client = rig.connect();
  const std::string name = client.local_address();
  REQUIRE(client.recv_exact(1) == "a");
  CHECK(client.echoes("twelve bytes"));
  std::this_thread::sleep_for(120ms);  // shows in the duration
  client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Eof);
  const auto log = rig.weir().wait_for_access(1);
  REQUIRE(log.size() == 1);
  const AccessLine& line = log[0];
  CHECK(line.keys() == kFields);
  CHECK(std::regex_match(line["time"], std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  CHECK(line["listener"] == "web");
  CHECK(line["client"] == name);
  CHECK(line["pool"] == "web");
  CHECK(line["backend"] == "a");
  CHECK(line["backend_address"] == rig.backend().address());
  CHECK(line["attempts"] == "1");
  CHECK(line["bytes_to_backend"] == "12");
  CHECK(line["bytes_to_client"] == "13");
  CHECK(line["end"] == "done");
  CHECK(decimal(line, "connect_ms") >= 0);
  CHECK(decimal(line, "connect_ms") <= decimal(line, "duration_ms"));
  CHECK(decimal(line, "duration_ms") >= 120);
}

TEST_CASE("what does not exist in a line is a dash") {
  Rig rig(lettered(1), {}, {"admin = \"disabled\""});
  CHECK(rig.connect().recv_to_end().ending == Ending::Reset);
  const AccessLine line = rig.weir().wait_for_access(1)[0];
  CHECK(line.keys() == kFields);
  CHECK(line["backend"] == "-");
  CHECK(line["backend_address"] == "-");
  CHECK(line["attempts"] == "0");
  CHECK(line["connect_ms"] == "-");
  CHECK(line["bytes_to_backend"] == "0");
  CHECK(line["bytes_to_client"] == "0");
  CHECK(line["end"] == "no_backend");
}

TEST_CASE("a line is written soon after its session has ended", "[alone]") {
  Rig rig(lettered(1));
  milliseconds best = 1h;
  for (std::size_t i = 1; i <= 5; ++i) {
    one_session(rig.address());
    const auto start = Clock::now();
    rig.weir().wait_for_access(i);
    best = std::min(best, since(start));
  }
  CHECK(best < patient(60ms));
}

TEST_CASE("every session has one line however many there are") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(1), config);
  const std::size_t count = scaled(3000);
  for (std::size_t i = 0; i < count; ++i) {
    ConnectOptions options;
    options.source = client_source(i);
    Stream client = rig.connect(options);
    client.half_close();
  }
  const auto log = rig.weir().wait_for_access(count);
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
  CHECK(rig.weir().access_log().size() == count);
  CHECK(std::all_of(log.begin(), log.end(), [](const AccessLine& line) { return line.keys() == kFields; }));
}

TEST_CASE("the access log may be off") {
  SimpleConfig config;
  config.log = "access = \"off\"";
  Rig rig(lettered(1), config);
  rig.letters(5);
  CHECK(rig.weir().stop() == 0);
  CHECK(rig.process().out().empty());
}

TEST_CASE("an access log file is appended to") {
  const TempDir dir;
  write_file(dir.file("access.log"), "an older line\n");
  SimpleConfig config;
  config.log = fmt::format("access = \"{}\"", dir.file("access.log"));
  Rig rig(lettered(1), config);
  rig.letters(2);
  CHECK(rig.weir().stop() == 0);  // nothing may be lost at the end either
  const std::string text = read_file(dir.file("access.log"));
  CHECK(text.starts_with("an older line\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(rig.process().out().empty());
}

TEST_CASE("an access log that cannot be opened keeps Weir from starting and is named") {
  SimpleConfig config;
  config.bind = FreePort().v4();
  config.backends = {{"a", "127.0.0.1:1"}};
  config.log = "access = \"/no/such/directory/access.log\"";
  const Finished finished = run_weir({"run", "-c", "{}"}, config.toml());
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Catch::Contains("/no/such/directory/access.log"));
}

TEST_CASE("every line of the daemon log begins with time and level") {
  Rig rig(lettered(1));
  const std::string log = rig.process().err();
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(std::regex_search(
        line, std::regex(R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (trace|debug|info|warn|error) )")));
  }
}

TEST_CASE("bytes that never reached the client are not counted as sent beyond what was taken") {
  FakeBackendOptions options;
  options.then = Then::Flood;
  Rig rig({options});
  Stream client = rig.connect();
  client.recv_exact(500'000);
  client.reset();
  const AccessLine line = rig.weir().wait_for_access(1)[0];
  CHECK(line.number("bytes_to_client") >= 500'000);
  CHECK(line["bytes_to_backend"] == "0");
  CHECK(line["end"] == "client_reset");
}
