// Weir's own trouble is not held against a backend.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "tests/support/backend_process.h"
#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// Three backends that take their time to answer a probe: so one is always under way.
FakeBackendOptions thoughtful() {
  return scripted([](Stream& stream) {
    std::this_thread::sleep_for(100ms);
    stream.send_all("yes");
  });
}

/// Stops Weir itself for `length`; one probe alone would take a backend down.
void stop_weir_for(milliseconds length) {
  SimpleConfig config;
  config.health = fmt::format(
      "probe = \"expect\"\nexpect = \"yes\"\ninterval = \"150ms\"\nfast_interval = \"150ms\"\n"
      "timeout = \"{}ms\"\nrise = 1\nfall = 1",
      patient(500ms).count());
  Operated weir({thoughtful(), thoughtful(), thoughtful()}, config);
  REQUIRE(weir.says("web/c unknown → up"));
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(300ms);
    weir.process().signal(SIGSTOP);
    std::this_thread::sleep_for(length / 2);
    weir.process().signal(SIGCONT);
  }
  const std::size_t probes = weir.backend(0).accepted();
  REQUIRE(eventually([&] { return weir.backend(0).accepted() > probes + 2; }));
  CHECK_THAT(weir.log(), !Contains("→ down"));
  for (const char* name : {"a", "b", "c"}) CHECK(weir.backend_status(name).at("health") == "up");
}

}  // namespace

TEST_CASE("nobody is declared down because Weir was stopped for a while") {
  stop_weir_for(kSanitized ? 6s : 4s);
}

TEST_CASE("nobody is declared down because Weir was stopped for 10 s", "[long]") {
  stop_weir_for(2 * 10s);
}

TEST_CASE("nobody is declared down in 60 s of a saturated CPU", "[long]") {
  const BackendProcess a('a');
  const BackendProcess b('b');
  const FreePort front;
  SimpleConfig config;
  config.bind = front.v4();
  config.health = "probe = \"tcp\"\ninterval = \"200ms\"\nfast_interval = \"200ms\"\ntimeout = \"1s\"";
  config.backends = {{"a", a.address()}, {"b", b.address()}};
  WeirDaemon weir(config.toml() +
                  fmt::format("[[pool]]\nname = \"other\"\n[pool.health]\nprobe = \"expect\"\n"
                              "expect = \"ready\"\ninterval = \"200ms\"\nfast_interval = \"200ms\"\n"
                              "[[pool.backend]]\nname = \"b\"\naddress = \"{}\"\n",
                              b.address()));
  for (const char* name : {"web/a", "web/b", "other/b"})
    REQUIRE(weir.process().wait_for_err(name + std::string(" unknown → up")));
  std::vector<std::unique_ptr<Process>> busy;
  const unsigned count = 2 * std::max(std::thread::hardware_concurrency(), 1u) + 1;
  for (unsigned i = 0; i < count; ++i)
    busy.push_back(std::make_unique<Process>(std::vector<std::string>{"sh", "-c", "while :; do :; done"}));
  const auto start = Clock::now();
  std::size_t served = 0;
  while (since(start) < 60s) {
    Stream client = Stream::connect(front.v4());
    client.half_close();
    served += client.recv_to_end().data.starts_with("ready") ? 1 : 0;
    REQUIRE(connect_failure(front.v4()).empty());
    std::this_thread::sleep_for(100ms);
  }
  double cpu = 0;
  for (const auto& process : busy) cpu += process->cpu_seconds();
  WARN(fmt::format("{} busy processes used {:.0f} s of CPU in 60 s; {} sessions were served", count, cpu,
                   served));
  CHECK(cpu > 20);
  CHECK(served > 10);
  CHECK_THAT(weir.process().err(), !Contains("→ down"));
}
