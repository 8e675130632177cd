// Make before break: who serves a pool's sessions until one of its own backends can.
#include <fmt/format.h>

#include <algorithm>

#include "lb/base/glob.h"
#include "lb/base/log.h"
#include "lb/control/registry_state.h"

namespace weir {

namespace {

bool share_an_address(const ListenerConfig& a, const ListenerConfig& b) {
  return std::any_of(a.bind.begin(), a.bind.end(), [&](const Address& address) {
    return std::find(b.bind.begin(), b.bind.end(), address) != b.bind.end();
  });
}

/// The pools that the listeners of `pool` in `next` fed in `now`.
std::vector<std::string> fed_before(std::string_view pool, const Config& now, const Config& next) {
  std::vector<std::string> out;
  for (const auto& listener : next.listeners) {
    if (listener.pool != pool) continue;
    for (const auto& before : now.listeners)
      if ((before.name == listener.name || share_an_address(before, listener)) &&
          std::find(out.begin(), out.end(), before.pool) == out.end())
        out.push_back(before.pool);
  }
  return out;
}

bool leads_back(const Backend& backend, const OwnSockets& own) {
  return std::ranges::any_of(backend.addresses,
                             [&](const Address& address) { return own.reached_by(address).has_value(); });
}

}  // namespace

Registry::State::Serving Registry::State::serving() {
  Serving out;
  for (const auto& pool : members.pools) {
    auto& ids = out[pool.config.name];
    for (const auto& entry : pool.entries)
      if (!entry.out && admin(pool, entry) == Admin::Enabled && entry.standing.serves())
        ids.push_back(entry.load->id);
    for (const Backend& backend : stand_ins(pool)) ids.push_back(backend.id());
  }
  return out;
}

bool Registry::State::wants_stand_ins(const PoolEntry& pool) const {
  bool unheard = false;
  for (const auto& entry : pool.entries) {
    if (entry.out || admin(pool, entry) != Admin::Enabled) continue;
    if (entry.standing.serves()) return false;
    unheard = unheard || entry.standing.health == Health::Unknown;
  }
  return unheard;
}

std::vector<BackendId> Registry::State::candidates(const PoolEntry& pool, const Serving& before,
                                                   const Config* now, const Config& next) const {
  std::vector<std::string> sources;
  if (before.contains(pool.config.name))
    sources = {pool.config.name};
  else if (now != nullptr)
    sources = fed_before(pool.config.name, *now, next);
  std::unordered_set<BackendId> not_again;
  for (const auto& entry : pool.entries) not_again.insert(entry.load->id);
  std::vector<BackendId> out;
  for (const auto& source : sources) {
    const auto found = before.find(source);
    if (found == before.end()) continue;
    for (const BackendId id : found->second)
      if (not_again.insert(id).second) out.push_back(id);
  }
  return out;
}

void Registry::State::choose_stand_ins(PoolEntry& pool, const Serving& before, const Config* now,
                                       const Config& next) {
  pool.stand_ins.clear();
  if (!wants_stand_ins(pool)) return;
  const auto asked = backends(candidates(pool, before, now, next));
  if (asked.empty()) return;
  const OwnSockets own = own_listeners(next);
  for (const Backend& backend : asked)
    if (!leads_back(backend, own)) pool.stand_ins.push_back(backend.id());
}

std::vector<Backend> Registry::State::backends(const std::vector<BackendId>& ids) {
  std::vector<Backend> out;
  if (ids.empty()) return out;
  const auto places = members.by_id();
  for (const BackendId id : ids) {
    if (const auto place = places.find(id); place != places.end())
      out.push_back(backend(*place->second.pool, *place->second.entry));
    else if (const Leaver* const leaver = leavers.find(id))
      out.push_back(leaver->now(clock.steady()));
  }
  return out;
}

std::vector<Backend> Registry::State::stand_ins(const PoolEntry& pool) {
  // Places that the pool has under another name, and under a word against them.
  std::unordered_set<std::string_view> taken_out;
  for (const auto& entry : pool.entries)
    if (entry.out || admin(pool, entry) != Admin::Enabled) taken_out.insert(entry.file.endpoint.text);
  auto out = backends(pool.stand_ins);
  std::erase_if(out, [&](const Backend& backend) {
    return !backend.eligible() || taken_out.contains(backend.endpoint.text);
  });
  for (Backend& backend : out) {
    backend.stand_in = true;
    backend.undecided = false;
  }
  return out;
}

CommandResult<std::vector<Changed>> Registry::State::dismiss(std::string_view text, std::string_view verb,
                                                             bool force) {
  const auto slash = std::min(text.find('/'), text.size());
  std::unordered_set<BackendId> named;
  std::vector<Changed> out;
  for (const auto& [id, leaver] : leavers.all()) {
    if (!leaver.stands_in || !glob_matches(text.substr(0, slash), leaver.pool()) || slash == text.size() ||
        !glob_matches(text.substr(slash + 1), leaver.last.name))
      continue;
    named.insert(id);
    out.push_back({leaver.last.load, Admin::Drained, leaver.last.weight, true});
  }
  const auto is_named = [&](BackendId id) { return named.contains(id); };
  for (const PoolEntry& pool : members.pools) {
    const auto& serving = pool.built->backends();
    const auto serves = [&](const Backend& backend) { return backend.eligible() && !is_named(backend.id()); };
    if (force || std::ranges::none_of(pool.stand_ins, is_named) || std::ranges::any_of(serving, serves))
      continue;
    return tl::unexpected(CommandError{
        CommandError::Kind::Refused,
        fmt::format("what stands in for pool {} is all that it has; to {} it all the same, use --force",
                    pool.config.name, verb)});
  }
  for (PoolEntry& pool : members.pools) std::erase_if(pool.stand_ins, is_named);
  if (!named.empty()) leavers.tidy(all_stand_ins(), clock.steady());
  for (const Changed& one : out)
    daemon_log().info("{} stands in no more, by an operator", format_key(one.load->pool, one.load->name));
  return out;
}

std::unordered_set<BackendId> Registry::State::all_stand_ins() const {
  std::unordered_set<BackendId> out;
  for (const auto& pool : members.pools) out.insert(pool.stand_ins.begin(), pool.stand_ins.end());
  return out;
}

}  // namespace weir
