#include "lb/control/leavers.h"

#include <fmt/format.h>

namespace weir {

namespace {

/// None of the parts holds a line's end.
std::string key_of(std::string_view pool, std::string_view name, std::string_view address) {
  return fmt::format("{}\n{}\n{}", pool, name, address);
}

}  // namespace

void describe_standing(Backend& backend, const Standing& standing,
                       std::chrono::steady_clock::time_point now) {
  backend.addresses = standing.addresses;
  backend.health = standing.health;
  backend.on_trial = standing.on_trial;
  backend.ramping = standing.slow_start.has_value();
  backend.share_percent = standing.slow_start ? standing.slow_start->share_percent(now) : 100;
  backend.reason = standing.reason;
  backend.since = standing.since;
  backend.life = standing.life;
}

Backend Leaver::now(std::chrono::steady_clock::time_point time) const {
  Backend out = last;
  describe_standing(out, standing, time);
  return out;
}

void Leavers::add(Leaver leaver) {
  const BackendLoad& load = *leaver.last.load;
  by_name_[key_of(load.pool, load.name, load.address)] = load.id;
  all_.insert_or_assign(load.id, std::move(leaver));
}

std::optional<Leaver> Leavers::take_back(std::string_view pool, std::string_view name,
                                         std::string_view address) {
  const auto named = by_name_.find(key_of(pool, name, address));
  if (named == by_name_.end()) return std::nullopt;
  auto found = all_.extract(named->second);
  by_name_.erase(named);
  if (found.empty()) return std::nullopt;
  return std::move(found.mapped());
}

Leaver* Leavers::find(BackendId id) {
  const auto found = all_.find(id);
  return found != all_.end() ? &found->second : nullptr;
}

std::shared_ptr<BackendLoad> Leavers::load_of(std::string_view pool, std::string_view name,
                                              std::string_view address) const {
  const auto named = by_name_.find(key_of(pool, name, address));
  if (named == by_name_.end()) return nullptr;
  const auto found = all_.find(named->second);
  return found != all_.end() ? found->second.last.load : nullptr;
}

void Leavers::keep_stand_ins_only() {
  std::erase_if(all_, [](const auto& item) { return !item.second.stands_in; });
  std::erase_if(by_name_, [&](const auto& item) { return !all_.contains(item.second); });
}

void Leavers::tidy(const std::unordered_set<BackendId>& standing_in,
                   std::chrono::steady_clock::time_point now) {
  for (auto& [id, leaver] : all_) {
    const bool stands_in = standing_in.contains(id);
    if (leaver.stands_in && !stands_in) leaver.left = now;
    leaver.stands_in = stands_in;
  }
  std::erase_if(all_, [&](const auto& item) {
    const Leaver& leaver = item.second;
    return leaver.last.load->active == 0 && !leaver.stands_in && now - leaver.left > kRemembered;
  });
  std::erase_if(by_name_, [&](const auto& item) { return !all_.contains(item.second); });
}

}  // namespace weir
