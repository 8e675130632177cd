#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lb/base/log.h"
#include "lb/control/registry.h"

namespace weir::test {

using namespace std::chrono_literals;

inline BackendConfig backend(const std::string& name, const std::string& address, std::uint32_t weight = 1) {
  BackendConfig out;
  out.name = name;
  out.endpoint = parse_endpoint(address).value();
  out.weight = weight;
  return out;
}

inline PoolConfig pool(const std::string& name, std::vector<BackendConfig> backends,
                       const std::string& probe = "tcp") {
  PoolConfig out;
  out.name = name;
  out.backends = std::move(backends);
  out.probe.kind = probe;
  return out;
}

inline std::shared_ptr<Config> config(std::vector<PoolConfig> pools) {
  auto out = std::make_shared<Config>();
  out->pools = std::move(pools);
  ListenerConfig listener;
  listener.name = "front";
  listener.bind = {Address::parse_ip_port("0.0.0.0:8080").value()};
  listener.pool = out->pools.front().name;
  out->listeners = {listener};
  return out;
}

/// A Registry with a clock that is ticked by hand.
struct Fixture {
  Fixture() { daemon_log().set_level(spdlog::level::off); }

  std::chrono::steady_clock::time_point now{1h};
  std::vector<std::shared_ptr<const Table>> published;
  Registry registry{
      2,
      [this](auto table) { published.push_back(std::move(table)); },
      {.steady = [this] { return now; },
       .system = [this] { return std::chrono::system_clock::time_point(now.time_since_epoch()); }},
      [] { return HostAddresses({Address::parse_ip_port("192.0.2.7:0").value()}); }};

  /// web1, web2, web3 at 10.0.0.1 to 3, port 80.
  static std::shared_ptr<Config> three(const std::string& probe = "tcp") {
    return config({pool(
        "web",
        {backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80"), backend("web3", "10.0.0.3:80")},
        probe)});
  }
  const Backend& at(const std::string& pool_name, const std::string& name) {
    return *registry.table()->find(pool_name)->find(name);
  }
  /// What the checker says of it now.
  HealthReport report(const std::string& pool_name, const std::string& name, Health health,
                      const std::string& reason) {
    const Backend& one = at(pool_name, name);
    return {.id = one.id(), .life = one.life, .health = health, .reason = reason};
  }
  void up(const std::string& pool_name, const std::string& name) {
    registry.set_health({report(pool_name, name, Health::Up, "probe passed")});
  }
  void down(const std::string& pool_name, const std::string& name) {
    registry.set_health({report(pool_name, name, Health::Down, "3 probes failed")});
  }
  /// The same health, for a new reason.
  void refresh(HealthReport same) {
    same.transition = false;
    registry.set_health({same});
  }
  BackendStatus status(const std::string& pool_name, const std::string& name) {
    return registry.status(pool_name, name).value().pools.at(0).backends.at(0);
  }
};

}  // namespace weir::test
