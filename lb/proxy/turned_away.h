#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "lb/balance/listener_load.h"
#include "lb/base/state.h"

namespace weir {

/// Which of the clients that were not let in have a line in the access log: of each listener and end word the
/// first kLines of a second, over all workers; the others of that second share one. Pure; on one thread.
class TurnedAwayLines {
 public:
  static constexpr std::uint32_t kLines = 10;

  /// The others of one listener and end word, of one second.
  struct Others {
    const ListenerLoad* listener = nullptr;
    End end = End::Denied;
    std::int64_t second = 0;  ///< since 1970
    std::uint64_t count = 0;
  };

  /// One that ended in that second: whether it gets a line of its own.
  bool take(const ListenerLoad& listener, End end, std::int64_t second) {
    Seen& seen = seen_in(listener, end, second);
    if (seen.lines < kLines) {
      ++seen.lines;
      return true;
    }
    ++seen.others;
    return false;
  }
  /// More of them, of whom nobody needs to be asked: of clients of that second without a line of their own.
  void take_others(const ListenerLoad& listener, End end, std::int64_t second, std::uint64_t count) {
    seen_in(listener, end, second).others += count;
  }
  /// Every listener and end word that there has been.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const auto& [key, seen] : seen_) visit(*key.first, key.second);
  }
  /// Those of seconds that are over by `second`, each once.
  template <class Say>
  void say_finished(std::int64_t second, Say&& say) {
    for (auto& [key, seen] : seen_)
      if (is_another(second, seen.second)) finish(*key.first, key.second, seen);
    for (const Others& others : std::exchange(finished_, {})) say(others);
  }
  /// Whether somebody shares a line that is still to be said.
  bool pending() const {
    if (!finished_.empty()) return true;
    for (const auto& [key, seen] : seen_)
      if (seen.others > 0) return true;
    return false;
  }

 private:
  struct Seen {
    std::int64_t second = 0;
    std::uint32_t lines = 0;
    std::uint64_t others = 0;
  };
  Seen& seen_in(const ListenerLoad& listener, End end, std::int64_t second) {
    Seen& seen = seen_[{&listener, end}];
    if (is_another(second, seen.second)) {
      finish(listener, end, seen);
      seen = {second, 0, 0};
    }
    return seen;
  }
  /// A second later, or the clock has been set back; records of several workers may come a little late.
  static bool is_another(std::int64_t second, std::int64_t last) {
    return second > last || second + 1 < last;
  }
  void finish(const ListenerLoad& listener, End end, Seen& seen) {
    if (seen.others > 0) finished_.push_back({&listener, end, seen.second, std::exchange(seen.others, 0)});
  }

  std::map<std::pair<const ListenerLoad*, End>, Seen> seen_;
  std::vector<Others> finished_;
};

}  // namespace weir
