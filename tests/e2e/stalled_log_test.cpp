// Logs that nobody reads: nothing else waits for them.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "lb/base/fd.h"
#include "tests/support/operated.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

TEST_CASE("a reader of stderr that has stalled holds up no command, no verdict and no end") {
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"\nfall = 1";
  Operated weir(lettered(2), config);
  weir.weir().expect_exit();
  weir.process().stall_err(true);
  for (int i = 0; i < 3; ++i) {
    CHECK(weir.status({"drain", "web/a"}) == 0);
    CHECK(weir.status({"enable", "web/a"}) == 0);
  }
  CHECK(weir.reload().status == 0);
  weir.backend(1).stop_listening();
  CHECK(eventually([&] { return weir.backend_status("b").at("health") == "down"; }));
  CHECK(weir.letters(1) == "a");
  SECTION("it ends all the same") {
    const auto begin = Clock::now();
    weir.process().signal(SIGTERM);
    CHECK(weir.process().wait(patient(5s)) == 0);
    CHECK(since(begin) < patient(4s));
  }
  SECTION("a reader who goes on gets what was said meanwhile") {
    weir.process().stall_err(false);
    CHECK(weir.says("web/b up → down"));
    CHECK_THAT(weir.log(), Contains("/v1/backends/web/a/drain"));
  }
}

TEST_CASE("an access log that is a pipe nobody reads is refused, at the start and by a reload") {
  const TempDir dir;
  const std::string pipe = dir.file("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  SimpleConfig config;
  config.log = fmt::format("access = \"{}\"", pipe);
  Operated weir(lettered(1));
  weir.config.log = config.log;
  const Finished refused = weir.reload();
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("it is a pipe that nobody reads"));
  CHECK(weir.letters(1) == "a");
  const Fd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  CHECK(weir.reload().status == 0);
  CHECK(weir.letters(1) == "a");
}

TEST_CASE("a configuration file that cannot be read yet holds up nobody but the reload") {
  Operated weir(lettered(1));
  const std::string file = weir.weir().config_file();
  const std::string text = read_file(file);
  std::filesystem::remove(file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  // Such a file has 10 s to come; a machine that takes longer to look twice is given another try.
  const auto asked_while_it_reads = [&] {
    weir.process().signal(SIGHUP);
    for (int i = 0; i < 2; ++i) CHECK(weir.status({"status"}) == 0);
    Fd file_to_come;
    const auto opened = [&] {
      file_to_come.reset(::open(file.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
      return static_cast<bool>(file_to_come);
    };
    if (!eventually(3s, opened)) return false;
    CHECK(weir.log().find("reloaded") == std::string::npos);
    return ::write(file_to_come.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  REQUIRE(eventually(60s, asked_while_it_reads));
  CHECK(weir.says("reloaded: "));
}
