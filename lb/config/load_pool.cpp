#include <fmt/format.h>

#include <algorithm>

#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::uint32_t kMaxAttempts = 1000;
constexpr std::uint32_t kMaxWeight = 256;
/// Below this an idle timeout is warned of.
constexpr Millis kShortIdleTimeout{5'000};

/// The name written, or the address when there is none and it can be a name. The place for duplicates.
Place read_backend_name(const TableReader& reader, bool address_good, BackendConfig& backend) {
  if (reader.has("name")) return read_name(reader, "name", backend.name);
  if (!address_good) return {};
  backend.name = backend.endpoint.text;
  if (backend.endpoint.address && backend.endpoint.address->is_unix()) {
    reader.missing("name",
                   fmt::format("a backend on a unix socket ({}) needs one", shown(backend.endpoint.text)));
    return {};
  }
  if (!name_problem(backend.name).empty()) {
    reader.missing("name", fmt::format("the address {} is too long to be one", shown(backend.endpoint.text)));
    return {};
  }
  return reader.place("address");
}

void read_weight(const TableReader& reader, const toml::table& table, BackendConfig& backend) {
  const toml::node* node = table.get("weight");
  if (node != nullptr && node->value_exact<std::int64_t>() == 0)
    reader.findings().fault(place_of(*node),
                            fmt::format("pool.backend.weight = 0: must be 1 to {}; for a backend without new "
                                        "sessions write admin = \"drained\"",
                                        kMaxWeight));
  else
    reader.integer("weight", 1, kMaxWeight, backend.weight);
}

/// What listens at another port or address serves something else.
void settle_header(SendProxy of_sessions, ProbeConfig& probe) {
  const bool own_port = probe.port == 0 && !probe.address;
  probe.header = probe.send_proxy && own_port ? of_sessions : SendProxy::Off;
}

void read_probe_of_backend(const TableReader& reader, const PoolConfig& pool, bool kind_known,
                           BackendConfig& backend) {
  const toml::table* const health =
      reader.table("health", "[pool.backend.health] below its [[pool.backend]]");
  if (health == nullptr) return;
  ProbeConfig probe = pool.probe;
  read_backend_health(reader.findings(), *health, kind_known, probe);
  settle_header(pool.send_proxy, probe);
  for (const auto& [key, number] :
       {std::pair("port", probe.port), std::pair("agent_port", probe.agent_port)}) {
    const toml::node* const port = health->get(key);
    if (port != nullptr && backend.endpoint.address && backend.endpoint.address->is_unix())
      reader.findings().warn(place_of(*port),
                             fmt::format("pool.backend.health.{} = {}: has no effect on {}, which is on a "
                                         "unix socket",
                                         key, number, shown(backend.name)));
  }
  backend.probe = std::move(probe);
}

void read_backend(Findings& findings, const toml::table& table, bool kind_known, PoolConfig& pool,
                  PoolPlaces& pool_places) {
  constexpr std::string_view kAdmins[] = {to_string(Admin::Enabled), to_string(Admin::Drained),
                                          to_string(Admin::Disabled)};
  const TableReader reader(findings, table, backend_keys());
  BackendConfig backend;
  BackendPlaces places;
  std::string address;
  if (reader.string("address", address)) {
    if (auto endpoint = parse_endpoint(address)) {
      backend.endpoint = std::move(*endpoint);
      places.address = reader.place("address");
    } else {
      reader.wrong("address", address, endpoint.error().message);
    }
  } else if (!reader.has("address")) {
    reader.missing("address", "ip:port, [v6]:port, host:port, unix:/path or unix:@name");
  }
  places.name = read_backend_name(reader, static_cast<bool>(places.address), backend);
  read_weight(reader, table, backend);
  reader.integer("max_sessions", 0, kMaxSessions, backend.max_sessions);
  reader.boolean("backup", backend.backup);
  if (std::size_t admin = 0; reader.choice("admin", "state", kAdmins, admin))
    backend.admin = static_cast<Admin>(admin);
  read_probe_of_backend(reader, pool, kind_known, backend);
  pool.backends.push_back(std::move(backend));
  pool_places.backends.push_back(places);
}

/// Whoever has no limit gets every session, and those behind it none.
void warn_of_first_without_limits(const TableReader& reader, const PoolConfig& pool) {
  if (pool.balance != "first") return;
  for (std::size_t i = 0; i < pool.backends.size(); ++i) {
    const BackendConfig& backend = pool.backends[i];
    const bool any_behind =
        std::any_of(pool.backends.begin() + static_cast<std::ptrdiff_t>(i) + 1, pool.backends.end(),
                    [&](const BackendConfig& other) { return other.backup == backend.backup; });
    if (backend.max_sessions != 0 || !any_behind) continue;
    return reader.findings().warn(
        reader.place("balance"),
        fmt::format("pool {}: balance = \"first\" gives {} every session, since it has no max_sessions",
                    shown(pool.name), shown(backend.name)));
  }
}

/// What is valid and surely not meant.
void warn_of_rash_policies(const TableReader& reader, const PoolConfig& pool) {
  if (reader.has("idle_timeout") && pool.idle_timeout < kShortIdleTimeout)
    reader.findings().warn(
        reader.place("idle_timeout"),
        fmt::format("pool.idle_timeout = \"{}\" resets every session that says nothing for so short a time",
                    format_duration(pool.idle_timeout)));
  const bool only_backups =
      !pool.backends.empty() && std::ranges::all_of(pool.backends, &BackendConfig::backup);
  const bool limited = std::ranges::any_of(
      pool.backends, [](const BackendConfig& backend) { return backend.max_sessions != 0; });
  if (reader.has("hash_bound") && pool.hash_bound != 0 && pool.balance != "source_hash")
    reader.findings().warn(
        reader.place("hash_bound"),
        fmt::format("pool.hash_bound has no effect with balance = \"{}\": it bounds source_hash",
                    pool.balance));
  if (!pool.rebalance.empty() && pool.balance == "first")
    reader.findings().warn(
        reader.place("rebalance"),
        "pool.rebalance has no effect with balance = \"first\", which fills one backend after "
        "another");
  warn_of_first_without_limits(reader, pool);
  for (const std::string_view key : {"queue", "queue_timeout"})
    if (reader.has(key) && !limited)
      reader.findings().warn(reader.place(key),
                             fmt::format("pool.{} has no effect: no backend of pool {} has max_sessions", key,
                                         shown(pool.name)));
  if (only_backups)
    reader.findings().warn(
        reader.place("backend"),
        fmt::format("pool {} has only backups: they are used as if none were one", shown(pool.name)));
}

void read_policies(const TableReader& reader, PoolConfig& pool) {
  constexpr std::string_view kOnAllDown[] = {"refuse", "try_all"};
  constexpr std::string_view kOnBackendDown[] = {"leave", "close"};
  const auto& balancers = reader.findings().options().kinds.balancers;
  std::size_t word = 0;
  if (reader.choice("balance", "balancer", balancers, word)) pool.balance = balancers[word];
  if (reader.choice("on_all_down", "policy", kOnAllDown, word))
    pool.on_all_down = static_cast<OnAllDown>(word);
  if (reader.choice("on_backend_down", "policy", kOnBackendDown, word))
    pool.on_backend_down = static_cast<OnBackendDown>(word);
  constexpr std::string_view kSendProxy[] = {"off", "v1", "v2"};
  if (reader.choice("send_proxy", "version", kSendProxy, word))
    pool.send_proxy = static_cast<SendProxy>(word);
}

/// After connect_timeout and connect_attempts.
void read_hedging(const TableReader& reader, PoolConfig& pool) {
  reader.duration("hedge_after", Zero::Allowed, pool.hedge_after);
  if (pool.hedge_after == Millis(0)) return;
  if (pool.hedge_after >= pool.connect_timeout)
    reader.findings().fault(
        reader.place("hedge_after"),
        fmt::format(
            "pool.hedge_after = \"{}\": must be shorter than pool.connect_timeout ({}), or 0s for never",
            format_duration(pool.hedge_after), format_duration(pool.connect_timeout)));
  if (pool.connect_attempts == 1)
    reader.findings().warn(reader.place("hedge_after"),
                           "pool.hedge_after has no effect with connect_attempts = 1: a hedge is an attempt");
}

void read_source(const TableReader& reader, PoolConfig& pool) {
  std::vector<std::string> texts;
  std::vector<Place> places;
  reader.strings("source", texts, places);
  if (texts.empty()) return;
  Findings& findings = reader.findings();
  const auto& ask_host = findings.options().host_addresses;
  const HostAddresses host = ask_host ? ask_host() : HostAddresses();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto wrong = [&](std::string_view why) {
      findings.fault(places[i], value_fault(reader.path("source"), texts[i], why));
    };
    const bool v6 = texts[i].find(':') != std::string::npos;
    const auto ip = ClientAddress::parse_ip(texts[i]);
    const auto address = Address::parse_ip_port(v6 ? "[" + texts[i] + "]:0" : texts[i] + ":0");
    if (!ip || !address)
      wrong("must be an IP address of this host, without a port");
    else if (address->is_wildcard())
      wrong("is every address: leave it out, and the kernel chooses");
    else if (v6 && ip->ip().size() == 4)
      wrong("is IPv4 written as IPv6: write " + ip->ip_to_string());
    else if (std::ranges::find(pool.source, *address) != pool.source.end())
      wrong("is there twice");
    else {
      pool.source.push_back(*address);
      if (ask_host && !host.contains(*ip))
        findings.warn(places[i],
                      value_fault(reader.path("source"), texts[i], "this host has no such address"));
    }
  }
}

/// What a pool's probe says about backends on unix sockets is only known once both are read.
void warn_of_port_on_unix(const toml::table* health, Findings& findings, const PoolConfig& pool) {
  const toml::node* port = health != nullptr ? health->get("port") : nullptr;
  if (port == nullptr || pool.probe.port == 0) return;
  for (const BackendConfig& backend : pool.backends) {
    if (!backend.endpoint.address || !backend.endpoint.address->is_unix()) continue;
    if (backend.probe && (backend.probe->address || backend.probe->port != pool.probe.port)) continue;
    findings.warn(place_of(*port),
                  fmt::format("pool.health.port = {}: has no effect on \"{}\", which is on a unix socket",
                              pool.probe.port, backend.name));
    return;
  }
}

}  // namespace

void read_pool(Findings& findings, const toml::table& table, Draft& draft) {
  const TableReader reader(findings, table, pool_keys());
  PoolConfig pool;
  PoolPlaces places;
  places.table = reader.place();
  places.name = read_name(reader, "name", pool.name);
  read_policies(reader, pool);
  reader.duration("connect_timeout", Zero::Refused, pool.connect_timeout);
  reader.integer("connect_attempts", 1, kMaxAttempts, pool.connect_attempts);
  reader.duration("idle_timeout", Zero::Refused, pool.idle_timeout);
  reader.duration("half_close_timeout", Zero::Refused, pool.half_close_timeout);
  reader.integer("queue", 0, kMaxSessions, pool.queue);
  reader.duration("queue_timeout", Zero::Refused, pool.queue_timeout);
  read_hedging(reader, pool);
  reader.bound("hash_bound", pool.hash_bound);
  reader.rate("rebalance", pool.rebalance);
  reader.duration("max_lifetime", Zero::Allowed, pool.max_lifetime);
  if (reader.byte_rate("rate_to_client", pool.rate_to_client))
    places.rate_to_client = reader.place("rate_to_client");
  if (reader.byte_rate("rate_to_backend", pool.rate_to_backend))
    places.rate_to_backend = reader.place("rate_to_backend");
  reader.congestion_control("congestion_control", pool.congestion_control);
  reader.duration("slow_start", Zero::Allowed, pool.slow_start);
  read_source(reader, pool);
  const toml::table* health = reader.table("health", "[pool.health] below its [[pool]]");
  const bool kind_known = health == nullptr || read_health(findings, *health, pool.probe);
  pool.probe.source = pool.source;
  settle_header(pool.send_proxy, pool.probe);
  for (const toml::table* backend : reader.tables("backend", "[[pool.backend]] below its [[pool]]"))
    read_backend(findings, *backend, kind_known, pool, places);
  const toml::node* backends = table.get("backend");
  if (backends == nullptr || (backends->is_array() && backends->as_array()->empty()))
    findings.fault(
        reader.place("backend"),
        fmt::format("pool {} has no backend: write at least one [[pool.backend]]", shown(pool.name)));
  warn_of_port_on_unix(health, findings, pool);
  warn_of_rash_policies(reader, pool);
  draft.config->pools.push_back(std::move(pool));
  draft.pools.push_back(std::move(places));
}

}  // namespace weir
