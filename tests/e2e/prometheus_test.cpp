// What is scraped, by the tools that scrape it.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <thread>

#include "lb/observe/gzip.h"
#include "tests/support/http.h"
#include "tests/support/operated.h"
#include "tests/support/paced_clients.h"
#include "tests/support/paths.h"
#include "tests/support/scraped.h"
#include "tests/support/skip.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

SimpleConfig with_web(const std::string& address) {
  SimpleConfig config;
  config.log = fmt::format("access = \"off\"\n[web]\nbind = \"{}\"", address);
  config.health =
      "probe = \"tcp\"\ninterval = \"100ms\"\nfast_interval = \"50ms\"\ntimeout = \"1s\"\nfall = 1\nrise = 1";
  return config;
}

/// How often Prometheus scrapes, which is how long it waits for an answer, too.
constexpr const char* kEvery = kSanitized ? "2s" : "500ms";

constexpr const char* kOpenMetrics = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

/// `text` handed to a program's standard input.
Finished piped(const std::string& text, const std::string& command) {
  const TempDir dir;
  write_file(dir.file("text"), text);
  return run_program({"/bin/sh", "-c", command + " < " + dir.file("text")});
}

/// Prometheus, scraping one Weir, with the rules that Weir comes with; what they wait for is shorter.
class Prometheus {
 public:
  explicit Prometheus(const std::string& weir) {
    std::string rules = read_file(source_path("conf/prometheus/rules.yml"));
    rules = std::regex_replace(rules, std::regex("for: [0-9]+[sm]"), "for: 1s");
    rules = std::regex_replace(rules, std::regex("\\[5m\\]"), "[20s]");
    write_file(dir_.file("rules.yml"), rules);
    write_file(dir_.file("prometheus.yml"),
               fmt::format("global: {{scrape_interval: {0}, evaluation_interval: {0}}}\nrule_files: [{1}]\n"
                           "scrape_configs: [{{job_name: weir, static_configs: [{{targets: [\"{2}\"]}}]}}]\n",
                           kEvery, dir_.file("rules.yml"), weir));
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"prometheus", "--config.file=" + dir_.file("prometheus.yml"),
                                 "--storage.tsdb.path=" + dir_.file("data"),
                                 "--web.listen-address=" + port_.v4(), "--log.level=warn"});
  }

  /// What a query's vector holds now.
  json query(const std::string& promql) const {
    std::string escaped;
    for (const unsigned char c : promql) escaped += fmt::format("%{:02X}", c);
    try {
      const auto said = http(port_.v4(), "/api/v1/query?query=" + escaped);
      if (said.status == 503) return json::array();  // it is still about to begin
      const auto answer = json::parse(said.body);
      if (answer.at("status") != "success") throw std::runtime_error(answer.dump());
      return answer.at("data").at("result");
    } catch (const StreamError&) {
      return json::array();
    }
  }
  bool has(const std::string& promql) const {
    return eventually(patient(milliseconds(30'000)), [&] {
      std::this_thread::sleep_for(100ms);
      return !query(promql).empty();
    });
  }
  bool fires(const std::string& alert) const {
    return has("ALERTS{alertstate=\"firing\",alertname=\"" + alert + "\"}");
  }
  std::string log() const { return process_->err(); }

 private:
  TempDir dir_;
  FreePort port_;
  std::unique_ptr<Process> process_;
};

/// Every query of a dashboard, as Grafana would send it.
std::vector<std::string> queries_of(const json& dashboard) {
  std::vector<std::string> out;
  for (const auto& panel : dashboard.at("panels"))
    for (const auto& target : panel.at("targets")) {
      std::string query = target.at("expr");
      for (const auto& [variable, value] :
           {std::pair("\\$(job|instance|pool)", ".*"), {"\\$__rate_interval", "20s"}})
        query = std::regex_replace(query, std::regex(variable), value);
      out.push_back(std::move(query));
    }
  return out;
}

}  // namespace

TEST_CASE("promtool finds nothing to blame in what is scraped and in the rules") {
  if (missing({"promtool"})) return;
  const FreePort port;
  Operated weir(lettered(2), with_web(port.v4()));
  REQUIRE(weir.letters(4).size() == 4);
  const auto plain = http(port.v4(), "/metrics");
  CHECK(plain.header("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  const Finished checked = piped(plain.body, "promtool check metrics");
  CAPTURE(checked.out, checked.err);
  CHECK(checked.status == 0);
  CHECK((checked.out + checked.err).empty());
  const Scraped scraped(plain.body, Scraped::Format::Prometheus);
  CHECK(eventually([&] {
    return Scraped(http(port.v4(), "/metrics").body, Scraped::Format::Prometheus)
               .sum("weir_sessions_total", {{"pool", "web"}, {"end", "done"}}) == 4;
  }));
  const auto rules = source_path("conf/prometheus/rules.yml").string();
  CHECK(run_program({"promtool", "check", "rules", rules}).status == 0);
  const TempDir dir;
  write_file(dir.file("test.yml"),
             std::regex_replace(read_file(source_path("tests/prometheus/rules_test.yml")),
                                std::regex("RULES"), rules));
  const Finished tested = run_program({"promtool", "test", "rules", dir.file("test.yml")});
  CAPTURE(tested.out, tested.err);
  CHECK(tested.status == 0);
}

TEST_CASE("OpenMetrics is strictly that and comes compressed and by pool") {
  const FreePort port;
  Operated weir(lettered(2), with_web(port.v4()));
  REQUIRE(weir.letters(2) == "ab");
  const auto open =
      http(port.v4(), "/metrics", {.method = "GET", .host = "localhost", .headers = {kOpenMetrics}});
  CHECK(open.header("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK_NOTHROW(Scraped(open.body, Scraped::Format::OpenMetrics));
  const auto small =
      http(port.v4(), "/metrics?pool=web",
           {.method = "GET", .host = "localhost", .headers = {kOpenMetrics, "Accept-Encoding: gzip"}});
  CHECK(small.header("content-encoding") == "gzip");
  CHECK(small.body.size() < open.body.size() / 3);
  const Scraped scraped(weir::gunzip(small.body, 10'000'000).value(), Scraped::Format::OpenMetrics);
  CHECK(scraped.count("weir_backend_sessions", {{"pool", "web"}}) == 2);
  CHECK(http(port.v4(), "/metrics?pool=nobody").status == 404);
  CHECK(http(port.v4(), "/metrics", {.method = "POST"}).status == 403);
}

TEST_CASE("counters go on over reloads and upgrades") {
  const FreePort port;
  Upgradable weir(lettered(2), with_web(port.v4()));
  const auto scrape = [&] { return Scraped(http(port.v4(), "/metrics").body, Scraped::Format::Prometheus); };
  const auto ended = [&] { return scrape().sum("weir_sessions_total", {{"pool", "web"}, {"end", "done"}}); };
  REQUIRE(weir.rig().letters(6).size() == 6);
  REQUIRE(eventually([&] { return ended() == 6; }));
  const double connects = scrape().sum("weir_backend_connect_seconds_count");
  Stream held = weir.rig().connect();
  REQUIRE(held.recv_exact(1).size() == 1);
  REQUIRE(weir.cli({"reload"}).status == 0);
  CHECK(ended() == 6);
  weir.upgrade();
  CHECK(ended() == 6);
  CHECK(scrape().sum("weir_backend_connect_seconds_count") >= connects);
  REQUIRE(weir.rig().letters(3).size() == 3);
  CHECK(eventually([&] { return ended() == 9; }));
  // The session that the older process has kept is seen as long as it lasts, and counted when it has ended.
  CHECK(scrape().sum("weir_sessions_active") == 1);
  CHECK(scrape().sum("weir_backend_sessions", {{"pool", "web"}}) == 1);
  const double bytes = scrape().sum("weir_backend_bytes_to_backend_total");
  REQUIRE(held.echoes("12345"));
  CHECK(scrape().sum("weir_backend_bytes_to_backend_total") == bytes + 5);
  held.half_close();
  CHECK(eventually([&] { return ended() == 10; }));
  CHECK(scrape().sum("weir_session_duration_seconds_count") == 10);
}

TEST_CASE("Prometheus sees a Weir under load and its rules and the dashboard work on what it sees") {
  if (missing({"prometheus"})) return;
  const FreePort port;
  SimpleConfig config = with_web(port.v4());
  config.listener = "max_connections = 20\n";
  config.pool = "queue = 5\nqueue_timeout = \"100ms\"\nconnect_attempts = 2\n";
  Operated weir(lettered(3), config);
  weir.config.backends[2].more = "backup = true";
  for (auto& backend : weir.config.backends) backend.more += "\nmax_sessions = 15";
  REQUIRE(weir.reload().status == 0);
  const Prometheus prometheus(port.v4());
  PacedClients clients(weir.address(), 20ms);
  REQUIRE(prometheus.has("up{job=\"weir\"} == 1"));
  REQUIRE(clients.wait_for_more(50));
  CHECK(prometheus.has("rate(weir_sessions_total{end=\"done\"}[20s]) > 0"));
  // Sessions near the limit, and clients refused.
  {
    std::vector<Stream> held;
    for (int i = 0; i < 19; ++i)
      held.push_back(weir.connect({.source = client_source(static_cast<std::size_t>(i))}));
    CHECK(prometheus.fires("WeirSessionsNearLimit"));
  }
  const std::string open_to_all = weir.config.listener;
  weir.config.listener += "deny = [\"127.0.0.0/8\"]\n";
  REQUIRE(weir.reload().status == 0);
  CHECK(prometheus.fires("WeirRefuses"));
  weir.config.listener = open_to_all;
  REQUIRE(weir.reload().status == 0);
  // What is wrong, and is said so.
  weir.backend(0).stop_listening();
  CHECK(prometheus.fires("WeirBackendDown"));
  weir.backend(1).stop_listening();
  CHECK(prometheus.fires("WeirBackupsInUse"));
  weir.backend(2).stop_listening();
  CHECK(prometheus.fires("WeirPoolDown"));
  const std::string good = weir.config.pool;
  weir.config.pool = "nonsense = 1\n";
  REQUIRE(weir.reload().status == 1);
  CHECK(prometheus.fires("WeirReloadFailed"));
  weir.config.pool = good;
  REQUIRE(weir.reload().status == 0);
  CHECK(prometheus.has("weir_config_last_reload_successful == 1"));
  const auto dashboard = json::parse(read_file(source_path("conf/grafana/weir.json")));
  const auto queries = queries_of(dashboard);
  CHECK(queries.size() > 20);
  for (const std::string& query : queries) {
    CAPTURE(query);
    CHECK(prometheus.has(query));
  }
  clients.stop();
  CAPTURE(prometheus.log());
  CHECK(prometheus.has("sum_over_time(up[10m]) >= 30 / " + std::string(kSanitized ? "2" : "0.5")));
  CHECK(prometheus.query("count(up == 0)").empty());
}
