#include "health/probe_run.h"

#include <fmt/format.h>

#include <utility>

namespace weir {

using std::chrono::nanoseconds;

ProbeRun::ProbeRun(ProbeLoop& loop, ProbeFactory& factory, const ProbeSubject& subject,
                   std::function<void(RunResult)> done)
    : loop_(loop), factory_(factory), subject_(subject), done_(std::move(done)), alarm_(loop, [this] {
        on_alarm();
      }) {}

ProbeRun::~ProbeRun() {
  if (running_) loop_.probe_ended();
  loop_.bury(std::move(probe_));
}

nanoseconds ProbeRun::attended(nanoseconds now) const {
  return now - started_ - absent();
}

void ProbeRun::start() {
  started_ = loop_.read_clock();
  absence_before_ = loop_.absence();
  running_ = true;
  loop_.probe_began();
  try_address();
}

void ProbeRun::try_address() {
  attempt_started_ = loop_.read_clock();
  const nanoseconds so_far = attended(attempt_started_);
  const auto addresses_left = static_cast<std::int64_t>(subject_.addresses.size() - index_);
  limit_ = so_far + (subject_.config.timeout - so_far) / addresses_left;
  alarm_.set(attempt_started_ + limit_ - so_far);
  const ProbeInput input{subject_.addresses[index_], subject_.config, subject_.pool, subject_.backend};
  probe_ = factory_.create(input, [this, index = index_](ProbeResult result) {
    if (index == index_ && !finished_) on_done(std::move(result));
  });
  probe_->start();
}

/// This address has not been connected to. False: it was the last one.
bool ProbeRun::try_next(const ProbeResult& result) {
  judged_one_ = judged_one_ || result.outcome == Outcome::Failed;
  if (index_ + 1 == subject_.addresses.size()) return false;
  earlier_ += fmt::format("{}: {}; ", subject_.addresses[index_].to_string(), result.text);
  loop_.bury(std::move(probe_));
  ++index_;
  try_address();
  return true;
}

std::string ProbeRun::all_said(const std::string& text) const {
  if (subject_.addresses.size() == 1) return text;
  return fmt::format("{}{}: {}", earlier_, subject_.addresses[index_].to_string(), text);
}

void ProbeRun::on_done(ProbeResult result) {
  const bool of_address = result.outcome != Outcome::Passed && !result.connected && !result.shortage;
  if (of_address && try_next(result)) return;
  if (of_address && judged_one_) result.outcome = Outcome::Failed;
  const nanoseconds latency = loop_.read_clock() - attempt_started_;
  // The backend may have failed because we did not answer in time. A timeout that was extended is no such
  // failure.
  if (result.outcome == Outcome::Failed && absent() > nanoseconds(subject_.config.timeout) / 4)
    finish(
        {Outcome::OwnTrouble,
         fmt::format("the checker was held up for {}", format_duration(std::chrono::round<Millis>(absent()))),
         latency, true});
  else
    finish({result.outcome, all_said(result.text), latency, false});
}

void ProbeRun::on_alarm() {
  const nanoseconds now = loop_.read_clock();
  if (const nanoseconds missing = limit_ - attended(now); missing > nanoseconds(0)) {
    alarm_.set(now + missing);
    return;
  }
  const std::size_t index = index_;
  probe_->look_again();
  if (finished_ || index != index_) return;
  if (probe_->connected() && limit_ < subject_.config.timeout) {
    // It has been accepted: the other addresses are of no interest any more, the whole time is this one's.
    limit_ = subject_.config.timeout;
    alarm_.set(now + limit_ - attended(now));
    return;
  }
  if (!probe_->connected() && try_next({Outcome::Failed, "timed out", false})) return;
  finish({Outcome::Failed,
          all_said(fmt::format("timed out after {}", format_duration(subject_.config.timeout))),
          now - attempt_started_, false});
}

void ProbeRun::finish(RunResult result) {
  finished_ = true;
  running_ = false;
  alarm_.cancel();
  loop_.probe_ended();
  loop_.bury(std::move(probe_));
  done_(std::move(result));
}

}  // namespace weir
