#include "lb/config/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lb/base/nearest.h"
#include "lb/config/foreign_words.h"

namespace weir {
namespace {

constexpr std::string_view kRoot[] = {
    "workers", "max_connections", "shutdown_grace", "state_file", "admin", "log", "listener", "pool"};
constexpr std::string_view kAdmin[] = {"socket", "mode", "upgrade", "read_only_socket", "read_only_mode"};
constexpr std::string_view kLog[] = {"level", "access"};
constexpr std::string_view kListener[] = {"name", "bind", "pool", "max_connections", "ready"};
constexpr std::string_view kPool[] = {"name",
                                      "balance",
                                      "connect_timeout",
                                      "connect_attempts",
                                      "idle_timeout",
                                      "half_close_timeout",
                                      "on_all_down",
                                      "on_backend_down",
                                      "slow_start",
                                      "source",
                                      "health",
                                      "backend"};
constexpr std::string_view kHealth[] = {
    "probe",   "interval",     "fast_interval", "timeout",     "rise",      "fall",
    "port",    "send",         "expect",        "https",       "path",      "host",
    "status",  "body",         "command",       "eject_after", "eject_for", "eject_for_at_most",
    "reject",  "steps",        "user",          "database",    "role",      "verify",
    "ca_file", "min_days_left"};
constexpr std::string_view kStep[] = {"send", "expect", "reject"};
constexpr std::string_view kBackend[] = {"name", "address", "weight", "backup", "admin"};

constexpr TableKeys kTables[] = {
    {"", "the top level", kRoot},
    {"admin", "[admin]", kAdmin},
    {"log", "[log]", kLog},
    {"listener", "[[listener]]", kListener},
    {"pool", "[[pool]]", kPool},
    {"pool.health", "[pool.health]", kHealth},
    {"pool.backend", "[[pool.backend]]", kBackend},
    {"pool.health.steps", "pool.health.steps", kStep},
};

struct ProbeKey {
  std::string_view key;
  std::string_view kind;
};
constexpr ProbeKey kProbeKeys[] = {{"send", "expect"},
                                   {"expect", "expect"},
                                   {"reject", "expect"},
                                   {"steps", "expect"},
                                   {"https", "http"},
                                   {"path", "http"},
                                   {"host", "http"},
                                   {"host", "smtp"},
                                   {"host", "tls"},
                                   {"status", "http"},
                                   {"body", "http"},
                                   {"command", "exec"},
                                   {"user", "postgres"},
                                   {"user", "mysql"},
                                   {"database", "postgres"},
                                   {"role", "postgres"},
                                   {"role", "redis"},
                                   {"verify", "tls"},
                                   {"ca_file", "tls"},
                                   {"min_days_left", "tls"},
                                   {"eject_after", "none"},
                                   {"eject_for", "none"},
                                   {"eject_for_at_most", "none"}};
constexpr std::string_view kProbeKinds[] = {"tcp",   "http", "expect", "postgres", "mysql",
                                            "redis", "smtp", "tls",    "exec",     "none"};

}  // namespace

const TableKeys& root_keys() {
  return kTables[0];
}
const TableKeys& admin_keys() {
  return kTables[1];
}
const TableKeys& log_keys() {
  return kTables[2];
}
const TableKeys& listener_keys() {
  return kTables[3];
}
const TableKeys& pool_keys() {
  return kTables[4];
}
const TableKeys& health_keys() {
  return kTables[5];
}
const TableKeys& backend_keys() {
  return kTables[6];
}
const TableKeys& step_keys() {
  return kTables[7];
}
std::span<const TableKeys> all_tables() {
  return kTables;
}

std::string unknown_key_message(const TableKeys& table, std::string_view key) {
  const std::string_view dot = table.path.empty() ? "" : ".";
  const std::string unknown = fmt::format("unknown key \"{}{}{}\"", table.path, dot, key.substr(0, 128));
  const std::string_view own = own_word_for_key(key);
  if (!own.empty()) return fmt::format("{}: Weir's word for it is {}", unknown, own);
  const std::string_view best = nearest(key, table.keys);
  if (is_near(key, best)) return fmt::format("{}: did you mean \"{}\"?", unknown, best);
  for (const TableKeys& other : kTables) {
    const bool elsewhere = std::find(other.keys.begin(), other.keys.end(), key) != other.keys.end();
    if (elsewhere)
      return fmt::format("{}: it belongs to {}; the nearest key here is \"{}\"", unknown, other.header, best);
  }
  return fmt::format("{}: the nearest key here is \"{}\" (known: {})", unknown, best,
                     fmt::join(table.keys, ", "));
}

std::vector<std::string_view> probe_kinds_of(std::string_view key) {
  std::vector<std::string_view> kinds;
  for (const ProbeKey& known : kProbeKeys)
    if (known.key == key) kinds.push_back(known.kind);
  return kinds;
}

bool knows_probe_kind(std::string_view kind) {
  return std::find(std::begin(kProbeKinds), std::end(kProbeKinds), kind) != std::end(kProbeKinds);
}

}  // namespace weir
