#include <fmt/format.h>

#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::uint32_t kMaxAttempts = 1000;
constexpr std::uint32_t kMaxWeight = 256;

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

void read_backend(Findings& findings, const toml::table& table, PoolConfig& pool, PoolPlaces& pool_places) {
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
    reader.missing("address", "ip:port, [v6]:port, host:port or unix:/path");
  }
  places.name = read_backend_name(reader, static_cast<bool>(places.address), backend);
  reader.integer("weight", 1, kMaxWeight, backend.weight);
  reader.boolean("backup", backend.backup);
  if (std::size_t admin = 0; reader.choice("admin", "state", kAdmins, admin))
    backend.admin = static_cast<Admin>(admin);
  pool.backends.push_back(std::move(backend));
  pool_places.backends.push_back(places);
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
}

/// What a pool's probe says about backends on unix sockets is only known once both are read.
void warn_of_port_on_unix(const toml::table* health, Findings& findings, const PoolConfig& pool) {
  const toml::node* port = health != nullptr ? health->get("port") : nullptr;
  if (port == nullptr || pool.probe.port == 0) return;
  for (const BackendConfig& backend : pool.backends) {
    if (!backend.endpoint.address || !backend.endpoint.address->is_unix()) continue;
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
  reader.duration("slow_start", Zero::Allowed, pool.slow_start);
  const toml::table* health = reader.table("health", "[pool.health] below its [[pool]]");
  if (health != nullptr) read_health(findings, *health, pool.probe);
  for (const toml::table* backend : reader.tables("backend", "[[pool.backend]] below its [[pool]]"))
    read_backend(findings, *backend, pool, places);
  const toml::node* backends = table.get("backend");
  if (backends == nullptr || (backends->is_array() && backends->as_array()->empty()))
    findings.fault(
        reader.place("backend"),
        fmt::format("pool {} has no backend: write at least one [[pool.backend]]", shown(pool.name)));
  warn_of_port_on_unix(health, findings, pool);
  draft.config->pools.push_back(std::move(pool));
  draft.pools.push_back(std::move(places));
}

}  // namespace weir
