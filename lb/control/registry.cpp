// What the Registry knows, and the Table that it makes of it.
#include "lb/control/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/control/registry_state.h"

namespace weir {

namespace {

/// All that Pool::build depends on.
bool same(const Backend& a, const Backend& b) {
  return a.load == b.load && a.endpoint == b.endpoint && a.addresses == b.addresses && a.weight == b.weight &&
         a.configured_weight == b.configured_weight && a.max_sessions == b.max_sessions &&
         a.backup == b.backup && a.admin == b.admin && a.health == b.health && a.life == b.life &&
         a.on_trial == b.on_trial && a.agent_out == b.agent_out && a.unprobed == b.unprobed &&
         a.share_percent == b.share_percent && a.undecided == b.undecided && a.stand_in == b.stand_in;
}

PoolSettings settings_of(const PoolConfig& config) {
  return {.name = config.name,
          .balance = config.balance,
          .connect_timeout = config.connect_timeout,
          .connect_attempts = config.connect_attempts,
          .idle_timeout = config.idle_timeout,
          .half_close_timeout = config.half_close_timeout,
          .try_all_when_down = config.on_all_down == OnAllDown::TryAll,
          .close_sessions_when_down = config.on_backend_down == OnBackendDown::Close,
          .send_proxy = config.send_proxy,
          .source = config.source,
          .queue = config.queue,
          .queue_timeout = config.queue_timeout,
          .hedge_after = config.hedge_after,
          .terms = {.hash_bound = config.hash_bound},
          .rebalance = parse_rate(config.rebalance, 0).value_or(Rate()),
          .max_lifetime = config.max_lifetime,
          .rate_to_client = config.rate_to_client,
          .rate_to_backend = config.rate_to_backend,
          .congestion_control = config.congestion_control};
}

/// Of two limits, each 0 for none.
std::uint32_t most_sessions(std::uint32_t a, std::uint32_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

}  // namespace

std::string format_key(std::string_view pool, std::string_view backend) {
  return fmt::format("{}/{}", pool, backend);
}

Registry::Registry(std::uint32_t workers, Publish publish, RegistryClock clock,
                   std::function<HostAddresses()> host, Events* events)
    : state_(
          std::make_unique<State>(workers, std::move(publish), std::move(clock), std::move(host), events)) {}

void Registry::State::tell(spdlog::level::level_enum level, Event::Kind kind, std::string_view pool,
                           std::string_view backend, std::string text, const std::string& by) const {
  if (!publish) return;
  Event event{.time = clock.system(),
              .kind = kind,
              .pool = std::string(pool),
              .backend = std::string(backend),
              .text = std::move(text),
              .by = by};
  if (events != nullptr) return events->tell(level, std::move(event));
  Events().tell(level, std::move(event));
}

Registry::~Registry() = default;

void Registry::restore(Overrides overrides) {
  state_->words.restore(std::move(overrides), state_->clock.system());
}

const std::shared_ptr<const Config>& Registry::config() const {
  return state_->config;
}

const std::shared_ptr<const Table>& Registry::table() const {
  return state_->table;
}

const Overrides& Registry::overrides() const {
  return state_->words.all();
}

std::vector<Watch> Registry::watched() const {
  std::vector<Watch> out;
  const auto watch = [&](const Backend& backend, std::uint32_t against, const ProbeConfig& probe,
                         const AgentState& agent) {
    out.push_back({.id = backend.id(),
                   .pool = backend.load->pool,
                   .name = backend.name,
                   .addresses = backend.addresses,
                   .probe = probe,
                   .probing = backend.admin != Admin::Disabled,
                   .life = backend.life,
                   .health = backend.health,
                   .against = against,
                   .agent = agent,
                   .load = backend.load});
  };
  for (const auto& pool : state_->members.pools)
    for (const auto& entry : pool.entries)
      if (!entry.out)
        watch(state_->backend(pool, entry), entry.standing.against, pool.probe_of(entry), entry.agent);
  for (const auto& [id, leaver] : state_->leavers.all())
    if (leaver.stands_in)
      watch(leaver.now(state_->clock.steady()), leaver.standing.against, leaver.probe, {});
  return out;
}

ListenerLoad& Registry::listener_load(std::string_view listener, std::string_view pool) {
  return state_->listener_loads.get(listener, pool);
}

std::optional<Millis> Registry::next_step() const {
  const auto now = state_->clock.steady();
  std::optional<Millis> soonest;
  for (const auto& pool : state_->members.pools) {
    for (const auto& entry : pool.entries) {
      if (!entry.standing.slow_start) continue;
      const auto due = std::chrono::ceil<Millis>(entry.standing.slow_start->next(now) - now);
      soonest = std::min(soonest.value_or(due), due);
    }
  }
  return soonest ? std::optional(std::max(*soonest, Millis(0))) : std::nullopt;
}

void Registry::tick() {
  state_->refresh();
}

std::optional<Registry::State::Subject> Registry::State::find(BackendId id) {
  if (const auto member = members.find(id))
    return Subject{&member->entry->standing, member->pool, nullptr, member->entry};
  Leaver* const leaver = leavers.find(id);
  if (leaver == nullptr || !leaver->stands_in) return std::nullopt;
  return Subject{&leaver->standing, nullptr, &leaver->last, nullptr};
}

Admin Registry::State::admin(const Subject& subject) const {
  return subject.entry != nullptr ? admin(*subject.pool, *subject.entry) : subject.left->admin;
}

Backend Registry::State::backend(const PoolEntry& pool, const Entry& entry) const {
  Backend out;
  out.name = entry.file.name;
  out.endpoint = entry.file.endpoint;
  out.weight = weight(pool, entry);
  out.configured_weight = entry.file.weight;
  out.max_sessions = entry.file.max_sessions;
  out.backup = entry.file.backup;
  out.admin = admin(pool, entry);
  out.load = entry.load;
  describe_standing(out, entry.standing, clock.steady());
  out.unprobed = !pool.probes(entry);
  if (pool.has_agent(entry)) {
    const AgentState& agent = entry.agent;
    out.agent_out = !agent.serves();
    out.share_percent = std::max(1U, out.share_percent * agent.weight_percent / 100);
    out.max_sessions = most_sessions(entry.file.max_sessions, agent.max_sessions);
  }
  out.undecided = out.admin == Admin::Enabled && out.health == Health::Unknown && !out.unprobed &&
                  entry.standing.no_address.empty();
  return out;
}

const std::shared_ptr<PoolLoad>& Registry::State::pool_load(const std::string& name) {
  auto& load = pool_loads[name];
  if (load == nullptr) load = std::make_shared<PoolLoad>(static_cast<std::uint32_t>(pool_loads.size()), name);
  return load;
}

std::uint32_t Registry::State::elsewhere(const BackendLoad& load) const {
  if (active_elsewhere.empty()) return 0;
  const auto found = active_elsewhere.find({load.pool, load.name, load.address});
  return found != active_elsewhere.end() ? found->second : 0;
}

bool Registry::State::rebuild(PoolEntry& pool) {
  const auto now = clock.steady();
  std::vector<Backend> backends;
  backends.reserve(pool.entries.size());
  for (auto& entry : pool.entries) {
    auto& slow_start = entry.standing.slow_start;
    if (slow_start && slow_start->over(now)) slow_start.reset();
    entry.load->set_active_elsewhere(elsewhere(*entry.load));
    Backend now_as = backend(pool, entry);
    entry.load->set_max_sessions(now_as.max_sessions);
    if (!entry.out) backends.push_back(std::move(now_as));
  }
  if (!pool.stand_ins.empty() && !wants_stand_ins(pool)) {
    pool.stand_ins.clear();
    leavers.tidy(all_stand_ins(), now);
  }
  for (Backend& stand_in : stand_ins(pool)) backends.push_back(std::move(stand_in));
  auto settings = settings_of(pool.config);
  if (pool.built && pool.built->settings() == settings &&
      std::equal(backends.begin(), backends.end(), pool.built->backends().begin(),
                 pool.built->backends().end(), same))
    return false;
  pool.built = Pool::build(std::move(settings), std::move(backends), pool.built.get(), pool.load);
  judge(pool);
  return true;
}

void Registry::State::judge(PoolEntry& pool) {
  const PoolVerdict verdict = verdict_of(*pool.built);
  const PoolVerdict old = std::exchange(pool.verdict, verdict);
  const bool first = pool.verdict_since == std::chrono::system_clock::time_point();
  if (first || verdict != old) pool.verdict_since = clock.system();
  // That a pool has come up for the first time is no news.
  if (verdict == old || (old == PoolVerdict::Unknown && verdict == PoolVerdict::Ok)) return;
  tell(verdict == PoolVerdict::Ok ? spdlog::level::info : spdlog::level::warn, Event::Kind::Verdict,
       pool.config.name, "",
       fmt::format("{} → {}: {}", to_string(old), to_string(verdict), count_of_up(*pool.built)));
}

bool Registry::State::refresh(PoolEntry* wanted) {
  bool changed = false;
  for (auto& pool : members.pools)
    if (&pool == wanted || !pool.stand_ins.empty()) changed = rebuild(pool) || changed;
  if (changed) publish_table();
  return changed;
}

bool Registry::State::refresh(bool always) {
  bool changed = always;
  for (auto& pool : members.pools) changed = rebuild(pool) || changed;
  if (changed) publish_table();
  return changed;
}

void Registry::State::publish_table() {
  std::vector<std::shared_ptr<const Pool>> pools;
  pools.reserve(members.pools.size());
  for (const auto& pool : members.pools) pools.push_back(pool.built);
  table = std::make_shared<const Table>(table->generation + 1, std::move(pools));
  if (publish) publish(table);
}

void Registry::State::leave(const PoolEntry& pool, const Entry& entry) {
  Leaver leaver{.last = backend(pool, entry),
                .probe = pool.probe_of(entry),
                .standing = entry.standing,
                .left = clock.steady(),
                .stands_in = false};
  // Nobody has looked since it went out of rotation or into maintenance.
  if (entry.out || leaver.last.admin == Admin::Disabled) leaver.standing.health = Health::Unknown;
  departed.add(leaver.last.load, clock.steady());
  leavers.add(std::move(leaver));
}

HealthBook Registry::State::health_book() const {
  HealthBook book;
  for (const auto& pool : members.pools)
    for (const auto& entry : pool.entries)
      if (!entry.out && admin(pool, entry) != Admin::Disabled)
        book.note(pool.config.name, entry.file.name, entry.file.endpoint, pool.probe_of(entry),
                  entry.standing);
  const auto now = clock.steady();
  for (const auto& [id, leaver] : leavers.all())
    if (leaver.stands_in || now - leaver.left <= Leavers::kRemembered)
      book.note(leaver.pool(), leaver.last.name, leaver.last.endpoint, leaver.probe, leaver.standing);
  return book;
}

Entry Registry::State::make_entry(PoolEntry& pool, const BackendConfig& backend, const HealthBook& book) {
  const auto& name = pool.config.name;
  Entry entry;
  entry.file = backend;
  entry.admin_since = clock.system();
  const auto left = leavers.take_back(name, backend.name, backend.endpoint.text);
  if (left) departed.take_back(left->last.load->id);
  entry.load = left ? left->last.load
                    : std::make_shared<BackendLoad>(++last_id, name, backend.name, backend.endpoint.text,
                                                    workers, pool.load);
  entry.rate = RateWindow(clock.steady(), total_sessions(*entry.load));
  const auto* known = pool.probes(entry) && admin(pool, entry) != Admin::Disabled
                          ? book.find(name, backend.name, backend.endpoint, pool.probe_of(entry))
                          : nullptr;
  if (known == nullptr) {
    if (backend.endpoint.address) entry.standing.addresses = {*backend.endpoint.address};
    forget_health(pool, entry);
    return entry;
  }
  entry.standing = *known;
  // One that the checker watches goes on in its life; any other begins one, with what is known.
  if (!left || !left->stands_in) entry.standing.life = ++last_life;
  if (pool.config.slow_start == Millis(0)) entry.standing.slow_start.reset();
  return entry;
}

}  // namespace weir
