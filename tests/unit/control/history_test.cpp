// What is remembered of how busy all have been: how the Registry feeds it, and how it is told.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "lb/control/history_json.h"
#include "tests/unit/control/registry_fixture.h"

using namespace weir;
using namespace weir::test;
using nlohmann::json;

namespace {

struct Remembered : Fixture {
  History history{now};

  void look() {
    registry.look(history);
    now += HistorySeries::kShortStep;
  }
  WorkerTotals& totals(const std::string& name, std::size_t worker) {
    return at("web", name).load->per_worker[worker];
  }
  json told(const std::string& pool, const std::string& backend) {
    const auto* found = history.find(pool, backend);
    return found != nullptr ? json::parse(history_json(*found, history.wall())) : json();
  }
};

}  // namespace

TEST_CASE("a backend's history is that of all workers, and is kept over a reload that does not touch it") {
  Remembered f;
  f.registry.apply(Fixture::three());
  f.look();
  WorkerTotals::add(f.totals("web1", 0).sessions, 2);
  WorkerTotals::add(f.totals("web1", 1).sessions, 3);
  WorkerTotals::add(f.totals("web1", 1).connect_failures, 1);
  WorkerTotals::add(f.totals("web1", 0).bytes_to_backend, 10);
  WorkerTotals::add(f.totals("web1", 1).bytes_to_client, 20);
  WorkerTotals::record(f.totals("web1", 0).connect_times, 100us);
  f.at("web", "web1").load->active = 4;
  f.look();
  f.registry.apply(
      config({pool("web", {backend("web1", "10.0.0.1:80", 7), backend("web2", "10.9.9.9:80")})}));
  WorkerTotals::add(f.totals("web1", 0).sessions, 1);
  f.look();
  const auto steps = f.told("web", "web1").at("short");
  CHECK(steps.at("step_seconds") == 5);
  CHECK(steps.at("active") == json({0, 4, 4}));
  CHECK(steps.at("sessions") == json({0, 5, 1}));
  CHECK(steps.at("connect_failures") == json({0, 1, 0}));
  CHECK(steps.at("bytes_to_backend") == json({0, 10, 0}));
  CHECK(steps.at("bytes_to_client") == json({0, 20, 0}));
  CHECK(steps.at("connect_p99_ms")[0].is_null());
  CHECK(steps.at("connect_p99_ms")[1].get<double>() == Approx(0.1).epsilon(0.25));
  CHECK(f.told("web", "web1").at("long").at("sessions") == json({6}));
  // At another address it is another one.
  CHECK(f.told("web", "web2").at("short").at("sessions") == json({0}));
}

TEST_CASE("all together come with a short history of each pool, by name") {
  Remembered f;
  f.registry.apply(
      config({pool("web", {backend("web1", "10.0.0.1:80")}), pool("db", {backend("db1", "10.0.0.2:80")})}));
  f.look();
  WorkerTotals::add(f.totals("web1", 0).sessions, 9);
  f.look();
  const auto told = json::parse(history_json(f.history));
  CHECK(told.at("time") == 3'605);
  CHECK(told.at("short").at("sessions") == json({0, 9}));
  REQUIRE(told.at("pools").size() == 2);
  CHECK(told.at("pools")[0].at("name") == "db");
  CHECK(told.at("pools")[1].at("short").at("sessions") == json({0, 9}));
}

TEST_CASE("failures are told by kind: of backends their own, of a pool those that no backend has had") {
  Remembered f;
  f.registry.apply(Fixture::three());
  ListenerLoad& listener = f.registry.listener_load("front", "web");
  f.look();
  WorkerTotals& totals = f.totals("web1", 1);
  totals.ends.page("front").count(End::BackendReset);
  totals.ends.page("other").count(End::BackendReset);
  totals.ends.page("other").count(End::ClientReset);
  f.at("web", "web1").load->probes.count(false, 1ms);
  f.at("web", "web1").load->probes.count(true, 1ms);
  for (const End how : {End::NoBackend, End::Overloaded, End::ClientGone})
    listener.unserved[1].ends.page("web").count(how);
  listener.unserved[0].ends.page("other").count(End::NoBackend);
  f.look();
  const auto of_backend = f.told("web", "web1").at("short");
  CHECK(of_backend.at("backend_resets") == json({0, 2}));
  CHECK(of_backend.at("probes_failed") == json({0, 1}));
  CHECK(of_backend.at("unserved") == json({0, 0}));
  const auto of_pool = json::parse(history_json(*f.history.find("web"), f.history.wall())).at("short");
  CHECK(of_pool.at("backend_resets") == json({0, 2}));
  CHECK(of_pool.at("probes_failed") == json({0, 1}));
  CHECK(of_pool.at("unserved") == json({0, 2}));
}

TEST_CASE("a step in which nobody looked is null in every list") {
  Remembered f;
  f.registry.apply(Fixture::three());
  f.look();
  f.now += HistorySeries::kShortStep;
  f.look();
  const auto steps = f.told("web", "web1").at("short");
  for (const auto& [name, list] : steps.items()) {
    if (name == "step_seconds") continue;
    INFO(name);
    REQUIRE(list.size() == 3);
    CHECK(list[1].is_null());
  }
}
