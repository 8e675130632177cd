// What is to be scraped.
#include <algorithm>
#include <unordered_map>

#include "lb/control/registry_state.h"

namespace weir {

namespace {

/// A backend that nobody knows here is one of those who have left.
MetricsView::Backend& backend_of(MetricsView::Pool& pool, const std::string& name) {
  for (const std::string& one : {name, std::string("-")})
    if (const auto found = std::ranges::find(pool.backends, one, &MetricsView::Backend::name);
        found != pool.backends.end())
      return *found;
  return pool.backends.emplace_back(MetricsView::Backend{.name = "-"});
}

}  // namespace

CommandResult<MetricsView> Registry::metrics_view(std::string_view wanted, Counts elders) const {
  const auto& s = *state_;
  MetricsView out;
  out.generation = s.table->generation;
  std::unordered_map<std::string_view, std::size_t> pools;  // in out.pools
  std::unordered_map<std::string, std::pair<std::size_t, std::size_t>> places;
  const auto pool_of = [&](const std::string& name) -> MetricsView::Pool& {
    const auto [at, fresh] = pools.emplace(name, out.pools.size());
    if (fresh) {
      out.pools.push_back({.name = name, .removed = true});
      if (const auto load = s.pool_loads.find(name); load != s.pool_loads.end())
        out.pools.back().load = load->second;
    }
    return out.pools[at->second];
  };
  out.pools.reserve(s.members.pools.size() + s.departed.each().size() + s.departed.rest().size());
  for (const auto& pool : s.members.pools) {
    if (!wanted.empty() && pool.config.name != wanted) continue;
    MetricsView::Pool& of = pool_of(pool.config.name);
    of.removed = false;
    of.verdict = pool.verdict;
    of.hedges = pool.config.hedge_after > Millis(0);
    of.backends.reserve(pool.entries.size() + 1);
    for (const auto& entry : pool.entries) {
      places.emplace(format_key(pool.config.name, entry.file.name),
                     std::pair(pools.at(pool.config.name), of.backends.size()));
      auto& backend = of.backends.emplace_back();
      backend.name = entry.file.name;
      backend.loads = {entry.load};
      backend.member = !entry.out;
      backend.health = entry.standing.health;
      backend.admin = s.admin(pool, entry);
    }
  }
  for (const auto& [id, one] : s.departed.each()) {
    const BackendLoad& load = *one.load;
    if (!wanted.empty() && load.pool != wanted) continue;
    MetricsView::Pool& of = pool_of(load.pool);
    const auto [place, fresh] =
        places.emplace(format_key(load.pool, load.name), std::pair(pools.at(load.pool), of.backends.size()));
    if (fresh) of.backends.emplace_back().name = load.name;
    out.pools[place->second.first].backends[place->second.second].loads.push_back(one.load);
  }
  for (const auto& [name, counted] : s.departed.rest())
    if (wanted.empty() || name == wanted) {
      auto& gone = pool_of(name).backends.emplace_back();
      gone.name = "-";
      gone.rest = counted;
    }
  const auto add_elders = [&](const auto& counts, auto add) {
    for (const auto& [key, count] : counts)
      if (wanted.empty() || key.first == wanted) add(backend_of(pool_of(key.first), key.second), count);
  };
  add_elders(elders.backends, [](auto& backend, const Totals& totals) { backend.rest.totals += totals; });
  add_elders(elders.tallies, [](auto& backend, const Tally& tally) { backend.rest.tally += tally; });
  add_elders(elders.active, [](auto& backend, std::uint64_t active) { backend.active_elsewhere += active; });
  if (!wanted.empty())
    for (auto* counts : {&elders.listeners, &elders.listener_active})
      std::erase_if(*counts, [&](const auto& item) { return item.first.second != wanted; });
  if (!wanted.empty())
    std::erase_if(elders.listener_tallies, [&](const auto& item) { return item.first.second != wanted; });
  out.elders = std::move(elders);
  if (!wanted.empty() && out.pools.empty()) return tl::unexpected(s.unknown_pool(wanted));
  for (const auto& [key, load] : s.listener_loads.all()) {
    if (!wanted.empty() && key.second != wanted) continue;
    const bool served =
        s.config != nullptr &&
        std::ranges::any_of(s.config->listeners, [&name = key.first, &pool = key.second](const auto& one) {
          return one.name == name && one.pool == pool;
        });
    out.listeners.push_back({load, served});
  }
  for (const auto& [key, word] : s.words.all()) {
    const auto note = [&out](const auto& one) {
      if (one && (out.oldest_override == SystemTime() || one->since < out.oldest_override))
        out.oldest_override = one->since;
    };
    note(word.admin);
    note(word.weight);
  }
  return out;
}

}  // namespace weir
