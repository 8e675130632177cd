#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/address.h"
#include "lb/net/resolver.h"

namespace weir {

/// What is known of one host name, and when it is to be asked for next. Pure: no clock, no socket, no text of
/// its own; the time is passed in.
///
/// A name that moves to other addresses altogether keeps the old ones behind the new ones for a while:
/// whoever changes a record before the new server listens costs no session, and the backend's health, which
/// is one for all its addresses, is never unknown on the way.
class FollowedName {
 public:
  using Time = std::chrono::nanoseconds;

  static constexpr Millis kShortestTtl{1'000};
  static constexpr Millis kLongestTtl{300'000};
  /// However many have a reason to ask.
  static constexpr Millis kOncePer{1'000};
  static constexpr Millis kFirstRetry{1'000};
  static constexpr Millis kLastRetry{30'000};
  /// How long addresses that were left for altogether different ones are still tried, after those.
  static constexpr Millis kOldServeFor{30'000};

  /// What it resolved to, by an answer of unknown age. Before anything else.
  void begin_with(std::vector<Address> addresses) { addresses_ = current_ = std::move(addresses); }

  /// There is a reason to ask before its time: somebody new needs it, a reload, a backend that has gone down.
  void want(Time now);
  /// When something is to be done: a question to be asked, or old addresses to be left. Nothing: not until
  /// something happens.
  std::optional<Time> due() const;
  bool question_due(Time now) const { return !open_ && next_ && *next_ <= now; }

  /// A question is on its way; another one is not due before it has been answered.
  void asked(Time now);
  /// The answer for both families together. True when it is to be asked for `missing_family()` alone before
  /// the question is over.
  [[nodiscard]] bool answered(Time now, NameAnswer answer);
  AddressFamily missing_family() const { return missing_; }
  /// The answer for that family alone: a failure keeps what is known of it, unless there are none any more.
  void answered_alone(Time now, NameAnswer answer);

  /// In the order to try them in. Grows and shrinks with answered(), answered_alone() and tick().
  const std::vector<Address>& addresses() const { return addresses_; }
  void tick(Time now);

  bool ever_answered() const { return ever_answered_; }
  bool is_open() const { return open_; }
  /// Why the last question has failed; empty when it has not.
  const std::string& failure() const { return failure_; }

 private:
  void learn(Time now, std::vector<Address> found);
  void close(Time now, std::optional<Millis> wait);

  std::vector<Address> current_;    ///< of the last answer that was none of failure
  std::vector<Address> old_;        ///< tried after them
  std::vector<Address> addresses_;  ///< both
  std::vector<Address> partial_;    ///< an answer that waits for that of the family it lacks
  AddressFamily missing_ = AddressFamily::Any;
  std::optional<Millis> ttl_;
  std::optional<Time> next_;
  std::optional<Time> last_asked_;
  Time old_until_{0};
  Millis retry_ = kFirstRetry;
  bool open_ = false;
  bool wanted_ = false;  ///< while the question was open: its answer may be older than the reason
  bool ever_answered_ = false;
  std::string failure_;
};

}  // namespace weir
