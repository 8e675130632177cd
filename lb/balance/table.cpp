#include "lb/balance/table.h"

#include <fmt/format.h>

#include "lb/base/error.h"

namespace weir {
namespace {

constexpr std::string_view kUsedAlthough = "; used although ";

/// Takes away what an earlier build has said of `used_although_down`.
void forget_try_all(Backend& backend) {
  if (!backend.used_although_down) return;
  backend.used_although_down = false;
  const std::size_t added = backend.reason.rfind(kUsedAlthough);
  if (added != std::string::npos) backend.reason.resize(added);
}

bool any_eligible(const std::vector<Backend>& backends) {
  return std::any_of(backends.begin(), backends.end(), [](const Backend& b) { return b.eligible(); });
}

void use_although_down(std::vector<Backend>& backends) {
  for (Backend& backend : backends) {
    if (backend.admin != Admin::Enabled || backend.addresses.empty()) continue;
    backend.used_although_down = true;
    backend.reason += fmt::format("{}{} (on_all_down = try_all)", kUsedAlthough, to_string(backend.health));
  }
}

std::unique_ptr<Balancer> build_group(const BalancerKind& kind, const std::vector<Backend>& backends,
                                      bool backup, const Balancer* previous) {
  std::vector<Member> members;
  for (BackendIndex i = 0; i < backends.size(); ++i) {
    const Backend& backend = backends[i];
    if (backend.backup != backup) continue;
    members.push_back({i, backend.id(), backend.name, backend.weight, backend.share_percent,
                       backend.eligible(), backend.load.get()});
  }
  return kind.build(members, previous);
}

}  // namespace

std::shared_ptr<const Pool> Pool::build(PoolSettings settings, std::vector<Backend> backends,
                                        const Pool* previous) {
  const BalancerKind* kind = find_balancer_kind(settings.balance);
  WEIR_CHECK(kind != nullptr);
  const std::shared_ptr<Pool> pool(new Pool);
  pool->settings_ = std::move(settings);
  pool->backends_ = std::move(backends);
  for (Backend& backend : pool->backends_) {
    WEIR_CHECK(backend.load != nullptr);
    forget_try_all(backend);
  }
  if (pool->settings_.try_all_when_down && !weir::any_eligible(pool->backends_)) {
    use_although_down(pool->backends_);
  }
  pool->any_eligible_ = weir::any_eligible(pool->backends_);

  const bool same_kind = previous != nullptr && previous->settings_.balance == pool->settings_.balance;
  pool->primaries_ =
      build_group(*kind, pool->backends_, false, same_kind ? previous->primaries_.get() : nullptr);
  pool->backups_ = build_group(*kind, pool->backends_, true, same_kind ? previous->backups_.get() : nullptr);
  return pool;
}

const Backend* Pool::find(std::string_view name) const {
  for (const Backend& backend : backends_) {
    if (backend.name == name) return &backend;
  }
  return nullptr;
}

const Backend* Pool::find(BackendId id) const {
  for (const Backend& backend : backends_) {
    if (backend.id() == id) return &backend;
  }
  return nullptr;
}

const Backend* Pool::pick(const PickInput& input) const {
  std::optional<BackendIndex> index = primaries_->pick(input);
  if (!index) index = backups_->pick(input);
  return index ? &backends_[*index] : nullptr;
}

const Backend* Pool::explain(const PickInput& input, std::vector<std::string>& because) const {
  if (!any_eligible_) {
    because.emplace_back("no backend is eligible");
    return nullptr;
  }
  const bool primary_eligible = std::any_of(backends_.begin(), backends_.end(),
                                            [](const Backend& b) { return !b.backup && b.eligible(); });
  std::optional<BackendIndex> index;
  if (primary_eligible) {
    index = primaries_->explain(input, because);
  } else {
    because.emplace_back("no primary is eligible: a backup is used");
  }
  if (!index) index = backups_->explain(input, because);
  if (!index) return nullptr;
  const Backend& backend = backends_[*index];
  if (backend.used_although_down) {
    because.push_back(fmt::format("{} is used although {}: no backend is up (on_all_down = try_all)",
                                  backend.name, to_string(backend.health)));
  }
  return &backend;
}

const Pool* Table::find(std::string_view name) const {
  for (const auto& pool : pools) {
    if (pool->settings().name == name) return pool.get();
  }
  return nullptr;
}

}  // namespace weir
