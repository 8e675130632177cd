#include "lb/control/config_difference.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "lb/config/keys.h"

using namespace weir;

namespace {

/// The names of the keys in " balance a→b health.fall 3→5".
std::set<std::string> names_in(const std::string& difference) {
  std::set<std::string> out;
  std::string word;
  std::string previous;
  for (const char c : difference + " ") {
    if (c != ' ') {
      word += c;
      continue;
    }
    if (word.find("→") != std::string::npos) out.insert(previous);
    previous = word;
    word.clear();
  }
  return out;
}

Address address(const char* text) {
  return Address::parse_ip_port(text).value();
}

PoolConfig another_pool() {
  PoolConfig out;
  out.balance = "source_hash";
  out.connect_timeout = Millis(1);
  out.connect_attempts = 9;
  out.idle_timeout = Millis(1);
  out.half_close_timeout = Millis(1);
  out.on_all_down = OnAllDown::TryAll;
  out.on_backend_down = OnBackendDown::Close;
  out.slow_start = Millis(1);
  out.queue = 9;
  out.queue_timeout = Millis(1);
  out.hedge_after = Millis(3);
  out.hash_bound = 2;
  out.rebalance = "7/m";
  out.max_lifetime = Millis(1);
  out.rate_to_client = out.rate_to_backend = 9'000;
  out.congestion_control = "reno";
  out.source = {address("127.0.0.1:1")};
  out.send_proxy = SendProxy::V2;
  out.probe = {.kind = "exec",
               .interval = Millis(1),
               .fast_interval = Millis(1),
               .timeout = Millis(1),
               .rise = 9,
               .fall = 9,
               .eject_after = 9,
               .eject_for = Millis(1),
               .eject_for_at_most = Millis(1),
               .port = 9,
               .agent_port = 9,
               .send_proxy = false,
               .address = {},
               .send = "x",
               .expect = "x",
               .reject = "x",
               .steps = {{.expect = "x"}},
               .https = true,
               .path = "/x",
               .host = "x",
               .status = {{1, 2}},
               .body = "x",
               .command = {"/x"},
               .user = "x",
               .database = "x",
               .role = "x",
               .verify = false,
               .ca_file = "/x",
               .min_days_left = 9,
               .source = out.source};
  return out;
}

std::set<std::string> keys_of(const TableKeys& table, const std::string& prefix,
                              const std::set<std::string>& without) {
  std::set<std::string> out;
  for (const std::string_view key : table.keys)
    if (!without.contains(std::string(key))) out.insert(prefix + std::string(key));
  return out;
}

}  // namespace

TEST_CASE("every key of the file that a reload changes is told with what it was and what it becomes") {
  auto of_pool = keys_of(pool_keys(), "", {"name", "health", "backend"});
  of_pool.merge(keys_of(health_keys(), "health.", {}));
  CHECK(names_in(difference_of(PoolConfig(), another_pool())) == of_pool);
  BackendConfig backend;
  backend.weight = 9;
  backend.admin = Admin::Drained;
  backend.backup = true;
  backend.max_sessions = 9;
  PoolConfig pool = another_pool();
  pool.probe.address = address("127.0.0.1:1");
  backend.probe = pool.probe;
  auto of_backend = keys_of(backend_keys(), "", {"name", "address", "health"});
  of_backend.merge(keys_of(backend_health_keys(), "health.", {}));
  CHECK(names_in(difference_of(BackendConfig(), PoolConfig(), backend, PoolConfig())) == of_backend);
  ListenerConfig listener;
  listener.bind = {address("127.0.0.1:1")};
  listener.pool = "x";
  listener.max_connections = 9;
  listener.congestion_control = "reno";
  listener.ready = false;
  listener.when_down = WhenDown::Close;
  listener.mode = 0600;
  listener.owner = 1;
  listener.group = 2;
  const Network network = Network::parse("10.0.0.0/8").value();
  listener.door = {.proxy_from = {network},
                   .allow = {network},
                   .deny = {network},
                   .allow_file = "/x",
                   .deny_file = "/x",
                   .header_timeout = Millis(1),
                   .sessions_per_client = 9,
                   .new_sessions_per_client = "9/s",
                   .new_sessions = "9/s",
                   .burst = 9,
                   .unlimited = {network},
                   .client_prefix = {24, 48},
                   .routes = {{{.names = {"x"}, .protocols = {}, .clients = {}}, "x"}},
                   .preface = ClientPreface::Postgres};
  CHECK(names_in(difference_of(ListenerConfig(), listener)) == keys_of(listener_keys(), "", {"name"}));
  Config config;
  config.max_connections = 9;
  config.busy_poll = BusyPoll::Off;
  config.shutdown_grace = Millis(1);
  config.state_file = "x";
  config.admin.any_upgrade = true;
  config.log = {.level = LogLevel::Error,
                .format = LogFormat::Json,
                .access = "off",
                .daemon = "syslog:",
                .sample = 100};
  config.web = {.bind = {address("127.0.0.1:1")}, .hosts = {"x"}, .token_file = "/x", .token = "y"};
  std::set<std::string> of_globals;
  for (const auto& line : global_differences(Config(), config)) of_globals.merge(names_in(" " + line));
  CHECK(of_globals == std::set<std::string>{"max_connections", "busy_poll", "shutdown_grace", "state_file",
                                            "admin.upgrade", "log.level", "log.format", "log.daemon",
                                            "log.access", "log.sample", "web.bind", "web.hosts",
                                            "web.token_file"});
}

TEST_CASE("of a backend's own probe only what its pool's difference does not say is told") {
  PoolConfig now, next;
  next.probe.interval = Millis(5000);
  BackendConfig own_now, own_next;
  own_now.probe = now.probe;
  ProbeConfig probe = next.probe;
  probe.port = 9000;
  own_next.probe = probe;
  CHECK(difference_of(own_now, now, own_next, next) == " health.port 0→9000");
  CHECK(difference_of(BackendConfig(), now, own_next, next) == " health.port 0→9000");
  CHECK(difference_of(own_next, next, BackendConfig(), next) == " health.port 9000→0");
  CHECK(difference_of(BackendConfig(), now, BackendConfig(), next).empty());
}

TEST_CASE("values are told as they would be written") {
  PoolConfig now, next;
  next.connect_timeout = Millis(500);
  next.probe.fall = 5;
  CHECK(difference_of(now, next) == " connect_timeout 2s→500ms health.fall 3→5");
  CHECK(difference_of(now, now).empty());
  PoolConfig steps;
  steps.probe.steps = {{.send = "a b", .expect = "c"}, {.expect = "d", .reject = "e"}};
  CHECK(difference_of(PoolConfig(), steps) ==
        " health.steps none→{send=\"a b\",expect=c},{expect=d,reject=e}");
}
