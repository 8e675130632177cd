#include <atomic>
#include <catch2/catch.hpp>

#include "tests/loop/health_bench.h"

using namespace weir;
using namespace weir::test;

TEST_CASE("a backend that accepts is up after one probe, and down after fall failures") {
  FakeBackend backend;
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, backend.address(), HealthBench::probe("tcp"))});
  const auto up = bench.wait_for(1, Health::Up);
  REQUIRE(up);
  CHECK_THAT(up->reason, Catch::Matches("probe passed \\(tcp, [0-9.]+ ms\\)"));
  backend.stop_listening();
  const auto down = bench.wait_for(1, Health::Down);
  REQUIRE(down);
  CHECK(down->reason == "probe failed 3 times (tcp): connection refused");
  backend.listen_again();
  REQUIRE(bench.wait_for(1, Health::Up));
  CHECK(bench.transitions(1).size() == 3);
}

TEST_CASE("a backend that refuses is down after one probe, and every probe ends in a reset") {
  const RefusingPort refusing;
  FakeBackend backend({.greeting = "a"});
  HealthBench bench;
  bench.checker().set_targets({HealthBench::target(1, refusing.address(), HealthBench::probe("tcp")),
                               HealthBench::target(2, backend.address(), HealthBench::probe("tcp"))});
  const auto down = bench.wait_for(1, Health::Down);
  REQUIRE(down);
  CHECK(down->reason == "probe failed (tcp): connection refused");
  CHECK(eventually([&] { return backend.resets() >= 2; }));
  CHECK(backend.finished() == 0);
}

TEST_CASE("a silent address times out, is told from a refusing one, and delays nobody") {
  const BlackHole silent;
  FakeBackend backend;
  HealthBench bench;
  auto probe = HealthBench::probe("tcp");
  probe.timeout = Millis(300);
  bench.checker().set_targets({HealthBench::target(1, silent.address(), probe),
                               HealthBench::target(2, backend.address(), HealthBench::probe("tcp"))});
  REQUIRE(bench.wait_for(2, Health::Up));
  CHECK(bench.transitions(1).empty());
  const auto down = bench.wait_for(1, Health::Down);
  REQUIRE(down);
  CHECK(down->reason == "probe failed (tcp): timed out after 300ms");
}

TEST_CASE("of several addresses the next is tried when one refuses or is silent") {
  const RefusingPort refusing;
  const BlackHole silent;
  FakeBackend backend;
  HealthBench bench;
  auto target = HealthBench::target(1, refusing.address(), HealthBench::probe("tcp"));
  target.addresses.push_back(to_address(silent.address()));
  target.addresses.push_back(to_address(backend.address()));
  bench.checker().set_targets({target});
  CHECK(bench.wait_for(1, Health::Up));
}

TEST_CASE("the probe's own port is probed instead of the backend's") {
  const RefusingPort refusing;
  FakeBackend backend;
  HealthBench bench;
  auto probe = HealthBench::probe("tcp");
  probe.port = backend.port();
  bench.checker().set_targets({HealthBench::target(1, refusing.address(), probe)});
  CHECK(bench.wait_for(1, Health::Up));
}

TEST_CASE("a new target begins with what is known of it, and its count goes on") {
  const RefusingPort refusing;
  FakeBackend backend;
  HealthBench bench;
  auto doubted = HealthBench::target(1, refusing.address(), HealthBench::probe("tcp"));
  doubted.health = Health::Up;
  doubted.against = 1;
  auto well = HealthBench::target(2, backend.address(), HealthBench::probe("tcp"));
  well.health = Health::Up;
  bench.checker().set_targets({doubted, well});
  // The first probe is the second of three: it takes nobody down.
  CHECK(bench.wait_for_reason(1, "2 of 3 probes failed"));
  REQUIRE(bench.wait_for(1, Health::Down));
  CHECK(bench.transitions(1).size() == 1);
  CHECK(bench.transitions(2).empty());
}

TEST_CASE("a disabled backend is forgotten, and unknown until a probe has passed after it is enabled") {
  FakeBackend backend;
  HealthBench bench;
  auto target = HealthBench::target(1, backend.address(), HealthBench::probe("tcp"));
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for(1, Health::Up));
  target.probing = false;
  bench.checker().set_targets({target});
  const auto unknown = bench.wait_for(1, Health::Unknown);
  REQUIRE(unknown);
  CHECK(unknown->reason == "not probed while disabled");
  backend.stop_listening();
  target.probing = true;
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for(1, Health::Down));
  const auto all = bench.transitions(1);
  REQUIRE(all.size() == 4);
  CHECK(all[2].health == Health::Unknown);
  CHECK(all[2].reason == "no probe has finished yet");
}

TEST_CASE("a target of another life is forgotten, though nobody saw it disabled in between") {
  FakeBackend backend;
  HealthBench bench;
  auto target = HealthBench::target(1, backend.address(), HealthBench::probe("tcp"));
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for(1, Health::Up));
  ++target.life;
  bench.checker().set_targets({target});
  REQUIRE(eventually([&] { return bench.transitions(1).size() >= 3; }));
  const auto all = bench.transitions(1);
  CHECK(all[0].life == target.life - 1);
  CHECK(all[1].health == Health::Unknown);
  CHECK(all[2].health == Health::Up);
  CHECK(all[2].life == target.life);
}

TEST_CASE("a backend that was out of rotation, or on trial, is judged anew when it is probed") {
  const bool on_trial = GENERATE(false, true);
  FakeBackend backend;
  HealthBench bench;
  auto target = HealthBench::target(1, backend.address(), HealthBench::probe("none"));
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for(1, Health::Up));
  target.load->failures_in_a_row = 3;
  bench.checker().connects_changed(target.load);
  REQUIRE(bench.wait_for(1, Health::Down));
  if (on_trial) REQUIRE(bench.wait_for(1, Health::Up)->on_trial);
  target.probe = HealthBench::probe("tcp");
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for_reason(1, "probe passed (tcp"));
  CHECK(bench.transitions(1).back().health == Health::Up);
  CHECK_FALSE(bench.transitions(1).back().on_trial);
}

TEST_CASE("a new set of the same targets changes nothing, another interval keeps the health") {
  FakeBackend backend;
  HealthBench bench;
  auto target = HealthBench::target(1, backend.address(), HealthBench::probe("tcp"));
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for(1, Health::Up));
  const std::size_t before = backend.accepted();
  target.probe.interval = Millis(50);
  for (int i = 0; i < 5; ++i) bench.checker().set_targets({target});
  CHECK(eventually([&] { return backend.accepted() >= before + 5; }));
  CHECK(bench.transitions(1).size() == 1);
}

TEST_CASE("two pools with the same backend and the same probe share it, and both are told") {
  FakeBackend backend;
  HealthBench bench;
  auto probe = HealthBench::probe("tcp");
  probe.interval = Millis(3'600'000);
  auto other = probe;
  other.fall = 5;
  bench.checker().set_targets({HealthBench::target(1, backend.address(), probe, "web"),
                               HealthBench::target(2, backend.address(), probe, "api"),
                               HealthBench::target(3, backend.address(), other, "api")});
  for (const BackendId id : {1u, 2u, 3u}) CHECK(bench.wait_for(id, Health::Up));
  // Connections are accepted in order: with this one all of the probes' have been.
  REQUIRE(Stream::connect(backend.address()).echoes("x"));
  CHECK(backend.accepted() == 3);
}

TEST_CASE("three failed connects of sessions bring a probe before its time") {
  FakeBackend backend;
  HealthBench bench;
  auto probe = HealthBench::probe("tcp");
  probe.interval = Millis(3'600'000);
  const auto target = HealthBench::target(1, backend.address(), probe);
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for(1, Health::Up));
  backend.stop_listening();
  target.load->failures_in_a_row = 2;
  target.load->report_pending = true;
  bench.checker().connects_changed(target.load);
  CHECK(eventually([&] { return !target.load->report_pending.load(); }));
  target.load->failures_in_a_row = 3;
  target.load->report_pending = true;
  bench.checker().connects_changed(target.load);
  CHECK(bench.wait_for(1, Health::Down));
  CHECK_FALSE(target.load->report_pending.load());
}

TEST_CASE("an unprobed backend is up at once, out after three failed connects, and then on trial") {
  HealthBench bench;
  const auto target = HealthBench::target(1, "127.0.0.1:1", HealthBench::probe("none"));
  bench.checker().set_targets({target});
  REQUIRE(bench.wait_for(1, Health::Up));
  target.load->failures_in_a_row = 3;
  target.load->trial_taken = true;
  bench.checker().connects_changed(target.load);
  const auto down = bench.wait_for(1, Health::Down);
  REQUIRE(down);
  CHECK(down->reason == "connect failed 3 times in a row: ejected for 1s");
  const auto trial = bench.wait_for(1, Health::Up);
  REQUIRE(trial);
  CHECK(trial->on_trial);
  CHECK_FALSE(target.load->trial_taken.load());
  target.load->failures_in_a_row = 0;
  bench.checker().connects_changed(target.load);
  CHECK(bench.wait_for_reason(1, "connect worked"));
}

TEST_CASE("a checker that is held up blames nobody for it") {
  // The backend answers, but while the checker is away: three timeouts long, again and again, as its own
  // callback blocks.
  FakeBackend backend({.script = [](Stream& stream) {
    std::this_thread::sleep_for(milliseconds(30));
    stream.send_all("yes");
  }});
  HealthBench bench([](const HealthReport& report) {
    if (report.health == Health::Down) std::this_thread::sleep_for(milliseconds(600));
  });
  auto probe = HealthBench::probe("expect");
  probe.expect = "yes";
  probe.fall = 1;
  probe.timeout = Millis(200);
  probe.interval = Millis(40);
  std::vector<ProbeTarget> targets = {HealthBench::target(1, backend.address(), probe)};
  for (BackendId id = 2; id <= 6; ++id)
    targets.push_back(HealthBench::target(id, "127.0.0.1:1", HealthBench::probe("none")));
  bench.checker().set_targets(targets);
  REQUIRE(bench.wait_for(1, Health::Up));
  for (BackendId id = 2; id <= 6; ++id) {
    const std::size_t before = backend.accepted();
    REQUIRE(eventually([&] { return backend.accepted() > before; }));  // a probe is under way
    targets[id - 1].load->failures_in_a_row = 3;
    bench.checker().connects_changed(targets[id - 1].load);
    REQUIRE(bench.wait_for(id, Health::Down));
  }
  const std::size_t before = backend.accepted();
  REQUIRE(eventually([&] { return backend.accepted() > before + 1; }));
  CHECK(bench.transitions(1).size() == 1);
}

TEST_CASE("a verdict that is being confirmed is told, without a transition") {
  std::atomic<bool> answers{true};
  FakeBackend backend({.script = [&](Stream& stream) { stream.send_all(answers ? "yes" : "no!"); }});
  HealthBench bench;
  auto probe = HealthBench::probe("expect");
  probe.expect = "yes";
  probe.fall = 1000;
  bench.checker().set_targets({HealthBench::target(1, backend.address(), probe)});
  REQUIRE(bench.wait_for(1, Health::Up));
  answers = false;
  CHECK(
      bench.wait_for_reason(1, "of 1000 probes failed (expect): closed by the backend without yes, got no!"));
  answers = true;
  CHECK(eventually([&] { return backend.accepted() > 5; }));
  CHECK(bench.transitions(1).size() == 1);
}

TEST_CASE("no more sockets are under way than the checker may have, whatever the kinds of probe") {
  constexpr std::size_t kMost = 5;
  FakeBackend mute({.then = Then::Stall});
  FakeBackend well;
  HealthBench bench({}, kMost);
  std::vector<ProbeTarget> targets;
  for (BackendId id = 1; id <= 30; ++id) {
    auto probe = HealthBench::probe(id % 2 == 0 ? "expect" : "http");
    probe.expect = "never";
    probe.timeout = Millis(50);
    probe.fall = id;  // so that no two of them share one
    targets.push_back(HealthBench::target(id, mute.address(), probe));
  }
  targets.push_back(HealthBench::target(31, well.address(), HealthBench::probe("tcp")));
  bench.checker().set_targets(targets);
  std::size_t most = 0;
  REQUIRE(eventually([&] {
    most = std::max(most, mute.open());
    return mute.accepted() >= 60 && bench.transitions(31).size() == 1;
  }));
  CHECK(most <= 3 * kMost);  // the backend may hear of an end a little late
  CHECK(most > 1);
  for (BackendId id = 1; id <= 30; ++id) CHECK(bench.wait_for(id, Health::Down));
}

TEST_CASE("stopping with probes under way leaves no descriptor and no thread") {
  const BlackHole silent;
  FakeBackend mute({.then = Then::Stall});
  { const HealthBench first; }  // libuv's first loop opens a pipe for signals that stays
  const std::size_t before = own_descriptors();
  {
    HealthBench bench;
    auto probe = HealthBench::probe("expect");
    probe.expect = "never";
    probe.timeout = Millis(60'000);
    auto http = HealthBench::probe("http");
    http.timeout = Millis(60'000);
    auto tcp = HealthBench::probe("tcp");
    tcp.timeout = Millis(60'000);
    bench.checker().set_targets({HealthBench::target(1, mute.address(), probe),
                                 HealthBench::target(2, mute.address(), http),
                                 HealthBench::target(3, silent.address(), tcp)});
    REQUIRE(eventually([&] { return mute.open() >= 2; }));
    const auto start = Clock::now();
    bench.checker().set_targets({HealthBench::target(3, silent.address(), tcp)});
    CHECK(eventually([&] { return mute.open() == 0; }));
    bench.checker().stop();
    CHECK(since(start) < kPatience);
  }
  CHECK(own_descriptors() <= before);
}

TEST_CASE("a checker that stops while reasons wait to be told tells no more") {
  auto backend = std::make_unique<FakeBackend>();
  std::atomic<bool> stalled{false};
  HealthBench bench([&](const HealthReport& report) {
    // Longer than the pause between two batches of reasons, so that the next one is due when it stops.
    if (!report.transition && !stalled.exchange(true)) std::this_thread::sleep_for(milliseconds(500));
  });
  ProbeConfig probe = HealthBench::probe("tcp");
  probe.fall = 1000;
  std::vector<ProbeTarget> targets;
  for (BackendId id = 1; id <= 40; ++id)
    targets.push_back(HealthBench::target(id, backend->address(), probe));
  bench.checker().set_targets(targets);
  for (BackendId id = 1; id <= 40; ++id) REQUIRE(bench.wait_for(id, Health::Up));
  backend.reset();
  REQUIRE(eventually([&] { return stalled.load(); }));
  bench.checker().stop();
}
