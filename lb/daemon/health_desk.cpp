#include "lb/daemon/health_desk.h"

#include <algorithm>
#include <utility>

#include "lb/base/log.h"

namespace weir {

Result<std::unique_ptr<HealthDesk>> HealthDesk::create(Loop& loop, Registry& registry,
                                                       NameResolution& names) {
  std::unique_ptr<HealthDesk> desk(new HealthDesk(loop, registry, names));
  auto checker = Checker::create(
      0,
      [own = desk.get()](HealthReport report) {
        own->loop_.post([own, report = std::move(report)]() mutable { own->on_report(std::move(report)); });
      },
      [own = desk.get()](AgentReport report) {
        own->loop_.post([own, report = std::move(report)] { own->on_agent(report); });
      });
  if (!checker) return tl::unexpected(checker.error());
  desk->checker_ = std::move(*checker);
  return desk;
}

void HealthDesk::start(Fleet& fleet) {
  fleet_ = &fleet;
  checker_->start();
}

void HealthDesk::update(Watched watched) {
  watched_ = watched;
  std::vector<ProbeTarget> targets;
  for (Watch& watch : registry_.watched()) {
    if (watched == Watched::WhoseSessionsClose) {
      const auto pool = registry_.table()->find(watch.pool);
      if (pool == nullptr || !pool->settings().close_sessions_when_down) continue;
    }
    targets.push_back({.id = watch.id,
                       .pool = std::move(watch.pool),
                       .name = std::move(watch.name),
                       .addresses = std::move(watch.addresses),
                       .probe = std::move(watch.probe),
                       .probing = watch.probing,
                       .life = watch.life,
                       .load = std::move(watch.load),
                       .health = watch.health,
                       .against = watch.against,
                       .agent = std::move(watch.agent)});
  }
  const bool starts_children =
      std::ranges::any_of(targets, [](const ProbeTarget& target) { return target.probe.kind == "exec"; });
  if (!starts_children || children_expected_) return checker_->set_targets(std::move(targets));
  fleet_->always_expect_children();
  fleet_->when_settled([this] {
    children_expected_ = true;
    update(watched_);
  });
}

void HealthDesk::on_report(HealthReport report) {
  reports_.push_back(std::move(report));
  // Once for all that have come in: when a whole fleet goes down, each of its Tables would be a long one.
  if (reports_.size() == 1) loop_.post([this] { take_reports(); });
}

void HealthDesk::on_agent(AgentReport report) {
  agents_.push_back(std::move(report));
  if (agents_.size() == 1) loop_.post([this] { registry_.set_agents(std::exchange(agents_, {})); });
}

void HealthDesk::take_reports() {
  const auto reports = std::exchange(reports_, {});
  const auto before = registry_.table();
  const auto went_down = registry_.set_health(reports);
  for (const BackendId id : went_down) close_sessions_of(id, *before);
  // Where its name has moved to, it may be well.
  names_.ask_again(went_down);
}

void HealthDesk::close_sessions_of(BackendId id, const Table& before) {
  const auto table = registry_.table();
  for (const auto& pool : before.pools) {
    const Backend* const backend = pool->find(id);
    if (backend == nullptr || !pool->settings().close_sessions_when_down) continue;
    const auto now = table->find(pool->settings().name);
    // Under try_all it may be used all the same. Who stood in for others is in no pool any more.
    if (const Backend* const left = now != nullptr ? now->find(id) : nullptr;
        left != nullptr && left->last_resort)
      continue;
    fleet_->leave_backend(id, [load = backend->load](std::uint64_t closed) {
      if (closed > 0)
        daemon_log().info("{}/{} is down: {} of its sessions were closed", load->pool, load->name, closed);
    });
    return;
  }
}

}  // namespace weir
