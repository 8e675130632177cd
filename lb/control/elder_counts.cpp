#include "lb/control/elder_counts.h"

#include <algorithm>

namespace weir {

ElderCounts::ElderCounts(Predecessors& predecessors, Registry& registry)
    : predecessors_(predecessors), registry_(registry) {
  predecessors_.on_leave([this](pid_t pid, bool said_all) { on_leave(pid, said_all); });
}

void ElderCounts::ask(std::function<void(const Counts&)> done) {
  if (predecessors_.list().empty()) return done(sum());
  predecessors_.ask_each("counts", [this, done = std::move(done)](const auto& answers) {
    take(answers);
    done(sum());
  });
}

void ElderCounts::take(const std::vector<PredecessorAnswer>& answers) {
  for (const PredecessorAnswer& answer : answers) {
    // One that has said its last word meanwhile is counted already.
    const bool listed = std::ranges::any_of(predecessors_.list(),
                                            [&](const Predecessor& one) { return one.pid == answer.pid; });
    if (!listed || answer.status != 200) continue;
    if (auto counts = parse_counts(answer.body)) last_[answer.pid] = std::move(*counts);
  }
}

void ElderCounts::on_leave(pid_t pid, bool said_all) {
  const auto last = last_.extract(pid);
  if (last && !said_all) registry_.add(last.mapped());
}

Counts ElderCounts::sum() const {
  Counts out;
  for (const auto& [pid, counts] : last_) out += counts;
  return out;
}

}  // namespace weir
