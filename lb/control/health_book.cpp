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

const ProbeConfig* HealthBook::keep(const ProbeConfig& probe) {
  // Notes come pool by pool, and few backends have a probe of their own.
  if (probes_.empty() || probes_.back() != probe) probes_.push_back(probe);
  return &probes_.back();
}

void HealthBook::note(const std::string& pool, const std::string& name, const Endpoint& endpoint,
                      const ProbeConfig& probe, const Standing& standing) {
  if (standing.health == Health::Unknown || standing.addresses.empty()) return;
  auto& notes = places_[place_of(pool, name, endpoint, probe)];
  const auto same =
      std::ranges::find_if(notes, [&](const Note& one) { return one.pool == pool && *one.probe == probe; });
  if (same == notes.end())
    notes.push_back({pool, keep(probe), standing});
  else if (same->standing.since < standing.since)
    same->standing = standing;
}

const Standing* HealthBook::find(std::string_view pool, std::string_view name, const Endpoint& endpoint,
                                 const ProbeConfig& probe) const {
  const auto place = places_.find(place_of(pool, name, endpoint, probe));
  if (place == places_.end()) return nullptr;
  const Standing* best = nullptr;
  for (const Note& note : place->second) {
    if (*note.probe != probe) continue;
    if (note.pool == pool) return &note.standing;
    if (best == nullptr || best->since < note.standing.since) best = &note.standing;
  }
  return best;
}

}  // namespace weir
