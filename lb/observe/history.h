#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/observe/histogram.h"

namespace weir {

/// What has been seen of a backend, of a pool or of all within one step of time.
struct HistoryStep {
  static constexpr std::uint32_t kUnseen = UINT32_MAX;
  static constexpr std::uint8_t kNoTime = 0xFF;

  std::uint32_t active = kUnseen;  ///< sessions: the most at its looks; kUnseen: nobody has looked
  std::uint32_t sessions = 0;      ///< begun in it
  // What has failed, by kind.
  std::uint32_t connect_failures = 0;
  std::uint32_t backend_resets = 0;  ///< sessions that the backend has cut off
  std::uint32_t probes_failed = 0;
  std::uint32_t unserved = 0;  ///< sessions that found no backend; 0 of a backend
  std::uint8_t connect_p50 =
      kNoTime;  ///< a bucket of time_buckets, by its end; kNoTime: no connect has worked
  std::uint8_t connect_p99 = kNoTime;
  std::uint64_t bytes_to_backend = 0;
  std::uint64_t bytes_to_client = 0;

  bool seen() const { return active != kUnseen; }
};

/// The last hour of one backend, one pool or of all: the last 10 minutes in steps of 5 s, the hour in steps
/// of a minute. Of fixed size, under 12 KiB. Steps are numbered; one in which nobody looked stays unseen.
class HistorySeries {
 public:
  static constexpr std::chrono::seconds kShortStep{5}, kLongStep{60};
  static constexpr std::uint64_t kShortSteps = 120, kLongSteps = 60;
  static constexpr std::uint64_t kShortInLong = kLongStep / kShortStep;

  /// What has happened since the look before. `connects` null: no connect has worked.
  struct Growth {
    std::uint32_t active = 0;
    std::uint64_t sessions = 0, connect_failures = 0, backend_resets = 0, probes_failed = 0, unserved = 0;
    std::uint64_t bytes_to_backend = 0, bytes_to_client = 0;
    const TimeCounts* connects = nullptr;
  };
  /// In the short step of that number, which is never less than at the call before. Of two looks within one
  /// step the growths add up.
  void add(std::uint64_t step, const Growth& growth);

  /// The oldest first, up to the last that has been looked at; at most as many as there are, fewer of a
  /// series that is younger. Of the minutes the last is under way.
  std::vector<HistoryStep> last_short() const;
  std::vector<HistoryStep> last_long() const;

 private:
  friend struct HistoryBytes;

  bool begun_ = false;
  std::uint64_t first_ = 0, last_ = 0;
  std::array<HistoryStep, kShortSteps> short_;
  std::array<HistoryStep, kLongSteps> long_;
  /// Connects of the short and the long step under way.
  TimeCounts short_connects_, long_connects_;
};

/// The last hour of every backend, of every pool and of all together, for those who ask later; filled by
/// looks at counters that are kept anyway. Control thread only.
///
/// A backend is known by its id, so that it keeps its history over reloads; one that is missing at a look is
/// forgotten. A pool's counts are the sums of its backends', and go on when a backend leaves; a pool without
/// a backend is forgotten.
class History {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  using System = std::chrono::system_clock::time_point;

  /// One backend at a look: counters since its beginning.
  struct Sample {
    std::uint32_t id = 0;
    std::string_view pool, name;
    std::uint32_t active = 0;
    std::uint64_t sessions = 0, connect_failures = 0, backend_resets = 0, probes_failed = 0;
    std::uint64_t bytes_to_backend = 0, bytes_to_client = 0;
    std::optional<TimeCounts> connects;  ///< nothing: no connect has worked yet
  };
  /// By pool: sessions that found no backend, since its beginning.
  using Unserved = std::map<std::string_view, std::uint64_t>;

  /// `start`: the first step begins there.
  explicit History(Steady start) : start_(start) {}

  /// To be called every kShortStep. What the first look finds has been counted before the history began, and
  /// is not taken as growth.
  void look(Steady now, System wall, const std::vector<Sample>& samples, const Unserved& unserved = {});

  const HistorySeries& all() const { return all_; }
  /// Null: there is none of this name. Of two backends of one name the younger one is meant.
  const HistorySeries* find(std::string_view pool) const;
  const HistorySeries* find(std::string_view pool, std::string_view backend) const;
  /// In the order of their names.
  std::vector<std::pair<std::string_view, const HistorySeries*>> pools() const;
  /// By the system's clock, of the last look: when the last step of each list ended, or stands now.
  System wall() const { return wall_; }

  /// Where to_bytes() stops taking backends: some thousand of busy ones, many thousand of idle ones.
  static constexpr std::size_t kMostBytes = 16 * 1024 * 1024;
  /// All of it for the process that follows, a little more than kMostBytes at most.
  std::string to_bytes() const;
  /// Goes on where that process has stopped, on the same clock: at the first look backends are known again by
  /// pool and name, those that are not there are forgotten, and what they have counted so far is no growth.
  /// Nothing when these are not the bytes of a to_bytes() before `now` that this Weir knows.
  static std::optional<History> from_bytes(std::string_view bytes, Steady now);

 private:
  struct OfBackend {
    std::string pool, name;
    HistorySeries series;
    Sample last;  ///< its names are not used
    std::uint64_t look = 0;
  };
  struct OfPool {
    HistorySeries series;
    HistorySeries::Growth growth;
    TimeCounts connects;
    std::uint64_t unserved = 0;  ///< at the last look
    std::uint64_t look = 0;
  };

  Steady start_;
  System wall_{};
  std::uint64_t looks_ = 0;
  HistorySeries all_;
  std::map<std::uint32_t, std::unique_ptr<OfBackend>> backends_;
  std::map<std::string, std::unique_ptr<OfPool>, std::less<>> pools_;
  /// By pool and name, until the first look.
  std::map<std::pair<std::string, std::string>, std::unique_ptr<OfBackend>> handed_over_;
};

}  // namespace weir
