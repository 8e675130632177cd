#include "lb/balance/table.h"

#include <fmt/format.h>

#include <utility>

#include "lb/base/counted.h"
#include "lb/base/error.h"

namespace weir {
namespace {

constexpr std::string_view kUsedAlthough = "; used although ";

/// Takes away what an earlier build has said.
void forget_exceptions(Backend& backend) {
  backend.last_resort = false;
  if (!std::exchange(backend.used_although_down, false)) return;
  const std::size_t added = backend.reason.rfind(kUsedAlthough);
  if (added != std::string::npos) backend.reason.resize(added);
}

bool any_eligible(const std::vector<Backend>& backends) {
  return std::any_of(backends.begin(), backends.end(), [](const Backend& b) { return b.eligible(); });
}

bool is_in_rotation(const Backend& backend) {
  return backend.eligible() && !backend.for_one_session();
}

bool is_tried_by_another(const Backend& backend) {
  return backend.for_one_session() && backend.load->trial_taken.load(std::memory_order_relaxed);
}

bool is_held_back(const Backend& backend) {
  return backend.unprobed && backend.admin == Admin::Enabled && !backend.agent_out &&
         !backend.addresses.empty() && !backend.last_resort &&
         (backend.health == Health::Down || backend.on_trial);
}

void use_as_last_resort(std::vector<Backend>& backends) {
  for (Backend& backend : backends)
    backend.last_resort = backend.unprobed && (backend.health == Health::Down || backend.on_trial);
}

void use_although_down(std::vector<Backend>& backends) {
  for (Backend& backend : backends) {
    if (backend.admin != Admin::Enabled || backend.agent_out || backend.addresses.empty()) continue;
    backend.used_although_down = true;
    backend.reason += fmt::format("{}{} (on_all_down = try_all)", kUsedAlthough, to_string(backend.health));
  }
}

}  // namespace

void settle_exceptions(const PoolSettings& settings, std::vector<Backend>& backends) {
  for (Backend& backend : backends) forget_exceptions(backend);
  if (std::ranges::none_of(backends, is_in_rotation)) use_as_last_resort(backends);
  if (settings.try_all_when_down && !any_eligible(backends)) use_although_down(backends);
}

void BackendGroup::build(const PoolSettings& settings, const std::vector<Backend>& backends, bool backups,
                         const BackendGroup* previous) {
  const BalancerKind* const kind = find_balancer_kind(settings.balance);
  WEIR_CHECK(kind != nullptr);
  std::vector<Member> members;
  for (BackendIndex i = 0; i < backends.size(); ++i) {
    const Backend& backend = backends[i];
    if (backend.backup != backups) continue;
    const bool on_trial = backend.eligible() && backend.for_one_session();
    if (on_trial) trials_.push_back({i, backend.id(), backend.load.get()});
    members.push_back({i, backend.id(), backend.name, backend.weight, backend.share_percent,
                       backend.eligible() && !on_trial, backend.max_sessions != 0, backend.load.get()});
  }
  rotation_ = kind->build(members, settings.terms, previous != nullptr ? previous->rotation_.get() : nullptr);
  if (trials_.empty()) return;
  for (Member& member : members) member.eligible = member.eligible || find_trial(member.index) != nullptr;
  with_trials_ = kind->build(members, settings.terms, rotation_.get());
}

const BackendGroup::Trial* BackendGroup::find_trial(BackendIndex index) const {
  const auto found = std::ranges::find(trials_, index, &Trial::index);
  return found != trials_.end() ? &*found : nullptr;
}

bool BackendGroup::has_free_trial(const PickInput& input) const {
  return std::ranges::any_of(trials_, [&](const Trial& trial) {
    return !trial.load->trial_taken.load(std::memory_order_relaxed) && !input.has_tried(trial.id) &&
           trial.load->has_room();
  });
}

std::optional<BackendIndex> BackendGroup::pick(const PickInput& input) const {
  if (with_trials_ != nullptr && has_free_trial(input)) {
    if (const auto index = with_trials_->pick(input)) {
      const Trial* const trial = find_trial(*index);
      if (trial != nullptr && !trial->load->trial_taken.exchange(true)) return index;
    }
  }
  return rotation_->pick(input);
}

std::optional<BackendIndex> BackendGroup::explain(const PickInput& input,
                                                  std::vector<std::string>& because) const {
  if (with_trials_ != nullptr && has_free_trial(input)) {
    std::vector<std::string> steps;
    const auto index = with_trials_->explain(input, steps);
    const Trial* const trial = index ? find_trial(*index) : nullptr;
    if (trial != nullptr && !trial->load->trial_taken.load(std::memory_order_relaxed)) {
      because.insert(because.end(), steps.begin(), steps.end());
      because.push_back(fmt::format("{} is on trial: this session alone would try it", trial->load->name));
      return index;
    }
  }
  return rotation_->explain(input, because);
}

std::shared_ptr<const Pool> Pool::build(PoolSettings settings, std::vector<Backend> backends,
                                        const Pool* previous, std::shared_ptr<PoolLoad> load) {
  const std::shared_ptr<Pool> pool(new Pool);
  pool->settings_ = std::move(settings);
  pool->load_ = std::move(load);
  pool->backends_ = std::move(backends);
  for (const Backend& backend : pool->backends_) WEIR_CHECK(backend.load != nullptr);
  settle_exceptions(pool->settings_, pool->backends_);
  pool->by_id_.reserve(pool->backends_.size());
  for (BackendIndex i = 0; i < pool->backends_.size(); ++i)
    pool->by_id_.emplace_back(pool->backends_[i].id(), i);
  std::sort(pool->by_id_.begin(), pool->by_id_.end());
  pool->any_eligible_ = weir::any_eligible(pool->backends_);
  pool->any_undecided_ = std::any_of(pool->backends_.begin(), pool->backends_.end(),
                                     [](const Backend& b) { return b.undecided && !b.eligible(); });

  for (BackendIndex i = 0; i < pool->backends_.size(); ++i) {
    const Backend& backend = pool->backends_[i];
    const bool held_back = is_held_back(backend);
    if (held_back) pool->held_back_.push_back(i);
    if (backend.max_sessions != 0 && (held_back || backend.eligible())) pool->limited_.push_back(i);
  }
  WEIR_CHECK(pool->limited_.empty() || pool->load_ != nullptr);

  const bool same_kind = previous != nullptr && previous->settings_.balance == pool->settings_.balance;
  pool->primaries_.build(pool->settings_, pool->backends_, false,
                         same_kind ? &previous->primaries_ : nullptr);
  pool->backups_.build(pool->settings_, pool->backends_, true, same_kind ? &previous->backups_ : nullptr);
  return pool;
}

const Backend* Pool::find(std::string_view name) const {
  for (const Backend& backend : backends_) {
    if (backend.name == name) return &backend;
  }
  return nullptr;
}

const Backend* Pool::find(BackendId id) const {
  const auto found = std::lower_bound(by_id_.begin(), by_id_.end(), std::pair(id, BackendIndex{0}));
  return found != by_id_.end() && found->first == id ? &backends_[found->second] : nullptr;
}

const Backend* Pool::pick(const PickInput& input) const {
  std::optional<BackendIndex> index = primaries_.pick(input);
  if (!index) index = backups_.pick(input);
  return index ? &backends_[*index] : pick_held_back(input);
}

const Backend* Pool::pick_held_back(const PickInput& input) const {
  while (const Backend* const backend = find_held_back(input))
    if (!backend->for_one_session() || !backend->load->trial_taken.exchange(true)) return backend;
  return nullptr;
}

const Backend* Pool::find_held_back(const PickInput& input) const {
  if (held_back_.empty() || rotation_is_full(input)) return nullptr;
  const Backend* best = nullptr;
  for (const BackendIndex index : held_back_) {
    const Backend& backend = backends_[index];
    if (input.has_tried(backend.id()) || is_tried_by_another(backend) || !backend.load->has_room()) continue;
    const auto rank = [](const Backend& b) {
      return std::pair(b.backup, b.load->active.load(std::memory_order_relaxed));
    };
    if (best == nullptr || rank(backend) < rank(*best)) best = &backend;
  }
  return best;
}

bool Pool::rotation_is_full(const PickInput& input) const {
  const auto is_full = [&](BackendIndex index) {
    const Backend& backend = backends_[index];
    return is_in_rotation(backend) && !input.has_tried(backend.id());
  };
  const auto was_full = [&](BackendId id) {
    const Backend* const backend = find(id);
    return backend != nullptr && is_in_rotation(*backend);
  };
  return std::ranges::any_of(limited_, is_full) || std::ranges::any_of(input.full, was_full);
}

Choice Pool::choose(const PickInput& input) const {
  const Backend* const backend = pick(input);
  return backend != nullptr ? Choice{Choice::Kind::Chosen, backend} : wait_for_somebody(input);
}

Choice Pool::wait_for_somebody(const PickInput& input) const {
  if (only_full(input)) return {Choice::Kind::Wait, nullptr, WaitFor::BackendSlot};
  const bool verdict_to_come = any_undecided_ || find_trial(input) != nullptr;
  return {verdict_to_come ? Choice::Kind::Wait : Choice::Kind::None, nullptr, WaitFor::FirstVerdict};
}

bool Pool::only_full(const PickInput& input) const {
  const auto is_full = [&](BackendIndex index) {
    const Backend& backend = backends_[index];
    return !input.has_tried(backend.id()) && !(backend.for_one_session() && backend.load->has_room());
  };
  return !input.full.empty() || std::ranges::any_of(limited_, is_full);
}

const Backend* Pool::find_trial(const PickInput& input) const {
  const auto found = std::ranges::find_if(held_back_, [&](BackendIndex index) {
    return backends_[index].for_one_session() && !input.has_tried(backends_[index].id());
  });
  return found != held_back_.end() ? &backends_[*found] : nullptr;
}

Choice Pool::explain(const PickInput& input, std::vector<std::string>& because) const {
  const Backend* const backend = explain_pick(input, because);
  const bool stands_behind = limited() && load_->newcomers_wait();
  if (backend != nullptr && !stands_behind) return {Choice::Kind::Chosen, backend};
  const Choice choice =
      stands_behind ? Choice{Choice::Kind::Wait, nullptr, WaitFor::BackendSlot} : wait_for_somebody(input);
  if (choice.kind != Choice::Kind::Wait) return choice;
  if (backend != nullptr)
    because.push_back(fmt::format("but others wait for room already ({}): a newcomer stands behind them",
                                  counted(load_->queued(), "session")));
  if (choice.wait_for == WaitFor::BackendSlot) return explain_queue(because);
  if (const Backend* const trial = find_trial(input))
    because.push_back(
        fmt::format("{} is on trial with another session: what it finds is waited for", trial->name));
  return choice;
}

Choice Pool::explain_queue(std::vector<std::string>& because) const {
  const std::uint32_t queued = load_->queued();
  if (queued < settings_.queue) {
    because.push_back(fmt::format("a session would wait for room: up to {} do, for {} at most ({} now)",
                                  settings_.queue, format_duration(settings_.queue_timeout), queued));
    return {Choice::Kind::Wait, nullptr, WaitFor::BackendSlot};
  }
  const std::string why = settings_.queue == 0
                              ? "nobody may wait for room, queue = 0"
                              : fmt::format("the queue is full ({} of {})", queued, settings_.queue);
  because.push_back(why + ": a session would be reset (end=overloaded)");
  return {};
}

const Backend* Pool::explain_pick(const PickInput& input, std::vector<std::string>& because) const {
  if (!any_eligible_) {
    because.emplace_back("no backend is eligible");
    return nullptr;
  }
  const auto any_of = [&](bool backup) {
    return std::ranges::any_of(backends_,
                               [=](const Backend& b) { return b.backup == backup && b.eligible(); });
  };
  std::optional<BackendIndex> index;
  if (any_of(false)) {
    index = primaries_.explain(input, because);
  } else {
    because.emplace_back("no primary is eligible: a backup is used");
  }
  if (!index && any_of(true)) index = backups_.explain(input, because);
  if (!index) return explain_held_back(input, because);
  const Backend& backend = backends_[*index];
  if (backend.last_resort) {
    because.push_back(fmt::format("{} is used although {}: no backend of the pool is in rotation",
                                  backend.name, backend.on_trial ? "on trial" : "ejected"));
  }
  if (backend.used_although_down) {
    because.push_back(fmt::format("{} is used although {}: no backend is up (on_all_down = try_all)",
                                  backend.name, to_string(backend.health)));
  }
  return &backend;
}

const Backend* Pool::explain_held_back(const PickInput& input, std::vector<std::string>& because) const {
  const Backend* const backend = find_held_back(input);
  if (backend != nullptr)
    because.push_back(fmt::format("{} is tried although {}: nobody in rotation is left", backend->name,
                                  backend->on_trial ? "on trial" : "ejected"));
  return backend;
}

Table::Table(std::uint64_t of_generation, std::vector<std::shared_ptr<const Pool>> all_pools)
    : generation(of_generation), pools(std::move(all_pools)) {
  for (std::uint32_t i = 0; i < pools.size(); ++i) places_.emplace(pools[i]->settings().name, i);
}

std::shared_ptr<const Pool> Table::find(std::string_view name) const {
  const auto found = places_.find(name);
  return found != places_.end() ? pools[found->second] : nullptr;
}

}  // namespace weir
