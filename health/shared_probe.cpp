#include "health/shared_probe.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {

using std::chrono::nanoseconds;

namespace {

/// Connects failed in a row that are worth a probe before its time.
constexpr std::uint32_t kAlarming = 3;

}  // namespace

SharedProbe::SharedProbe(ProbeLoop& loop, ProbeFactory& factory, ProbeSlots& slots, Reporter& reporter,
                         ProbeSubject subject, const Schedule& schedule)
    : loop_(loop),
      factory_(factory),
      slots_(slots),
      reporter_(reporter),
      subject_(std::move(subject)),
      schedule_(schedule),
      start_(loop, [this] { ask_for_slot(); }) {}

SharedProbe::~SharedProbe() {
  if (waiting_) slots_.withdraw(*this);
  if (run_ && !run_->finished()) slots_.leave();
}

SharedProbe::Member* SharedProbe::find(BackendId id) {
  const auto found =
      std::ranges::find_if(members_, [id](const Member& member) { return member.load->id == id; });
  return found == members_.end() ? nullptr : &*found;
}

void SharedProbe::join(std::shared_ptr<BackendLoad> load, Health known, std::uint32_t against) {
  members_.push_back(
      {std::move(load), Verdict(subject_.config.rise, subject_.config.fall, known, against), runs_ + 1, ""});
  // A run that is under way began before: schedule_next sees that somebody waits for another one.
  const bool running = run_ && !run_->finished();
  if (!running && !waiting_) start_.set(start_at_ = loop_.now());
}

SharedProbe::Known SharedProbe::leave(BackendId id) {
  Member* const member = find(id);
  if (member == nullptr) return {};
  const Known known{member->verdict.health(), member->verdict.against()};
  member->load->report_pending.store(false);
  members_.erase(members_.begin() + (member - members_.data()));
  return known;
}

void SharedProbe::connects_changed(BackendId id) {
  Member* const member = find(id);
  if (member == nullptr || member->verdict.health() != Health::Up) return;
  if (member->load->failures_in_a_row.load() < kAlarming) return;
  // One early probe is enough, so no further hints until it begins (on_slot).
  member->load->report_pending.store(true);
  const nanoseconds soonest = std::max(loop_.now(), last_start_ + nanoseconds(subject_.config.fast_interval));
  if (run_ && !run_->finished())
    early_ = true;
  else if (start_.is_set() && soonest < start_at_)
    start_.set(start_at_ = soonest);
}

void SharedProbe::ask_for_slot() {
  waiting_ = true;
  slots_.enter(*this);
}

void SharedProbe::on_slot() {
  waiting_ = false;
  early_ = false;
  ++runs_;
  for (const Member& member : members_) member.load->report_pending.store(false);
  last_start_ = loop_.read_clock();
  run_ = std::make_unique<ProbeRun>(loop_, factory_, subject_,
                                    [this](const RunResult& result) { on_result(result); });
  run_->start();
}

void SharedProbe::on_result(const RunResult& result) {
  if (result.outcome == Outcome::OwnTrouble)
    tell_trouble(result);
  else
    for (Member& member : members_)
      if (runs_ >= member.first_run) count(member, result);
  schedule_next(result);
  slots_.leave();
}

void SharedProbe::schedule_next(const RunResult& result) {
  const bool somebody_waits =
      std::ranges::any_of(members_, [this](const Member& member) { return runs_ < member.first_run; });
  const bool confirming =
      std::ranges::any_of(members_, [](const Member& member) { return member.verdict.against() > 0; });
  nanoseconds at = confirming ? schedule_.next_fast(last_start_) : schedule_.next(last_start_);
  if (somebody_waits || result.held_up)
    at = loop_.now();
  else if (early_ || result.outcome == Outcome::OwnTrouble)
    at = std::min(at, last_start_ + nanoseconds(subject_.config.fast_interval));
  start_.set(start_at_ = std::max(at, loop_.now()));
}

std::string SharedProbe::passed_text(const RunResult& result) const {
  const double millis = std::chrono::duration<double, std::milli>(result.latency).count();
  return fmt::format("({}, {:.1f} ms)", subject_.config.kind, millis);
}

void SharedProbe::count(Member& member, const RunResult& result) {
  Verdict& verdict = member.verdict;
  const BackendId id = member.load->id;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(result.latency);
  member.load->last_probe.store(took);
  const bool passed = result.outcome == Outcome::Passed;
  member.load->probes.count(passed, took);
  const bool first = verdict.health() == Health::Unknown;
  const bool was_against = verdict.against() > 0;
  const std::string failed_text = passed ? "" : fmt::format("({}): {}", subject_.config.kind, result.text);
  if (verdict.add(passed)) {
    std::string reason = passed ? "probe passed " + passed_text(result)
                         : first || subject_.config.fall == 1
                             ? "probe failed " + failed_text
                             : fmt::format("probe failed {} times {}", subject_.config.fall, failed_text);
    member.said = failed_text;
    reporter_.transition(id, verdict.health(), std::move(reason));
    return;
  }
  if (verdict.against() > 0) {
    reporter_.refresh(id, verdict.health(),
                      fmt::format("{} of {} probes {} {}", verdict.against(), verdict.needed(),
                                  passed ? "passed" : "failed", passed ? passed_text(result) : failed_text),
                      verdict.against());
    return;
  }
  // Nothing new, unless a count has been given up or it fails in another way than before.
  if (!was_against && failed_text == member.said) return;
  member.said = failed_text;
  reporter_.refresh(id, verdict.health(),
                    passed ? "probe passed " + passed_text(result) : "probe failed " + failed_text);
}

void SharedProbe::tell_trouble(const RunResult& result) {
  if (result.held_up) return;
  for (Member& member : members_) {
    const std::string text = "probe could not be run: " + result.text;
    if (member.said == text) continue;
    member.said = text;
    reporter_.refresh(member.load->id, member.verdict.health(), text);
  }
}

}  // namespace weir
