// What the names of backends resolve to.
#include <fmt/format.h>

#include <set>

#include "lb/base/log.h"
#include "lb/control/registry_state.h"

namespace weir {

void Registry::set_addresses(std::vector<AddressReport> reports) {
  const OwnSockets own = state_->own_listeners(*state_->config);
  std::set<PoolEntry*> changed;
  for (AddressReport& report : reports) {
    const auto subject = state_->find(report.id);
    if (!subject) continue;
    // What an older process, or an earlier backend there, knew of the name outlives a name server's silence.
    if (!report.addresses.empty()) subject->standing->resolved = std::move(report.addresses);
    subject->standing->no_address = std::move(report.reason);
    state_->use_resolved(*subject, own);
    changed.insert(subject->pool);
  }
  bool rebuilt = false;
  for (auto& pool : state_->members.pools)
    if (changed.contains(&pool) || !pool.stand_ins.empty()) rebuilt = state_->rebuild(pool) || rebuilt;
  if (rebuilt) state_->publish_table();
}

OwnSockets Registry::State::own_listeners(const Config& of) const {
  OwnSockets own(host());
  for (std::size_t i = 0; i < of.listeners.size(); ++i)
    for (const Address& bound : of.listeners[i].bind) own.add(bound, i);
  return own;
}

void Registry::State::use_resolved(const Subject& subject, const OwnSockets& own) {
  Standing& standing = *subject.standing;
  const bool had_one = !standing.addresses.empty();
  std::string leads_back;
  standing.addresses.clear();
  for (const Address& address : standing.resolved) {
    if (const auto listener = own.reached_by(address))
      leads_back = fmt::format("{} resolves to Weir's own listener {} ({})", subject.endpoint().host,
                               config->listeners[*listener].name, address.to_string());
    else
      standing.addresses.push_back(address);
  }
  if (!leads_back.empty() && leads_back != standing.leads_back)
    daemon_log().warn("{}: {}: that address is not used, sessions would go round in circles",
                      format_key(subject.pool_name(), subject.name()), leads_back);
  standing.leads_back = leads_back;
  const bool has_one = !standing.addresses.empty();
  if (has_one)
    standing.no_address.clear();
  else if (!leads_back.empty())
    standing.no_address = std::move(leads_back);
  if (subject.entry == nullptr) return;  // it has served, and is not asked for again
  if (has_one != had_one)
    forget_health(*subject.pool, *subject.entry);
  else if (!has_one && admin(subject) != Admin::Disabled)
    change_health(subject, Health::Unknown, standing.no_address, false);
}

void Registry::State::recheck_resolved() {
  const bool any = std::ranges::any_of(members.pools, [](const PoolEntry& pool) {
    return std::ranges::any_of(pool.entries,
                               [](const Entry& entry) { return !entry.standing.resolved.empty(); });
  });
  if (!any) return;
  const OwnSockets own = own_listeners(*config);
  for (PoolEntry& pool : members.pools)
    for (Entry& entry : pool.entries)
      if (!entry.standing.resolved.empty() && !entry.out)
        use_resolved({&entry.standing, &pool, nullptr, &entry}, own);
}

}  // namespace weir
