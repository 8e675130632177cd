#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

TEST_CASE("a file of the least that is needed has every documented default") {
  const Config config = good(kListener + kPool + kBackend);
  CHECK(config.file == "f");
  CHECK(config.workers == 0);
  CHECK_FALSE(config.max_connections.has_value());
  CHECK(config.busy_poll == BusyPoll::Auto);
  CHECK(config.shutdown_grace == 30s);
  CHECK(config.state_file == "/var/lib/weir/state.json");
  CHECK_FALSE(config.state_file_given);
  CHECK(config.admin.socket == "/run/weir/weir.sock");
  CHECK_FALSE(config.admin.socket_given);
  CHECK(config.admin.mode == 0660);
  CHECK(config.log.level == LogLevel::Info);
  CHECK(config.log.access == "stdout");
  CHECK(config.web == WebConfig());
  REQUIRE(config.listeners.size() == 1);
  CHECK(config.listeners[0].max_connections == 0);
  CHECK(config.listeners[0].congestion_control.empty());
  REQUIRE(config.pools.size() == 1);
  const PoolConfig& pool = config.pools[0];
  CHECK(pool.balance == "round_robin");
  CHECK(pool.connect_timeout == 2s);
  CHECK(pool.connect_attempts == 3);
  CHECK(pool.idle_timeout == 10min);
  CHECK(pool.half_close_timeout == 30s);
  CHECK(pool.on_all_down == OnAllDown::Refuse);
  CHECK(pool.on_backend_down == OnBackendDown::Leave);
  CHECK(pool.slow_start == 0s);
  CHECK(pool.queue == 100);
  CHECK(pool.queue_timeout == 5s);
  CHECK(pool.hedge_after == 0s);
  CHECK(pool.hash_bound == 0);
  CHECK(pool.rebalance.empty());
  CHECK(pool.max_lifetime == 0s);
  CHECK(pool.rate_to_client == 0);
  CHECK(pool.rate_to_backend == 0);
  CHECK(pool.congestion_control.empty());
  CHECK(pool.probe.kind == "tcp");
  CHECK(pool.probe.interval == 2s);
  CHECK(pool.probe.fast_interval == 500ms);
  CHECK(pool.probe.timeout == 1s);
  CHECK(pool.probe.rise == 2);
  CHECK(pool.probe.fall == 3);
  CHECK(pool.probe.eject_after == 3);
  CHECK(pool.probe.eject_for == 1s);
  CHECK(pool.probe.eject_for_at_most == 30s);
  CHECK(pool.probe.port == 0);
  CHECK(pool.probe.path == "/");
  CHECK(pool.probe.status == std::vector<std::pair<std::uint16_t, std::uint16_t>>{{200, 399}});
  REQUIRE(pool.backends.size() == 1);
  CHECK(pool.backends[0].name == "10.0.0.1:80");
  CHECK(pool.backends[0].weight == 1);
  CHECK_FALSE(pool.backends[0].backup);
  CHECK(pool.backends[0].admin == Admin::Enabled);
  CHECK(pool.backends[0].max_sessions == 0);
}

TEST_CASE("every key is read") {
  const Config config = good(R"(
workers = 4
max_connections = 1000
busy_poll = "always"
shutdown_grace = "0s"
state_file = "/tmp/weir-state.json"
[admin]
socket = "/tmp/weir.sock"
mode = "0600"
read_only_socket = "/tmp/weir-look.sock"
read_only_mode = "0644"
upgrade = "any"
[log]
level = "warn"
format = "json"
daemon = "syslog:"
access = "/tmp/access.log"
sample = "1/100"
[web]
bind = ["127.0.0.1:9110", "unix:/tmp/weir-web.sock"]
hosts = ["Weir.example.org.", "*.lan"]
[[listener]]
name = "web"
bind = ["0.0.0.0:8080", "[::]:8080", "unix:/tmp/web.sock"]
pool = "web"
max_connections = 5
congestion_control = "reno"
[[pool]]
name = "web"
balance = "source_hash"
connect_timeout = "1.5s"
connect_attempts = 1
idle_timeout = "1h"
source = ["10.0.0.1", "2001:db8::1"]
half_close_timeout = "1ms"
on_all_down = "try_all"
on_backend_down = "close"
slow_start = "30s"
queue = 7
queue_timeout = "1s"
hedge_after = "150ms"
hash_bound = 1.25
rebalance = "5/s"
max_lifetime = "1h"
[pool.health]
probe = "http"
interval = "5s"
fast_interval = "1s"
timeout = "9s"
rise = 1
fall = 10
port = 8081
https = true
path = "/health?x=1"
host = "example.org"
status = "200, 204,300-302"
body = "fine"
[[pool.backend]]
name = "one"
address = "unix:/run/one.sock"
weight = 256
backup = true
admin = "drained"
[[pool.backend]]
address = "[2001:db8::1]:80"
admin = "disabled"
)");
  CHECK(config.workers == 4);
  CHECK(config.max_connections == 1000U);
  CHECK(config.busy_poll == BusyPoll::Always);
  CHECK(config.shutdown_grace == 0s);
  CHECK(config.state_file == "/tmp/weir-state.json");
  CHECK(config.state_file_given);
  CHECK(config.admin == AdminConfig{.socket = "/tmp/weir.sock",
                                    .mode = 0600,
                                    .socket_given = true,
                                    .read_only_socket = "/tmp/weir-look.sock",
                                    .read_only_mode = 0644,
                                    .any_upgrade = true});
  CHECK(config.log == LogConfig{.level = LogLevel::Warn,
                                .format = LogFormat::Json,
                                .access = "/tmp/access.log",
                                .daemon = "syslog:",
                                .sample = 100});
  REQUIRE(config.web.bind.size() == 2);
  CHECK(config.web.bind[1].to_string() == "unix:/tmp/weir-web.sock");
  CHECK(config.web.hosts == std::vector<std::string>{"weir.example.org", "*.lan"});
  const ListenerConfig& listener = config.listeners.at(0);
  REQUIRE(listener.bind.size() == 3);
  CHECK(listener.bind[1].to_string() == "[::]:8080");
  CHECK(listener.bind[2].to_string() == "unix:/tmp/web.sock");
  CHECK(listener.max_connections == 5);
  CHECK(listener.congestion_control == "reno");
  const PoolConfig& pool = config.pools.at(0);
  CHECK(pool.balance == "source_hash");
  CHECK(pool.connect_timeout == 1500ms);
  CHECK(pool.connect_attempts == 1);
  CHECK(pool.idle_timeout == 1h);
  REQUIRE(pool.source.size() == 2);
  CHECK(pool.source[0].to_string() == "10.0.0.1:0");
  CHECK(pool.source[1].to_string() == "[2001:db8::1]:0");
  CHECK(pool.probe.source == pool.source);
  CHECK(pool.half_close_timeout == 1ms);
  CHECK(pool.on_all_down == OnAllDown::TryAll);
  CHECK(pool.on_backend_down == OnBackendDown::Close);
  CHECK(pool.slow_start == 30s);
  CHECK(pool.queue == 7);
  CHECK(pool.queue_timeout == 1s);
  CHECK(pool.hedge_after == 150ms);
  CHECK(pool.hash_bound == 1.25);
  CHECK(pool.rebalance == "5/s");
  CHECK(pool.max_lifetime == 1h);
  CHECK(pool.probe.kind == "http");
  CHECK(pool.probe.interval == 5s);
  CHECK(pool.probe.fast_interval == 1s);
  CHECK(pool.probe.timeout == 9s);
  CHECK(pool.probe.rise == 1);
  CHECK(pool.probe.fall == 10);
  CHECK(pool.probe.port == 8081);
  CHECK(pool.probe.https);
  CHECK(pool.probe.path == "/health?x=1");
  CHECK(pool.probe.host == "example.org");
  CHECK(pool.probe.body == "fine");
  CHECK(pool.probe.status ==
        std::vector<std::pair<std::uint16_t, std::uint16_t>>{{200, 200}, {204, 204}, {300, 302}});
  CHECK(pool.backends.at(0).name == "one");
  CHECK(pool.backends[0].weight == 256);
  CHECK(pool.backends[0].backup);
  CHECK(pool.backends[0].admin == Admin::Drained);
  CHECK(pool.backends.at(1).name == "[2001:db8::1]:80");
  CHECK(pool.backends[1].admin == Admin::Disabled);
}

TEST_CASE("an expect probe and an exec probe have their own keys") {
  const auto expect =
      good(with_health("probe = \"expect\"\nsend = \"PING\\r\\n\"\nexpect = \"+PONG\"")).pools.at(0);
  CHECK(expect.probe.send == "PING\r\n");
  CHECK(expect.probe.expect == "+PONG");
  const auto exec = good(with_health("probe = \"exec\"\ncommand = [\"/bin/sh\", \"\", \"x y\"]")).pools.at(0);
  CHECK(exec.probe.command == std::vector<std::string>{"/bin/sh", "", "x y"});
}

TEST_CASE("several pools keep their order and their own health") {
  const Config config = good(kListener + kPool + kBackend +
                             "[[pool]]\nname = \"b\"\nhealth.fall = 7\nbackend = [{address = \"h:1\"}]\n"
                             "[[listener]]\nname = \"b\"\nbind = \"127.0.0.1:81\"\npool = \"b\"\n");
  REQUIRE(config.pools.size() == 2);
  CHECK(config.pools[0].probe.fall == 3);
  CHECK(config.pools[1].probe.fall == 7);
  CHECK(config.pools[1].backends.at(0).endpoint.host == "h");
  REQUIRE(config.find_pool("b") == &config.pools[1]);
  CHECK(config.find_pool("c") == nullptr);
}

TEST_CASE("the default fast interval is never longer than the interval") {
  const LoadResult result = parse(with_health("interval = \"200ms\""));
  REQUIRE(result.config != nullptr);
  CHECK(result.config->pools[0].probe.fast_interval == 200ms);
  CHECK(result.warnings.empty());
}

TEST_CASE("a file with a byte order mark and Windows line ends is read") {
  CHECK(good("\xEF\xBB\xBF[[listener]]\r\nname = \"web\"\r\nbind = \"127.0.0.1:8080\"\r\npool = \"web\"\r\n" +
             kPool + kBackend)
            .pools.size() == 1);
}

TEST_CASE("rates of sessions are read, where both sides are TCP") {
  const Config config = good(R"(
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
pool = "web"
[[pool]]
name = "web"
rate_to_client = "1MiB"
rate_to_backend = "500KB"
congestion_control = "reno"
[[pool.backend]]
address = "10.0.0.1:80"
max_sessions = 12
)");
  CHECK(config.pools.at(0).rate_to_client == 1'048'576);
  CHECK(config.pools.at(0).rate_to_backend == 500'000);
  CHECK(config.pools.at(0).congestion_control == "reno");
  CHECK(config.pools.at(0).backends.at(0).max_sessions == 12);
}
