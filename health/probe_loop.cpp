#include "health/probe_loop.h"

#include <algorithm>

namespace weir {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kHeartbeat = Millis(100);

}  // namespace

void Alarm::set(nanoseconds at) {
  cancel();
  at_ = at;
  set_ = true;
  loop_.alarms_.emplace(at, this);
}

void Alarm::cancel() {
  if (!set_) return;
  loop_.alarms_.erase({at_, this});
  set_ = false;
}

ProbeLoop::ProbeLoop(Loop& loop) : loop_(loop) {
  loop_.set_turn(this);
}

ProbeLoop::~ProbeLoop() {
  loop_.set_turn(nullptr);
  graveyard_.clear();
}

void ProbeLoop::bury(std::unique_ptr<Probe> probe) {
  if (!probe) return;
  probe->cancel();
  graveyard_.push_back(std::move(probe));
}

void ProbeLoop::ring_due() {
  // Only what is due now: alarms that are set meanwhile wait for the next turn, so that sockets get theirs.
  const Entry last{now() + nanoseconds(1), nullptr};
  std::vector<Entry> due(alarms_.begin(), alarms_.lower_bound(last));
  for (const Entry& entry : due) {
    if (!alarms_.contains(entry)) continue;  // cancelled, set anew or destroyed by one that rang before it
    entry.second->cancel();
    entry.second->on_due_();
  }
}

nanoseconds ProbeLoop::longest_sleep() const {
  const nanoseconds to_alarm =
      alarms_.empty() ? nanoseconds(-1) : std::max(alarms_.begin()->first - now(), nanoseconds(0));
  if (probes_running_ == 0) return to_alarm;
  return to_alarm < nanoseconds(0) ? kHeartbeat : std::min(to_alarm, kHeartbeat);
}

Millis ProbeLoop::on_turn_end() {
  const nanoseconds begin = read_clock();
  attendance_.wake(begin);
  graveyard_.clear();
  ring_due();
  graveyard_.clear();
  // What our own callbacks took is absence too, as far as it is more than usual.
  attendance_.sleep(begin, nanoseconds(0));
  attendance_.wake(read_clock());
  const nanoseconds longest = longest_sleep();
  attendance_.sleep(now(), longest);
  return longest < nanoseconds(0) ? Millis(-1) : std::chrono::ceil<Millis>(longest);
}

}  // namespace weir
