#include "lb/control/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lb/base/log.h"
#include "lb/control/registry_state.h"

namespace weir {

namespace {

constexpr std::string_view kNotProbed = "not probed";
constexpr std::string_view kNoProbeYet = "no probe has finished yet";
constexpr std::string_view kMaintenance = "not probed while disabled";
constexpr std::string_view kNotResolvedYet = "its name has not been resolved yet";

bool probed(const PoolEntry& pool) {
  return pool.config.probe.kind != "none";
}

/// All that Pool::build depends on.
bool same(const Backend& a, const Backend& b) {
  return a.load == b.load && a.endpoint == b.endpoint && a.addresses == b.addresses && a.weight == b.weight &&
         a.configured_weight == b.configured_weight && a.backup == b.backup && a.admin == b.admin &&
         a.health == b.health && a.life == b.life && a.on_trial == b.on_trial &&
         a.share_percent == b.share_percent;
}

PoolSettings settings_of(const PoolConfig& config) {
  return {.name = config.name,
          .balance = config.balance,
          .connect_timeout = config.connect_timeout,
          .connect_attempts = config.connect_attempts,
          .idle_timeout = config.idle_timeout,
          .half_close_timeout = config.half_close_timeout,
          .try_all_when_down = config.on_all_down == OnAllDown::TryAll,
          .close_sessions_when_down = config.on_backend_down == OnBackendDown::Close};
}

/// Probes quote what backends say: one transition stays one line.
std::string one_line(const std::string& text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  return std::any_of(text.begin(), text.end(), control) ? quoted(text) : text;
}

void log_transition(const PoolEntry& pool, const Entry& entry, Health old) {
  daemon_log().log(entry.health == Health::Down ? spdlog::level::warn : spdlog::level::info, "{} {} → {}: {}",
                   format_key(pool.config.name, entry.file.name), to_string(old), to_string(entry.health),
                   one_line(entry.reason));
}

}  // namespace

std::string format_key(std::string_view pool, std::string_view backend) {
  return fmt::format("{}/{}", pool, backend);
}

Registry::Registry(std::uint32_t workers, Publish publish, RegistryClock clock)
    : state_(std::make_unique<State>(workers, std::move(publish), std::move(clock))) {}

Registry::~Registry() = default;

void Registry::restore(Overrides overrides) {
  state_->overrides = std::move(overrides);
  // Saved by a Weir that did not yet note it.
  for (auto& [key, said] : state_->overrides)
    if (said.admin && said.admin_since == decltype(said.admin_since){})
      said.admin_since = std::chrono::floor<Millis>(state_->clock.system());
}

const std::shared_ptr<const Config>& Registry::config() const {
  return state_->config;
}

const std::shared_ptr<const Table>& Registry::table() const {
  return state_->table;
}

const Overrides& Registry::overrides() const {
  return state_->overrides;
}

const ProbeConfig* Registry::probe(std::string_view pool) const {
  const auto* found = state_->find_pool(pool);
  return found != nullptr ? &found->config.probe : nullptr;
}

ListenerLoad& Registry::listener_load(std::string_view listener, std::string_view pool) {
  auto& slot = state_->listener_loads[{std::string(listener), std::string(pool)}];
  if (!slot) slot = std::make_unique<ListenerLoad>(std::string(listener), std::string(pool), state_->workers);
  return *slot;
}

std::vector<BackendId> Registry::set_health(const std::vector<HealthReport>& reports) {
  std::set<PoolEntry*> changed;
  std::vector<BackendId> down;
  for (const HealthReport& report : reports) {
    PoolEntry* const pool = state_->take_report(report);
    if (pool == nullptr) continue;
    changed.insert(pool);
    if (report.health == Health::Down) down.push_back(report.id);
  }
  bool rebuilt = false;
  for (PoolEntry* const pool : changed) rebuilt = state_->rebuild(*pool) || rebuilt;
  if (rebuilt) state_->publish_table();
  return down;
}

void Registry::set_addresses(BackendId id, std::vector<Address> addresses, std::string reason) {
  PoolEntry* pool = nullptr;
  Entry* entry = state_->find_entry(id, &pool);
  if (entry == nullptr) return;
  const bool was_resolved = !entry->addresses.empty();
  if (!addresses.empty()) {
    entry->addresses = std::move(addresses);
    if (!was_resolved) state_->forget_health(*pool, *entry);
  } else if (was_resolved) {
    daemon_log().warn("{} keeps its addresses: {} does not resolve: {}",
                      format_key(pool->config.name, entry->file.name), entry->file.endpoint.host,
                      one_line(reason));
  } else {
    state_->change_health(*pool, *entry, Health::Unknown,
                          fmt::format("{} does not resolve: {}", entry->file.endpoint.host, reason), false);
  }
  state_->refresh(*pool);
}

std::optional<Millis> Registry::next_step() const {
  const auto now = state_->clock.steady();
  std::optional<Millis> soonest;
  for (const auto& pool : state_->pools) {
    for (const auto& entry : pool.entries) {
      if (!entry.slow_start) continue;
      const auto due = std::chrono::ceil<Millis>(entry.slow_start->next(now) - now);
      soonest = std::min(soonest.value_or(due), due);
    }
  }
  return soonest ? std::optional(std::max(*soonest, Millis(0))) : std::nullopt;
}

void Registry::tick() {
  state_->refresh();
}

PoolEntry* Registry::State::take_report(const HealthReport& report) {
  PoolEntry* pool = nullptr;
  Entry* const entry = find_entry(report.id, &pool);
  // A verdict that was under way when its health was forgotten says nothing about what comes after.
  if (entry == nullptr || entry->life != report.life) return nullptr;
  if (admin(*pool, *entry) == Admin::Disabled || entry->addresses.empty()) return nullptr;
  if (report.transition) {
    change_health(*pool, *entry, report.health, report.reason, report.on_trial);
    return pool;
  }
  if (report.health == entry->health) entry->reason = report.reason;
  return nullptr;
}

PoolEntry* Registry::State::find_pool(std::string_view name) {
  const auto found = std::find_if(pools.begin(), pools.end(), [&](auto& p) { return p.config.name == name; });
  return found != pools.end() ? &*found : nullptr;
}

Entry* Registry::State::find_entry(BackendId id, PoolEntry** pool) {
  for (auto& candidate : pools) {
    for (auto& entry : candidate.entries) {
      if (entry.load->id != id || entry.out) continue;
      *pool = &candidate;
      return &entry;
    }
  }
  return nullptr;
}

const Override* Registry::State::override_of(const PoolEntry& pool, const Entry& entry) const {
  const auto found = overrides.find({pool.config.name, entry.file.name});
  return found != overrides.end() ? &found->second : nullptr;
}

Admin Registry::State::admin(const PoolEntry& pool, const Entry& entry) const {
  const auto* said = override_of(pool, entry);
  return said != nullptr && said->admin ? *said->admin : entry.file.admin;
}

std::uint32_t Registry::State::weight(const PoolEntry& pool, const Entry& entry) const {
  const auto* said = override_of(pool, entry);
  return said != nullptr && said->weight ? *said->weight : entry.file.weight;
}

Backend Registry::State::backend(const PoolEntry& pool, const Entry& entry) const {
  Backend out;
  out.name = entry.file.name;
  out.endpoint = entry.file.endpoint;
  out.addresses = entry.addresses;
  out.weight = weight(pool, entry);
  out.configured_weight = entry.file.weight;
  out.backup = entry.file.backup;
  out.admin = admin(pool, entry);
  out.health = entry.health;
  out.on_trial = entry.on_trial;
  out.share_percent = entry.slow_start ? entry.slow_start->share_percent(clock.steady()) : 100;
  out.reason = entry.reason;
  out.since = entry.since;
  out.life = entry.life;
  out.load = entry.load;
  return out;
}

bool Registry::State::rebuild(PoolEntry& pool) {
  const auto now = clock.steady();
  std::vector<Backend> backends;
  backends.reserve(pool.entries.size());
  for (auto& entry : pool.entries) {
    if (entry.slow_start && entry.slow_start->over(now)) entry.slow_start.reset();
    if (!entry.out) backends.push_back(backend(pool, entry));
  }
  auto settings = settings_of(pool.config);
  if (pool.built && pool.built->settings() == settings &&
      std::equal(backends.begin(), backends.end(), pool.built->backends().begin(),
                 pool.built->backends().end(), same))
    return false;
  pool.built = Pool::build(std::move(settings), std::move(backends), pool.built.get());
  return true;
}

bool Registry::State::refresh(PoolEntry& pool) {
  if (!rebuild(pool)) return false;
  publish_table();
  return true;
}

bool Registry::State::refresh(bool always) {
  bool changed = always;
  for (auto& pool : pools) changed = rebuild(pool) || changed;
  if (changed) publish_table();
  return changed;
}

void Registry::State::publish_table() {
  auto next = std::make_shared<Table>();
  next->generation = table->generation + 1;
  next->pools.reserve(pools.size());
  for (const auto& pool : pools) next->pools.push_back(pool.built);
  table = std::move(next);
  if (publish) publish(table);
}

void Registry::State::forget_health(const PoolEntry& pool, Entry& entry) {
  std::string_view reason = kNoProbeYet;
  Health health = Health::Unknown;
  if (admin(pool, entry) == Admin::Disabled) {
    reason = kMaintenance;
  } else if (entry.addresses.empty()) {
    reason = kNotResolvedYet;
  } else if (!probed(pool)) {
    health = Health::Up;
    reason = kNotProbed;
  }
  entry.life = ++last_life;
  change_health(pool, entry, health, std::string(reason), false);
}

void Registry::State::change_health(const PoolEntry& pool, Entry& entry, Health health, std::string reason,
                                    bool on_trial) {
  const Health old = std::exchange(entry.health, health);
  const bool first_word = entry.reason.empty();
  entry.on_trial = on_trial;
  entry.reason = std::move(reason);
  if (health != old || first_word) entry.since = clock.system();
  if (health != Health::Up) entry.slow_start.reset();
  if (health == Health::Down || on_trial) entry.recovering = true;
  if (health == Health::Up && !on_trial && std::exchange(entry.recovering, false) &&
      pool.config.slow_start > Millis(0))
    entry.slow_start = SlowStart{clock.steady(), pool.config.slow_start};
  if (health != old && !first_word) log_transition(pool, entry, old);
}

void Registry::State::leave(const PoolEntry& pool, const Entry& entry) {
  std::erase_if(leavers, [](const Leaver& leaver) { return leaver.last.load->active == 0; });
  leavers.push_back({backend(pool, entry)});
}

std::shared_ptr<BackendLoad> Registry::State::identity(const std::string& pool,
                                                       const BackendConfig& backend) {
  // One that comes back while its last sessions still run is the same backend.
  for (auto it = leavers.begin(); it != leavers.end(); ++it) {
    const auto load = it->last.load;
    if (load->pool != pool || load->name != backend.name || load->address != backend.endpoint.text) continue;
    leavers.erase(it);
    return load;
  }
  return std::make_shared<BackendLoad>(++last_id, pool, backend.name, backend.endpoint.text, workers);
}

Entry Registry::State::make_entry(const PoolEntry& pool, const BackendConfig& backend) {
  Entry entry;
  entry.file = backend;
  entry.admin_since = clock.system();
  entry.load = identity(pool.config.name, backend);
  entry.rate = RateWindow(clock.steady(), total_sessions(*entry.load));
  if (backend.endpoint.address) entry.addresses = {*backend.endpoint.address};
  forget_health(pool, entry);
  return entry;
}

}  // namespace weir
