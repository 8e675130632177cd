#include "lb/daemon/shortages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lb/base/duration.h"

namespace weir {

Shortages::Shortages(Loop& loop, Registry& registry, Admission& admission, Events& events)
    : registry_(registry), admission_(admission), events_(events), timer_(loop, [this] { look(); }) {}

void Shortages::look() {
  timer_.start(kStep);
  const auto max = admission_.max();
  look_at(process_, admission_.active() >= max, admission_.refused(Refusal::Process),
          fmt::format("max_connections ({}) reached", max));
  look_at(descriptors_, !admission_.descriptors().has_for_session(), admission_.refused(Refusal::Descriptors),
          "too few descriptors for more sessions");
  const auto& config = registry_.config();
  if (config == nullptr) return;
  std::erase_if(listeners_, [&](const auto& item) {
    return std::ranges::none_of(config->listeners, [&](const auto& one) { return one.name == item.first; });
  });
  for (const auto& listener : config->listeners) {
    const auto& load = registry_.listener_load(listener.name, listener.pool);
    const auto limit = load.max_connections.load(std::memory_order_relaxed);
    look_at(listeners_[listener.name], limit > 0 && load.active.load() >= limit,
            load.refused.load(std::memory_order_relaxed),
            fmt::format("listener {}: max_connections ({}) reached", listener.name, limit));
  }
  look_at_pools();
}

void Shortages::look_at_pools() {
  const auto& table = registry_.table();
  std::erase_if(pools_, [&](const auto& item) { return table->find(item.first) == nullptr; });
  for (const auto& pool : table->pools) {
    const auto& name = pool->settings().name;
    const PoolLoad& load = *pool->load();
    const auto overloaded = load.overloaded.load(std::memory_order_relaxed);
    if (!pool->limited() && !pools_.contains(name)) continue;
    const auto [shortage, fresh] = pools_.try_emplace(name);
    // What was before it was looked at is no news.
    if (fresh) shortage->second.refused = overloaded;
    look_at(shortage->second, load.newcomers_wait(), overloaded,
            fmt::format("pool {}: every backend has its max_sessions", name),
            pool->settings().queue > 0 ? "new clients wait" : "new clients are turned away");
  }
}

std::vector<std::string> Shortages::in_force() const {
  std::vector<std::string> out;
  const auto add = [&out](const Shortage& shortage) {
    if (shortage.condition.is_so()) out.push_back(shortage.what);
  };
  add(process_);
  add(descriptors_);
  for (const auto& [name, shortage] : listeners_) add(shortage);
  for (const auto& [name, shortage] : pools_) add(shortage);
  return out;
}

void Shortages::look_at(Shortage& shortage, bool used_up, std::uint64_t refused, const std::string& what,
                        std::string_view effect) {
  const bool kept_out = refused != std::exchange(shortage.refused, refused);
  const auto change = shortage.condition.look(used_up || kept_out, std::chrono::steady_clock::now());
  if (!change) return;
  Event event{.time = std::chrono::system_clock::now(), .kind = Event::Kind::Trouble};
  shortage.what = what;
  if (*change == Condition::Change::Begins) {
    event.text = fmt::format("{}: {}", what, effect);
    return events_.tell(spdlog::level::warn, std::move(event));
  }
  const auto lasted = std::chrono::ceil<std::chrono::seconds>(shortage.condition.lasted());
  event.text = fmt::format("{} no more; it was so for {}", what, format_duration(lasted));
  events_.tell(spdlog::level::info, std::move(event));
}

}  // namespace weir
