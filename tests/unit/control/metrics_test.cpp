#include "lb/control/metrics.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "lb/control/legacy.h"
#include "lb/observe/gzip.h"
#include "lb/observe/metric_list.h"
#include "tests/support/scraped.h"
#include "tests/support/timing.h"
#include "tests/unit/control/registry_fixture.h"

using namespace weir;
using namespace weir::test;

namespace {

MetricsFacts some_facts() {
  MetricsFacts out;
  out.version = "1.2";
  out.sessions = 3;
  out.most_sessions = 10;
  out.own_trouble = {{"connect", 2}};
  return out;
}

Scraped scrape(const Registry& registry, std::string_view pool = {}) {
  const auto view = registry.metrics_view(pool).value();
  const Scraped plain(expose(view, some_facts(), Exposition::Format::Prometheus),
                      Scraped::Format::Prometheus);
  return Scraped(expose(view, some_facts(), Exposition::Format::OpenMetrics), Scraped::Format::OpenMetrics);
}

/// What a session of a worker's leaves behind.
void serve(Registry& registry, BackendLoad& load, const std::string& listener, End how = End::Done) {
  WorkerTotals& totals = load.per_worker[1];
  auto& page = totals.ends.page(&registry.listener_load(listener, load.pool), listener);
  page.count(how);
  EndBook::Page::add(page.retries, 2);
  WorkerTotals::add(totals.sessions, 1);
  WorkerTotals::add(totals.bytes_to_client, 100);
  WorkerTotals::record(totals.connect_times, std::chrono::microseconds(300));
  WorkerTotals::record(totals.first_byte_times, std::chrono::microseconds(3'000));
  totals.make_ended().spans.record(5'000);
  totals.make_ended().sizes.record(100);
  load.probes.count(true, std::chrono::microseconds(100));
}

struct Metered : Fixture {
  Metered() { registry.apply(three()); }
  BackendLoad& load(const std::string& name) { return *at("web", name).load; }
};

/// All that adds up over backends and must never fall.
std::vector<double> sums(const Scraped& scraped, const LabelValues& labels = {{"pool", "web"}}) {
  std::vector<double> out;
  for (const MetricFamily* family : metrics::all()) {
    if (family->labels.find("pool") == std::string_view::npos) continue;
    const std::string name(family->name);
    if (family->kind == MetricKind::Counter) out.push_back(scraped.sum(name, labels));
    if (family->kind == MetricKind::Histogram)
      for (const char* suffix : {"_bucket", "_sum", "_count"})
        out.push_back(scraped.sum(name + suffix, labels));
  }
  return out;
}

}  // namespace

TEST_CASE("what workers count is told by backend and listener") {
  Metered metered;
  serve(metered.registry, metered.load("web1"), "front");
  serve(metered.registry, metered.load("web1"), "front", End::Idle);
  serve(metered.registry, metered.load("web1"), "other");
  metered.registry.listener_load("front", "web").unserved[0].ends.page("web").count(End::NoBackend);
  metered.registry.listener_load("front", "web").count_turned_away(1, End::Denied);
  metered.up("web", "web1");
  const Scraped scraped = scrape(metered.registry);
  const LabelValues web1{{"pool", "web"}, {"backend", "web1"}};
  CHECK(scraped.sum("weir_sessions_total", {{"listener", "front"}, {"backend", "web1"}, {"end", "done"}}) ==
        1);
  CHECK(scraped.sum("weir_sessions_total", web1) == 3);
  CHECK(scraped.sum("weir_sessions_total", {{"backend", "-"}, {"end", "no_backend"}, {"pool", "web"}}) == 1);
  CHECK(scraped.sum("weir_refused_total", {{"listener", "front"}, {"reason", "denied"}}) == 1);
  CHECK(scraped.sum("weir_refused_total") == 1);
  CHECK(scraped.sum("weir_retries_total", {{"pool", "web"}}) == 6);
  CHECK(scraped.sum("weir_backend_connect_seconds_count", web1) == 3);
  CHECK(scraped.sum("weir_backend_connect_seconds_bucket", {{"backend", "web1"}, {"le", "0.0002"}}) == 0);
  CHECK(scraped.sum("weir_backend_connect_seconds_bucket", {{"backend", "web1"}, {"le", "0.0004"}}) == 3);
  CHECK(scraped.sum("weir_backend_connect_seconds_sum", web1) == Approx(0.0009));
  CHECK(scraped.sum("weir_session_bytes_bucket", {{"backend", "web1"}, {"le", "256"}}) == 3);
  CHECK(scraped.sum("weir_session_duration_seconds_bucket", {{"backend", "web1"}, {"le", "0.016"}}) == 3);
  CHECK(scraped.sum("weir_probes_total", {{"backend", "web1"}, {"result", "passed"}}) == 3);
  CHECK(scraped.sum("weir_backend_state", {{"backend", "web1"}, {"state", "up"}}) == 1);
  CHECK(scraped.sum("weir_backend_state", web1) == 1);
  CHECK(scraped.sum("weir_pool_verdict", {{"pool", "web"}}) == 1);
  CHECK(scraped.sum("weir_own_trouble_total", {{"kind", "connect"}}) == 2);
  CHECK(scraped.sum("weir_sessions_limit") == 10);
  CHECK(scraped.sum("process_open_fds") > 2);
  CHECK(scraped.sum("process_resident_memory_bytes") > 1'000'000);
  CHECK(std::abs(scraped.sum("process_start_time_seconds") - static_cast<double>(std::time(nullptr))) <
        36'000);
}

TEST_CASE("a backend has at most sixteen series beside its histograms") {
  Metered metered;
  for (const End how : {End::Done, End::ClientReset, End::BackendReset, End::Idle, End::ConnectFailed})
    serve(metered.registry, metered.load("web1"), "front", how);
  const Scraped scraped = scrape(metered.registry);
  std::size_t series = 0;
  for (const MetricFamily* family : metrics::all())
    if (family->kind != MetricKind::Histogram)
      series += scraped.count(family->name, {{"pool", "web"}, {"backend", "web1"}});
  CHECK(series <= 16);
  // One that has served nobody is told in short.
  CHECK(scraped.count("weir_session_bytes_bucket", {{"backend", "web2"}}) == 1);
}

TEST_CASE("all that is scraped is in the list and all of the list is scraped") {
  Metered metered;
  auto config = Metered::three();
  config->pools[0].hedge_after = 10ms;
  config->listeners[0].max_connections = 5;
  metered.registry.apply(config);
  serve(metered.registry, metered.load("web1"), "front");
  metered.registry.listener_load("front", "web").max_connections = 5;
  REQUIRE(metered.registry.set_admin("web/web1", Admin::Drained));
  const std::string text =
      expose(metered.registry.metrics_view().value(), some_facts(), Exposition::Format::Prometheus);
  const Scraped scraped(text, Scraped::Format::Prometheus);
  std::vector<std::string> told, listed;
  for (const ScrapedFamily& family : scraped.families()) told.push_back(family.name);
  for (const MetricFamily* family : metrics::all()) listed.emplace_back(family->name);
  CHECK(told == listed);
}

TEST_CASE("no sum falls when a backend leaves nor an hour later nor when its name is another one's") {
  Metered metered;
  serve(metered.registry, metered.load("web1"), "front");
  serve(metered.registry, metered.load("web2"), "front");
  const auto held = metered.at("web", "web1").load;  // as sessions that go on hold it
  held->active = 1;
  const auto before = sums(scrape(metered.registry));
  const auto without_web1 = [] {
    auto out = Metered::three();
    out->pools[0].backends.erase(out->pools[0].backends.begin());
    return out;
  };
  metered.registry.apply(without_web1());
  CHECK(sums(scrape(metered.registry)) == before);
  CHECK(scrape(metered.registry).count("weir_backend_state", {{"backend", "web1"}}) == 0);
  CHECK(scrape(metered.registry).sum("weir_backend_sessions", {{"backend", "web1"}}) == 1);
  const auto pass = [&](auto time) {
    metered.now += time;
    metered.registry.sample_rates();
  };
  pass(2h);
  held->active = 0;
  pass(59min);
  CHECK(scrape(metered.registry).sum("weir_sessions_total", {{"backend", "web1"}}) == 1);
  // The name at another address is the same series, and counts on.
  auto moved = Metered::three();
  moved->pools[0].backends[0].endpoint = parse_endpoint("10.0.0.9:80").value();
  metered.registry.apply(moved);
  CHECK(scrape(metered.registry).sum("weir_sessions_total", {{"backend", "web1"}}) == 1);
  CHECK(sums(scrape(metered.registry)) == before);
  metered.registry.apply(without_web1());
  pass(2h);
  const Scraped later = scrape(metered.registry);
  CHECK(sums(later) == before);
  CHECK(later.sum("weir_sessions_total", {{"backend", "web1"}}) == 0);
  CHECK(later.sum("weir_sessions_total", {{"backend", "-"}, {"end", "done"}}) == 1);
  CHECK(later.sum("weir_backend_bytes_to_client_total", {{"backend", "-"}}) == 100);
  // The pool itself goes, and its counts stay.
  auto another = Metered::three();
  another->pools[0].name = "else";
  another->listeners[0].pool = "else";
  metered.registry.apply(another);
  pass(2h);
  CHECK(sums(scrape(metered.registry)) == before);
  CHECK(sums(scrape(metered.registry, "web")) == before);
  CHECK_FALSE(metered.registry.metrics_view("nobody"));
}

TEST_CASE("no sum falls over an upgrade and what the older process counts then comes on top once") {
  Metered old;
  serve(old.registry, old.load("web1"), "front");
  serve(old.registry, old.load("web3"), "front");
  old.registry.listener_load("front", "web").count_turned_away(0, End::Denied);
  auto& page = old.registry.listener_load("front", "web").unserved[0].ends.page("web");
  page.count(End::Overloaded);
  page.record_queue_wait(std::chrono::microseconds(70'000));
  auto fewer = Metered::three();
  fewer->pools[0].backends.pop_back();
  const auto gone = old.at("web", "web3").load;
  old.registry.apply(fewer);
  const auto before = sums(scrape(old.registry));
  const Legacy handed = old.registry.legacy();
  Fixture next;
  next.registry.inherit(parse_legacy(format_legacy(handed, old.now), old.now).value(), fewer);
  next.registry.apply(fewer);
  CHECK(sums(scrape(next.registry)) == before);
  CHECK(scrape(next.registry).sum("weir_refused_total") == 1);
  old.registry.hand_over(handed);
  CHECK(old.registry.counts().empty());
  // The sessions that it keeps end there.
  serve(old.registry, old.load("web1"), "front", End::ClientReset);
  serve(old.registry, *gone, "front");
  page.count(End::Overloaded);
  const auto after = sums(scrape(old.registry));
  CHECK(after != before);
  next.registry.add(parse_counts(format_counts(old.registry.counts())).value());
  const Scraped all = scrape(next.registry);
  CHECK(sums(all) == after);
  CHECK(all.sum("weir_sessions_total", {{"end", "client_reset"}, {"backend", "web1"}}) == 1);
  CHECK(all.sum("weir_sessions_total", {{"backend", "web3"}}) == 2);
  CHECK(all.sum("weir_queue_wait_seconds_count") == 1);
}

TEST_CASE("a scrape of a thousand backends costs the control thread next to nothing", "[release]") {
  Fixture fixture;
  auto many = Fixture::three();
  for (int i = 0; i < 1'000; ++i)
    many->pools[0].backends.push_back(
        backend("b" + std::to_string(i), "10.1.0.1:" + std::to_string(1'000 + i)));
  fixture.registry.apply(many);
  for (int i = 0; i < 1'000; ++i)
    serve(fixture.registry, *fixture.at("web", "b" + std::to_string(i)).load, "front");
  const auto begin = Clock::now();
  const auto view = fixture.registry.metrics_view().value();
  const auto put_together = Clock::now();
  const std::string text = expose(view, some_facts(), Exposition::Format::Prometheus);
  const auto written = Clock::now();
  const std::string small = gzip(text);
  const auto compressed = Clock::now();
  const auto ms = [](auto from, auto to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
  };
  WARN("1,000 backends: " << ms(begin, put_together) << " ms of the control thread; beside it "
                          << ms(put_together, written) << " ms to write " << text.size() << " bytes, "
                          << ms(written, compressed) << " ms to compress them to " << small.size());
  CHECK(Scraped(text, Scraped::Format::Prometheus).count("weir_backend_sessions") == 1'003);
  // Ten times the step that it may take, for a machine that others use, too.
  if (!kSanitized) CHECK(ms(begin, put_together) < 50);
}

TEST_CASE("what older processes count is told with the rest as long as they last") {
  Metered metered;
  serve(metered.registry, metered.load("web1"), "front");
  Counts elders;
  elders.backends[{"web", "web1"}] = {.sessions = 1, .bytes_to_client = 50};
  elders.tallies[{"web", "web1"}].ends["front"].by_end[static_cast<std::size_t>(End::Idle)] = 2;
  elders.tallies[{"web", "gone"}].ends["front"].by_end[static_cast<std::size_t>(End::Done)] = 4;
  elders.active[{"web", "web2"}] = 7;
  elders.listeners[{"front", "web"}] = 3;
  elders.listener_active[{"front", "web"}] = 7;
  elders.listener_tallies[{"front", "web"}].turned_away[static_cast<std::size_t>(End::Denied)] = 5;
  const auto told = parse_counts(format_counts(elders)).value();
  CHECK(told == elders);
  const auto view = metered.registry.metrics_view({}, told).value();
  const Scraped scraped(expose(view, some_facts(), Exposition::Format::OpenMetrics),
                        Scraped::Format::OpenMetrics);
  CHECK(scraped.sum("weir_backend_bytes_to_client_total", {{"backend", "web1"}}) == 150);
  CHECK(scraped.sum("weir_sessions_total", {{"backend", "web1"}}) == 3);
  CHECK(scraped.sum("weir_sessions_total", {{"backend", "-"}, {"end", "done"}}) == 4);
  CHECK(scraped.sum("weir_backend_sessions", {{"backend", "web2"}}) == 7);
  CHECK(scraped.sum("weir_sessions_active") == 10);
  CHECK(scraped.sum("weir_listener_sessions", {{"listener", "front"}}) == 7);
  CHECK(scraped.sum("weir_listener_accepted_total", {{"listener", "front"}}) == 3);
  CHECK(scraped.sum("weir_refused_total", {{"reason", "denied"}}) == 5);
  CHECK(metered.registry.metrics_view("web", told).value().elders.listeners.size() == 1);
}
