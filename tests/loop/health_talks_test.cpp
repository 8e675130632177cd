// How a probe's conversation ends, on real sockets. What is said in it: tests/unit/health.
#include <mutex>

#include <catch2/catch.hpp>

#include "tests/loop/health_bench.h"

using namespace weir;
using namespace weir::test;

namespace {

/// What backends saw of each connection of a probe, from threads of theirs.
class Seen {
 public:
  FakeBackendOptions backend(const std::string& greeting) {
    return {.script = [this, greeting](Stream& stream) {
      stream.send_all(greeting);
      Received all = stream.recv_to_end();
      const std::lock_guard lock(mutex_);
      if (!first_) first_ = std::move(all);
    }};
  }
  Received first() {
    CHECK(eventually([&] {
      const std::lock_guard lock(mutex_);
      return first_.has_value();
    }));
    const std::lock_guard lock(mutex_);
    return first_.value_or(Received{});
  }

 private:
  std::mutex mutex_;
  std::optional<Received> first_;
};

ProbeConfig in_steps(std::vector<ExpectStep> steps) {
  ProbeConfig probe = HealthBench::probe("expect");
  probe.steps = std::move(steps);
  return probe;
}

}  // namespace

TEST_CASE(
    "a probe's last words arrive before its end, which is no reset, even when the backend does not close") {
  Seen seen;
  FakeBackend backend(seen.backend("220 x\r\n"));
  HealthBench bench;
  bench.checker().set_targets(
      {HealthBench::target(1, backend.address(), in_steps({{"", "220 ", ""}, {"QUIT\r\n", "", ""}}))});
  CHECK(bench.wait_for(1, Health::Up));
  CHECK(seen.first().data == "QUIT\r\n");
  CHECK(seen.first().ending == Ending::Eof);
}

TEST_CASE("a probe that has nothing more to say ends at once, and does not reset") {
  Seen seen;
  const std::string asks_for_password("R\0\0\0\x08\0\0\0\5", 9);
  FakeBackend backend(seen.backend(asks_for_password));
  HealthBench bench;
  const auto target = HealthBench::target(1, backend.address(), HealthBench::probe("postgres"));
  bench.checker().set_targets({target});
  CHECK(bench.wait_for(1, Health::Up));
  CHECK(seen.first().ending == Ending::Eof);
  // A backend that is not told has 100 ms to close by itself.
  CHECK(eventually([&] { return target.load->last_probe.load() < Millis(90); }));
}

TEST_CASE("an expect probe that has found its text resets, which leaves no TIME_WAIT") {
  Seen seen;
  FakeBackend backend(seen.backend("hello"));
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, backend.address(), in_steps({{"", "hello", ""}}))});
  CHECK(bench.wait_for(1, Health::Up));
  CHECK(seen.first().ending == Ending::Reset);
}

TEST_CASE("the verdict of a probe whose goodbye nobody reads is not lost, and its timeout does not fail it") {
  FakeBackend backend({.greeting = "220 x\r\n", .then = Then::Flood});
  auto probe = in_steps({{"", "220 ", ""}, {std::string(60'000, 'x'), "", ""}});
  probe.timeout = patient(Millis(80));  // less than the backend is given to close
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, backend.address(), probe)});
  CHECK(bench.wait_for(1, Health::Up));
}

TEST_CASE("a backend that refuses in words and resets is down for these words") {
  FakeBackend backend({.script = [](Stream& stream) {
    stream.send_all("-ERR max number of clients reached\r\n");
    stream.half_close();
    stream.recv_to_end();
  }});
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, backend.address(), HealthBench::probe("redis"))});
  const auto down = bench.wait_for(1, Health::Down);
  REQUIRE(down);
  CHECK(down->reason == "probe failed (redis): ERR max number of clients reached");
}

TEST_CASE("certificates that cannot be read are our own trouble, and blame no backend") {
  FakeBackend backend;
  auto probe = HealthBench::probe("tls");
  probe.host = "www.example.org";
  probe.ca_file = "/no/such/file";
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, backend.address(), probe)});
  CHECK(bench.wait_for_reason(1, "probe could not be run: cannot read certificates of /no/such/file: "));
  CHECK(bench.transitions(1).empty());
}
