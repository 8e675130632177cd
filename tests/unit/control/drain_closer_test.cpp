#include "lb/control/drain_closer.h"

#include <catch2/catch.hpp>

#include "lb/control/adoption.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

/// A backend whose sessions die as soon as they are asked to.
struct Drained {
  std::shared_ptr<BackendLoad> load = std::make_shared<BackendLoad>(7u, "web", "a", "10.0.0.1:80", 1u);
  DrainCloser::Time start{1h};
  DrainCloser::Time now = start;
  std::uint64_t killed = 0;
  bool obedient = true;
  DrainCloser closer{[this](const BackendLoad& backend, std::uint64_t count) {
    CHECK(backend.id == 7);
    killed += count;
    if (obedient) load->active -= static_cast<std::uint32_t>(count);
  }};

  /// Ticks whenever something is due, up to `until`.
  void run(DrainCloser::Time until) {
    while (const auto wait = closer.next_step(now)) {
      if (now + *wait > until) break;
      now += *wait;
      closer.tick(now);
    }
    now = until;
  }
};

}  // namespace

TEST_CASE("nothing is closed before the timeout, and everything at it") {
  Drained d;
  d.load->active = 10;
  d.closer.schedule(d.load, d.start + 3s, 0ms);
  CHECK(d.closer.next_step(d.now) == 3000ms);
  d.run(d.start + 2999ms);
  CHECK(d.killed == 0);
  d.run(d.start + 3s);
  CHECK(d.killed == 10);
  d.run(d.start + 4s);
  CHECK(d.killed == 10);
  CHECK_FALSE(d.closer.next_step(d.now));
}

TEST_CASE("a spread closes evenly and ends in time") {
  Drained d;
  d.load->active = 1000;
  d.closer.schedule(d.load, d.start + 1s, 10s);
  for (int second = 1; second <= 10; ++second) {
    const auto before = d.killed;
    d.run(d.start + 1s + second * 1s);
    CHECK(d.killed - before >= 90);
    CHECK(d.killed - before <= 110);
  }
  CHECK(d.load->active == 0);
}

TEST_CASE("sessions that end by themselves are not made up for") {
  Drained d;
  d.load->active = 100;
  d.closer.schedule(d.load, d.start, 10s);
  d.run(d.start + 1s);
  d.load->active = 50;
  const auto before = d.killed;
  d.run(d.start + 4900ms);
  CHECK(d.killed == before);
}

TEST_CASE("what should be gone and is not is asked again") {
  Drained d;
  d.obedient = false;
  d.load->active = 1;
  d.closer.schedule(d.load, d.start, 0ms);
  d.run(d.start + 1s);
  CHECK(d.killed > 1);
  d.load->active = 0;
  d.run(d.start + 2s);
  CHECK_FALSE(d.closer.next_step(d.now));
}

TEST_CASE("what was planned for a backend is over once new sessions may come to it") {
  Drained d;
  d.load->active = 10;
  d.closer.schedule(d.load, d.start + 1s, 0ms);
  Backend backend;
  backend.load = d.load;
  const auto table_with = [&](Admin admin) {
    backend.admin = admin;
    PoolSettings settings;
    settings.name = "web";
    settings.balance = "round_robin";
    return Table(1, {Pool::build(std::move(settings), {backend}, nullptr)});
  };
  d.closer.cancel_enabled(table_with(Admin::Drained));
  d.closer.cancel_enabled(Table());
  CHECK(d.closer.planned(7));
  d.closer.cancel_enabled(table_with(Admin::Enabled));
  CHECK_FALSE(d.closer.planned(7));
  d.run(d.start + 1h);
  CHECK(d.killed == 0);
}

TEST_CASE("a plan that is cancelled closes nothing") {
  Drained d;
  d.load->active = 5;
  d.closer.schedule(d.load, d.start + 1s, 0ms);
  CHECK(d.closer.planned(7) == d.start + 1s);
  d.closer.cancel(7);
  d.run(d.start + 2s);
  CHECK(d.killed == 0);
}

TEST_CASE("a Table is adopted when the last worker has it") {
  Adoption adoption(2);
  int called = 0;
  adoption.when(5, [&] { ++called; });
  adoption.adopted(0, 5);
  adoption.adopted(1, 4);
  CHECK(called == 0);
  adoption.adopted(1, 6);
  CHECK(called == 1);
  adoption.when(5, [&] { adoption.when(6, [&] { called = 10; }); });
  CHECK(called == 1);
  adoption.adopted(0, 6);
  CHECK(called == 10);
}
