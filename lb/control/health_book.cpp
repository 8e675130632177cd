#include "lb/control/health_book.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {

namespace {

/// The endpoint as it is written, and of whom else the verdict is.
std::string place_of(std::string_view pool, std::string_view name, const Endpoint& endpoint,
                     const ProbeConfig& probe) {
  if (probe.kind != "exec") return endpoint.text;
  return fmt::format("{} {}/{}", endpoint.text, pool, name);
}

}  // namespace

HealthBook::Page& HealthBook::page(const std::string& pool, const ProbeConfig& probe) {
  // Notes come pool by pool.
  const auto found = std::find_if(pages_.rbegin(), pages_.rend(),
                                  [&](const Page& one) { return one.pool == pool && one.probe == probe; });
  return found != pages_.rend() ? *found : pages_.emplace_back(Page{pool, probe, {}});
}

void HealthBook::note(const std::string& pool, const std::string& name, const Endpoint& endpoint,
                      const ProbeConfig& probe, const Standing& standing) {
  if (standing.health == Health::Unknown || standing.addresses.empty()) return;
  auto& places = page(pool, probe).places;
  const auto [place, fresh] = places.emplace(place_of(pool, name, endpoint, probe), standing);
  if (!fresh && place->second.since < standing.since) place->second = standing;
}

const Standing* HealthBook::find(std::string_view pool, std::string_view name, const Endpoint& endpoint,
                                 const ProbeConfig& probe) const {
  const std::string sought = place_of(pool, name, endpoint, probe);
  const Standing* best = nullptr;
  for (const Page& page : pages_) {
    if (page.probe != probe) continue;
    const auto place = page.places.find(sought);
    if (place == page.places.end()) continue;
    if (page.pool == pool) return &place->second;
    if (best == nullptr || best->since < place->second.since) best = &place->second;
  }
  return best;
}

}  // namespace weir
