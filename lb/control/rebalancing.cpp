#include "lb/control/rebalancing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "lb/base/counted.h"
#include "lb/base/log.h"

namespace weir {

namespace {

bool may_serve(const Backend& backend) {
  return backend.eligible() && !backend.stand_in && !backend.for_one_session();
}

/// A backend, and what part of the pool's new sessions is to be its.
struct Seat {
  const Backend* backend;
  std::uint64_t weight;  ///< 0: its turn is not now
  double share = 0;      ///< sessions
  bool full = false;     ///< its share is its max_sessions
};

std::vector<Seat> seats_of(const Pool& pool) {
  const auto& all = pool.backends();
  const bool primaries =
      std::ranges::any_of(all, [](const Backend& backend) { return may_serve(backend) && !backend.backup; });
  std::vector<Seat> out;
  for (const Backend& backend : all)
    if (may_serve(backend))
      out.push_back({&backend, primaries && backend.backup
                                   ? 0
                                   : std::uint64_t{backend.weight} * backend.share_percent});
  return out;
}

/// Those whose share would be beyond what they may have get that, and the others the rest, by weight.
void share_out(std::vector<Seat>& seats, std::uint64_t sessions) {
  for (bool again = true; again;) {
    again = false;
    double left = static_cast<double>(sessions), weights = 0;
    for (const Seat& seat : seats) {
      if (seat.full)
        left -= seat.share;
      else
        weights += static_cast<double>(seat.weight);
    }
    for (Seat& seat : seats) {
      if (seat.full || seat.weight == 0) continue;
      seat.share = std::max(0.0, left) * static_cast<double>(seat.weight) / weights;
      const double most = seat.backend->load->max_sessions();
      if (most == 0 || seat.share <= most) continue;
      seat.share = most;
      seat.full = again = true;
    }
  }
}

bool ramps_up(const Pool& pool) {
  return std::ranges::any_of(pool.backends(),
                             [](const Backend& backend) { return backend.eligible() && backend.ramping; });
}

}  // namespace

std::uint64_t sessions_of(const Pool& pool) {
  std::uint64_t sessions = 0;
  for (const Seat& seat : seats_of(pool)) sessions += seat.backend->load->active.load();
  return sessions;
}

std::vector<Excess> excess_of(const Pool& pool, std::uint32_t to_percent, std::uint64_t of) {
  auto seats = seats_of(pool);
  share_out(seats, std::max(of, sessions_of(pool)));
  std::vector<Excess> out;
  for (const Seat& seat : seats) {
    // Not one more for what a division leaves behind its point.
    constexpr double kRounding = 1e-6;
    const auto kept = static_cast<std::uint64_t>(std::ceil(seat.share * to_percent / 100 - kRounding));
    const std::uint64_t has = seat.backend->load->active.load();
    if (has > kept) out.push_back({seat.backend->id(), has - kept});
  }
  std::ranges::sort(out, std::greater(), &Excess::sessions);
  return out;
}

std::optional<std::string> Rebalancing::objection(const Pool& pool) {
  if (pool.settings().balance == "first")
    return fmt::format(
        "pool {} fills one backend after another (balance = \"first\"): nothing is to be evened out",
        pool.settings().name);
  return std::nullopt;
}

void Rebalancing::round(const Pool& pool, Terms terms, std::uint64_t most, Done done) {
  struct Sum {
    Round round;
    std::size_t waiting = 1;
    Done done;
    void arrived(std::uint64_t ended) {
      round.ended += ended;
      round.over -= std::min(round.over, ended);
      if (--waiting == 0) done(round);
    }
  };
  auto sum = std::make_shared<Sum>();
  sum->done = std::move(done);
  terms.of = std::max(terms.of, sessions_of(pool));
  if (!terms.begun) terms.begun = loop_.refresh_now();
  sum->round.terms = terms;
  for (const Excess& one : excess_of(pool, terms.to_percent, terms.of)) {
    sum->round.over += one.sessions;
    const std::uint64_t count = std::min(one.sessions, most);
    most -= count;
    if (count == 0) continue;
    SessionFilter filter;
    filter.backend_id = one.id;
    filter.movable = true;
    filter.accepted_before = terms.begun;
    ++sum->waiting;
    workers_.list_sessions(filter, SessionOrder::Age, count,
                           [this, sum](const std::vector<SessionInfo>& oldest, std::uint64_t) {
                             SessionFilter those;
                             those.ids.emplace();
                             for (const SessionInfo& session : oldest) those.ids->push_back(session.id);
                             std::ranges::sort(*those.ids);
                             workers_.kill_sessions(those, UINT64_MAX, End::Rebalanced,
                                                    [sum](std::uint64_t ended) { sum->arrived(ended); });
                           });
  }
  sum->arrived(0);
}

void Rebalancing::follow(std::shared_ptr<const Table> table) {
  table_ = std::move(table);
  std::map<std::string, std::set<BackendId>, std::less<>> now;
  for (const auto& pool : table_->pools) {
    const std::string& name = pool->settings().name;
    if (!pool->settings().rebalance.is_limited() || objection(*pool)) continue;
    auto& eligible = now[name];
    for (const Seat& seat : seats_of(*pool)) eligible.insert(seat.backend->id());
    // At the start, and when a pool is new to this, nobody has had time to become uneven.
    const auto before = eligible_.find(name);
    if (before != eligible_.end() && !before->second.empty() &&
        !std::ranges::includes(before->second, eligible))
      begin(name);
  }
  eligible_ = std::move(now);
  std::erase_if(jobs_, [&](const auto& job) { return !eligible_.contains(job.first); });
  if (!jobs_.empty() && !timer_.active()) timer_.start(kStep);
}

void Rebalancing::begin(const std::string& pool) {
  const auto now = std::chrono::steady_clock::now();
  const auto [found, is_new] = jobs_.try_emplace(pool);
  Job& job = found->second;
  job.ended_last = now;
  // What is over their shares now is another number; how fast they are ended is not.
  job.terms = {.begun = loop_.refresh_now()};
  if (!is_new) return;
  job.begun = now;
  daemon_log().info("pool {}: a backend has come: sessions of those with more than their share are ended",
                    pool);
}

void Rebalancing::stop() {
  jobs_.clear();
  timer_.stop();
}

void Rebalancing::step() {
  const auto now = std::chrono::steady_clock::now();
  // What a round answers at once may end its job.
  std::vector<std::string> names;
  for (const auto& [name, job] : jobs_) names.push_back(name);
  for (const std::string& name : names)
    if (const auto pool = table_->find(name)) step(*pool, jobs_[name], now);
  if (!jobs_.empty()) timer_.start(kStep);
}

void Rebalancing::step(const Pool& pool, Job& job, Time now) {
  if (job.under_way) return;
  const auto interval = pool.settings().rebalance.interval;
  const auto due = static_cast<std::uint64_t>((now - job.begun) / interval) + 1;
  if (due <= job.asked) return;
  // After a pause of this process not all that was due meanwhile.
  const auto of_a_second = static_cast<std::uint64_t>(std::chrono::seconds(1) / interval) + 1;
  const std::uint64_t most = std::min(due - std::exchange(job.asked, due), of_a_second);
  job.under_way = true;
  round(pool, job.terms, most,
        [this, name = pool.settings().name](const Round& round) { on_round(name, round); });
}

void Rebalancing::on_round(const std::string& pool, const Round& round) {
  const auto found = jobs_.find(pool);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  const auto now = std::chrono::steady_clock::now();
  job.under_way = false;
  job.ended += round.ended;
  // Unless a backend has come meanwhile.
  if (job.terms.begun == round.terms.begun) job.terms = round.terms;
  if (round.ended > 0) job.ended_last = now;
  const auto current = table_->find(pool);
  const bool more_to_come = current != nullptr && ramps_up(*current);
  if (more_to_come) job.ended_last = now;
  if (round.over > 0 ? now - job.ended_last < kGiveUpAfter : more_to_come) return;
  daemon_log().info("pool {}: {} ended, and {}", pool, counted(job.ended, "session"),
                    round.over == 0
                        ? "nobody has more than its share"
                        : fmt::format("{} beyond a share stay: they are new, or would come back to the same "
                                      "backends",
                                      round.over));
  jobs_.erase(found);
}

}  // namespace weir
