#include "lb/control/config_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <unordered_set>

#include "lb/base/byte_rate.h"
#include "lb/base/log.h"

namespace weir {

namespace {

std::string shown(Millis value) {
  return format_duration(value);
}
std::string shown(bool value) {
  return value ? "true" : "false";
}
std::string shown(const std::string& value) {
  return quoted(value);
}
template <class T>
requires std::is_integral_v<T> std::string shown(T value) {
  return fmt::format("{}", value);
}
std::string shown(double value) {
  return fmt::format("{}", value);
}
std::string shown(Admin value) {
  return std::string(to_string(value));
}
std::string shown(BusyPoll value) {
  return std::string(to_string(value));
}
std::string shown(SendProxy value) {
  return std::string(to_string(value));
}
std::string shown(OnAllDown value) {
  return value == OnAllDown::TryAll ? "try_all" : "refuse";
}
std::string shown(ClientPreface value) {
  return value == ClientPreface::Postgres ? "postgres" : "off";
}
std::string shown(WhenDown value) {
  return value == WhenDown::Close ? "close" : "refuse";
}
std::string shown(OnBackendDown value) {
  return value == OnBackendDown::Close ? "close" : "leave";
}
std::string shown(LogFormat value) {
  return std::string(to_string(value));
}
std::string shown(LogLevel value) {
  constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};
  return std::string(kLevels[static_cast<std::size_t>(value)]);
}
std::string shown(const Address& value) {
  return value.to_string();
}
std::string shown(const std::optional<Address>& value) {
  return value ? value->to_string() : "none";
}
std::string shown(const std::pair<std::uint16_t, std::uint16_t>& range) {
  return fmt::format("{}-{}", range.first, range.second);
}
std::string shown(const ExpectStep& step) {
  std::string out;
  const auto part = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out += fmt::format("{}{}={}", out.empty() ? "" : ",", name, quoted(value));
  };
  part("send", step.send);
  part("expect", step.expect);
  part("reject", step.reject);
  return "{" + out + "}";
}
std::string shown(const Network& value) {
  return value.to_string();
}
std::string shown(const std::array<std::uint8_t, 2>& prefix) {
  return fmt::format("{},{}", prefix[0], prefix[1]);
}
std::string shown(const RouteTo& route);
template <class T>
std::string shown(const std::vector<T>& values) {
  // A list of a firewall's size is compared by whoever keeps it.
  constexpr std::size_t kMost = 32;
  if (values.size() > kMost) return fmt::format("({} of them)", values.size());
  std::string out;
  for (const T& value : values) out += (out.empty() ? "" : ",") + shown(value);
  return out.empty() ? "none" : out;
}

std::string shown(const RouteTo& route) {
  std::string out;
  const auto part = [&out](std::string_view name, const auto& values) {
    if (!values.empty()) out += fmt::format("{}={} ", name, shown(values));
  };
  part("sni", route.terms.names);
  part("alpn", route.terms.protocols);
  part("client", route.terms.clients);
  return fmt::format("{{{}to {}}}", out, route.pool);
}

std::string octal(std::optional<std::uint32_t> mode) {
  return mode ? fmt::format("{:04o}", *mode) : "unset";
}
std::string number(std::optional<std::uint32_t> id) {
  return id ? fmt::format("{}", *id) : "unset";
}

/// " key old→new" for each key that differs.
class Difference {
 public:
  template <class T>
  Difference& key(std::string_view name, const T& now, const T& next) {
    if (now != next) keys_.push_back({std::string(name), shown(now), shown(next)});
    return *this;
  }
  /// Without what the other says, too.
  Difference& less(const Difference& other) {
    std::erase_if(keys_,
                  [&](const Key& key) { return std::ranges::find(other.keys_, key) != other.keys_.end(); });
    return *this;
  }
  std::string text() const {
    std::string out;
    for (const Key& key : keys_) out += fmt::format(" {} {}→{}", key.name, key.now, key.next);
    return out;
  }
  /// (key, what it becomes)
  std::vector<std::pair<std::string, std::string>> next() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const Key& key : keys_) out.emplace_back(key.name, key.next);
    return out;
  }

 private:
  struct Key {
    std::string name, now, next;
    friend bool operator==(const Key&, const Key&) = default;
  };
  std::vector<Key> keys_;
};

/// The names that both have come in the same order.
bool same_order(const PoolConfig& a, const PoolConfig& b) {
  std::unordered_set<std::string_view> of_a, of_b;
  for (const auto& backend : a.backends) of_a.insert(backend.name);
  for (const auto& backend : b.backends) of_b.insert(backend.name);
  auto at = a.backends.begin();
  for (const auto& backend : b.backends) {
    if (!of_a.contains(backend.name)) continue;
    while (!of_b.contains(at->name)) ++at;
    if (at->name != backend.name) return false;
    ++at;
  }
  return true;
}

Difference compare(const ProbeConfig& now, const ProbeConfig& next) {
  return Difference()
      .key("health.probe", now.kind, next.kind)
      .key("health.interval", now.interval, next.interval)
      .key("health.fast_interval", now.fast_interval, next.fast_interval)
      .key("health.timeout", now.timeout, next.timeout)
      .key("health.rise", now.rise, next.rise)
      .key("health.fall", now.fall, next.fall)
      .key("health.eject_after", now.eject_after, next.eject_after)
      .key("health.eject_for", now.eject_for, next.eject_for)
      .key("health.eject_for_at_most", now.eject_for_at_most, next.eject_for_at_most)
      .key("health.address", now.address, next.address)
      .key("health.port", now.port, next.port)
      .key("health.agent_port", now.agent_port, next.agent_port)
      .key("health.send_proxy", now.send_proxy, next.send_proxy)
      .key("health.send", now.send, next.send)
      .key("health.expect", now.expect, next.expect)
      .key("health.reject", now.reject, next.reject)
      .key("health.steps", now.steps, next.steps)
      .key("health.https", now.https, next.https)
      .key("health.path", now.path, next.path)
      .key("health.host", now.host, next.host)
      .key("health.status", now.status, next.status)
      .key("health.body", now.body, next.body)
      .key("health.command", now.command, next.command)
      .key("health.user", now.user, next.user)
      .key("health.database", now.database, next.database)
      .key("health.role", now.role, next.role)
      .key("health.verify", now.verify, next.verify)
      .key("health.ca_file", now.ca_file, next.ca_file)
      .key("health.min_days_left", now.min_days_left, next.min_days_left);
}

}  // namespace

std::string difference_of(const PoolConfig& now, const PoolConfig& next) {
  return Difference()
             .key("balance", now.balance, next.balance)
             .key("connect_timeout", now.connect_timeout, next.connect_timeout)
             .key("connect_attempts", now.connect_attempts, next.connect_attempts)
             .key("idle_timeout", now.idle_timeout, next.idle_timeout)
             .key("half_close_timeout", now.half_close_timeout, next.half_close_timeout)
             .key("on_all_down", now.on_all_down, next.on_all_down)
             .key("on_backend_down", now.on_backend_down, next.on_backend_down)
             .key("source", now.source, next.source)
             .key("send_proxy", now.send_proxy, next.send_proxy)
             .key("queue", now.queue, next.queue)
             .key("queue_timeout", now.queue_timeout, next.queue_timeout)
             .key("hedge_after", now.hedge_after, next.hedge_after)
             .key("hash_bound", now.hash_bound, next.hash_bound)
             .key("rebalance", now.rebalance, next.rebalance)
             .key("max_lifetime", now.max_lifetime, next.max_lifetime)
             .key("rate_to_client", format_byte_rate(now.rate_to_client),
                  format_byte_rate(next.rate_to_client))
             .key("rate_to_backend", format_byte_rate(now.rate_to_backend),
                  format_byte_rate(next.rate_to_backend))
             .key("congestion_control", now.congestion_control, next.congestion_control)
             .key("slow_start", now.slow_start, next.slow_start)
             .text() +
         compare(now.probe, next.probe).text() + (same_order(now, next) ? "" : " the order of its backends");
}

std::string difference_of(const BackendConfig& now, const PoolConfig& pool_now, const BackendConfig& next,
                          const PoolConfig& pool_next) {
  std::string own = Difference()
                        .key("weight", now.weight, next.weight)
                        .key("max_sessions", now.max_sessions, next.max_sessions)
                        .key("admin", now.admin, next.admin)
                        .key("backup", now.backup, next.backup)
                        .text();
  if (!now.probe && !next.probe) return own;
  return own + compare(pool_now.probe_of(now), pool_next.probe_of(next))
                   .less(compare(pool_now.probe, pool_next.probe))
                   .text();
}

std::vector<std::pair<std::string, std::string>> own_probe_keys(const PoolConfig& pool,
                                                                const BackendConfig& backend) {
  if (!backend.probe) return {};
  return compare(pool.probe, *backend.probe).next();
}

std::string difference_of(const ListenerConfig& now, const ListenerConfig& next) {
  return Difference()
      .key("bind", now.bind, next.bind)
      .key("pool", now.pool, next.pool)
      .key("max_connections", now.max_connections, next.max_connections)
      .key("congestion_control", now.congestion_control, next.congestion_control)
      .key("proxy_from", now.door.proxy_from, next.door.proxy_from)
      .key("allow", now.door.allow, next.door.allow)
      .key("deny", now.door.deny, next.door.deny)
      .key("allow_file", now.door.allow_file, next.door.allow_file)
      .key("deny_file", now.door.deny_file, next.door.deny_file)
      .key("header_timeout", now.door.header_timeout, next.door.header_timeout)
      .key("sessions_per_client", now.door.sessions_per_client, next.door.sessions_per_client)
      .key("new_sessions_per_client", now.door.new_sessions_per_client, next.door.new_sessions_per_client)
      .key("new_sessions", now.door.new_sessions, next.door.new_sessions)
      .key("burst", now.door.burst, next.door.burst)
      .key("unlimited", now.door.unlimited, next.door.unlimited)
      .key("client_prefix", shown(now.door.client_prefix), shown(next.door.client_prefix))
      .key("preface", now.door.preface, next.door.preface)
      .key("route", now.door.routes, next.door.routes)
      .key("when_down", now.when_down, next.when_down)
      .key("mode", octal(now.mode), octal(next.mode))
      .key("owner", number(now.owner), number(next.owner))
      .key("group", number(now.group), number(next.group))
      .key("ready", now.ready, next.ready)
      .text();
}

std::vector<std::string> global_differences(const Config& now, const Config& next) {
  std::vector<std::string> out;
  const auto say = [&](const Difference& one) {
    if (!one.text().empty()) out.push_back(one.text().substr(1));
  };
  const auto count = [](std::optional<std::uint64_t> most) {
    return most ? fmt::format("{}", *most) : "automatic";
  };
  if (now.max_connections != next.max_connections)
    out.push_back(
        fmt::format("max_connections {}→{}", count(now.max_connections), count(next.max_connections)));
  say(Difference().key("busy_poll", now.busy_poll, next.busy_poll));
  say(Difference().key("shutdown_grace", now.shutdown_grace, next.shutdown_grace));
  say(Difference().key("state_file", now.state_file, next.state_file));
  say(Difference().key("admin.upgrade", std::string(now.admin.any_upgrade ? "any" : "same"),
                       std::string(next.admin.any_upgrade ? "any" : "same")));
  say(Difference().key("log.level", now.log.level, next.log.level));
  say(Difference().key("log.format", now.log.format, next.log.format));
  say(Difference().key("log.daemon", now.log.daemon, next.log.daemon));
  say(Difference().key("log.access", now.log.access, next.log.access));
  say(Difference().key("log.sample", fmt::format("1/{}", now.log.sample),
                       fmt::format("1/{}", next.log.sample)));
  say(Difference().key("web.bind", now.web.bind, next.web.bind));
  say(Difference().key("web.hosts", now.web.hosts, next.web.hosts));
  say(Difference().key("web.token_file", now.web.token_file, next.web.token_file));
  if (now.web.token_file == next.web.token_file && now.web.token != next.web.token)
    out.push_back("web.token_file holds another token");
  return out;
}

}  // namespace weir
