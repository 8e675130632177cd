#include "lb/config/load.h"

#include <charconv>
#include <optional>

#include "lb/base/file.h"
#include "lb/config/draft.h"

namespace weir {
namespace {

LoadResult only_fault(Place place, const std::string& message, const LoadOptions& options) {
  Findings findings(options);
  findings.fault(place, message);
  return findings.finish();
}

/// "1/100" is 100; nothing for anything else.
std::optional<std::uint32_t> parse_sample(std::string_view text) {
  constexpr std::uint32_t kMostSample = 999'999;
  constexpr std::string_view kOneIn = "1/";
  if (!text.starts_with(kOneIn)) return std::nullopt;
  text.remove_prefix(kOneIn.size());
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kMostSample)
    return std::nullopt;
  return value;
}

void read_log(Findings& findings, const toml::table& table, Draft& draft) {
  constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};
  const TableReader reader(findings, table, log_keys());
  LogConfig& log = draft.config->log;
  std::size_t level = 0;
  if (reader.choice("level", "log level", kLevels, level)) log.level = static_cast<LogLevel>(level);
  constexpr std::string_view kFormats[] = {"text", "json"};
  if (std::size_t format = 0; reader.choice("format", "log format", kFormats, format))
    log.format = static_cast<LogFormat>(format);
  if (reader.string("daemon", log.daemon)) draft.daemon_log = reader.place("daemon");
  if (reader.string("access", log.access)) draft.access = reader.place("access");
  if (std::string sample; reader.string("sample", sample)) {
    if (const auto one_in = parse_sample(sample))
      log.sample = *one_in;
    else
      reader.wrong("sample", sample,
                   "must be \"1/N\", N from 1 to 999999: of good endings one in N is written");
  }
}

void read_admin(Findings& findings, const toml::table& table, Draft& draft) {
  const TableReader reader(findings, table, admin_keys());
  AdminConfig& admin = draft.config->admin;
  if (reader.string("socket", admin.socket)) {
    admin.socket_given = true;
    draft.admin_socket = reader.place("socket");
  }
  reader.file_mode("mode", admin.mode);
  if (reader.string("read_only_socket", admin.read_only_socket))
    draft.read_only_socket = reader.place("read_only_socket");
  reader.file_mode("read_only_mode", admin.read_only_mode);
  constexpr std::string_view kUpgrades[] = {"same", "any"};
  if (std::size_t upgrade = 0; reader.choice("upgrade", "upgrade rule", kUpgrades, upgrade))
    admin.any_upgrade = upgrade == 1;
}

void read_root(Findings& findings, const toml::table& root, Draft& draft) {
  const TableReader reader(findings, root, root_keys());
  Config& config = *draft.config;
  reader.integer("workers", 0, kMaxWorkers, config.workers);
  if (std::uint64_t most = 0; reader.integer("max_connections", 1, kMaxSessions, most)) {
    config.max_connections = most;
    draft.max_connections = reader.place("max_connections");
  }
  constexpr std::string_view kBusyPolls[] = {"auto", "off", "always"};
  if (std::size_t how = 0; reader.choice("busy_poll", "way of polling", kBusyPolls, how))
    config.busy_poll = static_cast<BusyPoll>(how);
  reader.duration("shutdown_grace", Zero::Allowed, config.shutdown_grace);
  if (reader.string("state_file", config.state_file)) {
    config.state_file_given = true;
    draft.state_file = reader.place("state_file");
  }
  if (const auto* admin = reader.table("admin", "[admin]")) read_admin(findings, *admin, draft);
  if (const auto* log = reader.table("log", "[log]")) read_log(findings, *log, draft);
  if (const auto* web = reader.table("web", "[web]")) read_web(findings, *web, draft);
  for (const toml::table* table : reader.tables("listener", "[[listener]]"))
    read_listener(findings, *table, draft);
  for (const toml::table* table : reader.tables("pool", "[[pool]]")) read_pool(findings, *table, draft);
  const toml::node* listeners = root.get("listener");
  if (listeners == nullptr || (listeners->is_array() && listeners->as_array()->empty()))
    findings.fault(reader.place("listener"),
                   "no listener: write at least one [[listener]] with name, bind and pool");
}

}  // namespace

LoadResult load_config(const std::string& path, const LoadOptions& options) {
  const auto text = read_file(path, kMaxConfigBytes, options.patience);
  if (!text) return only_fault({}, text.error().message, options);
  return parse_config(*text, path, options);
}

LoadResult parse_config(std::string_view text, const std::string& path, const LoadOptions& options) {
  const auto root = parse_toml(text, path);
  if (!root)
    return only_fault({.line = root.error().line, .column = root.error().column}, root.error().message,
                      options);
  Findings findings(options);
  Draft draft;
  draft.config->file = path;
  draft.config->text = text;
  draft.config->admin.socket = options.places.admin_socket;
  draft.config->state_file = options.places.state_file;
  read_root(findings, *root, draft);
  validate(findings, draft, options);
  LoadResult result = findings.finish();
  if (!result.faults.empty()) return result;
  draft.config->written = result.written;
  result.config = std::move(draft.config);
  return result;
}

const PoolConfig* Config::find_pool(std::string_view name) const {
  for (const PoolConfig& pool : pools)
    if (pool.name == name) return &pool;
  return nullptr;
}

}  // namespace weir
