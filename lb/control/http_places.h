#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace weir {

/// Who may be connected to an HttpServer, and for how long: so many that callers who say nothing, or drip, or
/// do not read their answers, never lock an operator out. Counts sockets by their numbers and touches none;
/// the server shuts down those that are named here. One thread.
class HttpPlaces {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Of the places, those that only root and the daemon's own user may take: one in eight, and one at least.
  static std::size_t reserved(std::size_t places) { return std::max<std::size_t>(1, places / 8); }
  /// For a request as a whole, from the connect or the end of the answer before it.
  static constexpr std::chrono::seconds kRequestTime{10};
  /// For an answer to be taken as a whole.
  static constexpr std::chrono::seconds kAnswerTime{30};

  /// Whose turn it is on a connection.
  enum class Phase : std::uint8_t {
    Request,  ///< the caller's: it sends
    Queue,    ///< ours, when others' requests have been worked on: no deadline
    Work,     ///< ours: no deadline here, and never given away
    Answer,   ///< the caller's: it takes the answer
    Stream    ///< nobody's: there is nothing to be sent now. No deadline, and never given away
  };

  explicit HttpPlaces(std::size_t places) : places_(places) {}

  struct Arrival {
    bool admitted = false;
    std::optional<int> displaced;  ///< who has waited longest and gives way: to be shut down
  };
  /// A newcomer, whose place is its from now on when it is admitted. `privileged`: root's or our own user's.
  Arrival arrive(int fd, bool privileged, TimePoint now);
  /// To be called once for each that was admitted, before its number can be another's.
  void leave(int fd);
  void enter(int fd, Phase phase, TimePoint now);

  /// Those whose time is over, each named once: to be shut down.
  std::vector<int> overdue(TimePoint now);
  /// Those who have been answered and have not asked again, as far as has been read.
  std::vector<int> between_requests() const;
  /// When the next one is; nothing when nobody is waited for.
  std::optional<TimePoint> next_deadline() const;
  /// With those who are shut down and have not left yet.
  std::size_t connected() const { return callers_.size(); }
  /// Whether anybody may wait for an answer: a request is being worked on, an answer being taken, or one who
  /// was let in has yet to ask. Who has been answered and stays connected is no reason to stay.
  bool busy() const;

 private:
  struct Caller {
    bool privileged = false;
    bool leaving = false;  ///< named, and holds no place any more
    bool answered = false;
    Phase phase = Phase::Request;
    TimePoint since;
  };
  std::size_t placed(bool privileged_too) const;
  std::optional<int> longest_waiting(bool privileged_too) const;
  static TimePoint deadline(const Caller& caller);

  const std::size_t places_;
  std::map<int, Caller> callers_;
};

}  // namespace weir
