#include "lb/control/http_places.h"

#include <algorithm>

#include "lb/base/error.h"

namespace weir {

std::size_t HttpPlaces::placed(bool privileged_too) const {
  return static_cast<std::size_t>(std::ranges::count_if(callers_, [&](const auto& item) {
    return !item.second.leaving && (privileged_too || !item.second.privileged);
  }));
}

std::optional<int> HttpPlaces::longest_waiting(bool privileged_too) const {
  auto longest = callers_.end();
  for (auto it = callers_.begin(); it != callers_.end(); ++it) {
    const Caller& caller = it->second;
    if (caller.leaving || caller.phase == Phase::Work || caller.phase == Phase::Stream ||
        (caller.privileged && !privileged_too))
      continue;
    if (longest == callers_.end() || caller.since < longest->second.since) longest = it;
  }
  return longest != callers_.end() ? std::optional(longest->first) : std::nullopt;
}

HttpPlaces::Arrival HttpPlaces::arrive(int fd, bool privileged, TimePoint now) {
  Arrival arrival;
  const bool full = placed(true) >= places_ || (!privileged && placed(false) >= places_ - reserved(places_));
  if (full) {
    arrival.displaced = longest_waiting(false);
    if (!arrival.displaced && privileged) arrival.displaced = longest_waiting(true);
    if (!arrival.displaced) return arrival;
    callers_.at(*arrival.displaced).leaving = true;
  }
  arrival.admitted = true;
  WEIR_CHECK(callers_.emplace(fd, Caller{.privileged = privileged, .since = now}).second);
  return arrival;
}

bool HttpPlaces::busy() const {
  return std::ranges::any_of(callers_, [](const auto& item) {
    const Caller& caller = item.second;
    return !caller.leaving && caller.phase != Phase::Stream &&
           (caller.phase != Phase::Request || !caller.answered);
  });
}

void HttpPlaces::leave(int fd) {
  callers_.erase(fd);
}

void HttpPlaces::enter(int fd, Phase phase, TimePoint now) {
  const auto found = callers_.find(fd);
  if (found == callers_.end()) return;
  if (phase == Phase::Request) found->second.answered = true;
  found->second.phase = phase;
  found->second.since = now;
}

HttpPlaces::TimePoint HttpPlaces::deadline(const Caller& caller) {
  if (caller.leaving || caller.phase == Phase::Work || caller.phase == Phase::Queue ||
      caller.phase == Phase::Stream)
    return TimePoint::max();
  return caller.since + (caller.phase == Phase::Request ? kRequestTime : kAnswerTime);
}

std::vector<int> HttpPlaces::overdue(TimePoint now) {
  std::vector<int> out;
  for (auto& [fd, caller] : callers_) {
    if (deadline(caller) > now) continue;
    caller.leaving = true;
    out.push_back(fd);
  }
  return out;
}

std::vector<int> HttpPlaces::between_requests() const {
  std::vector<int> out;
  for (const auto& [fd, caller] : callers_)
    if (!caller.leaving && caller.answered && caller.phase == Phase::Request) out.push_back(fd);
  return out;
}

std::optional<HttpPlaces::TimePoint> HttpPlaces::next_deadline() const {
  TimePoint next = TimePoint::max();
  for (const auto& [fd, caller] : callers_) next = std::min(next, deadline(caller));
  return next != TimePoint::max() ? std::optional(next) : std::nullopt;
}

}  // namespace weir
