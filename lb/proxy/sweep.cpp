#include "lb/proxy/sweep.h"

#include <utility>

#include "lb/proxy/session.h"

namespace weir {

void Sweeper::begin(SessionList& sessions, std::uint64_t end_number, Visit visit, Done done) {
  sweeps_.push_back({end_number, std::move(visit), std::move(done)});
  step(sessions);
}

void Sweeper::step(SessionList& sessions) {
  std::size_t visits = 0;
  std::size_t acts = 0;
  while (!sweeps_.empty() && visits < kVisitsPerTurn && acts < kActsPerTurn) {
    Sweep& sweep = sweeps_.front();
    if (!place_.linked()) sessions.prepend(place_);
    ListPlace* const next = sessions.after(place_);
    if (next == nullptr || Session::of(*next).number() >= sweep.end_number) {
      place_.unlink();
      finished_.push_back(std::move(sweep.done));
      sweeps_.pop_front();
      continue;
    }
    place_.insert_after(*next);
    Session& session = Session::of(*next);
    ++visits;
    if (!session.over() && sweep.visit(session)) ++acts;
  }
}

void Sweeper::abandon() {
  sweeps_.clear();
  finished_.clear();
  place_.unlink();
}

void Sweeper::say_all_done() {
  for (const Done& done : std::exchange(finished_, {})) done();
}

}  // namespace weir
