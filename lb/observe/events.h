#pragma once

#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

/// Something that has happened and that an operator may ask for later.
struct Event {
  enum class Kind : std::uint8_t {
    Health,   ///< a backend's health is another
    Verdict,  ///< a pool's is
    Word,     ///< an operator's, and its end
    Member,   ///< a backend has come or gone at run time
    Reload,
    Upgrade,
    Trouble,  ///< of this host or this process
    Process   ///< its start and its end
  };

  std::chrono::system_clock::time_point time;  ///< of the last, when there are several
  Kind kind = Kind::Process;
  std::string pool = {};                  ///< "" = of no pool
  std::string backend = {};               ///< "" = of no backend
  std::string text = {};                  ///< one line: "up → down: connection refused"
  std::string by = {};                    ///< "ann", "SIGHUP"; "" = nobody
  std::vector<std::string> changes = {};  ///< of a reload or an upgrade, a line each
  std::uint64_t count = 1;                ///< how often, within a second each
  std::uint64_t number = 0;               ///< given by Events: greater than that of any before it
};

std::string_view to_string(Event::Kind kind);
std::optional<Event::Kind> event_kind(std::string_view word);

/// The last events, in memory; the log is where all of them are for good. Control thread only.
class Events {
 public:
  static constexpr std::size_t kMost = 10'000;
  /// What is said again within this long is the same event once more.
  static constexpr std::chrono::seconds kTogether{1};

  /// Takes it, and writes it into the daemon's log: "web/web1 up → down: connection refused".
  void tell(spdlog::level::level_enum level, Event event);
  void add(Event event);
  /// Another process has taken over, and tells what becomes of pools and backends: what is told of them here
  /// is for those who look for faults, and is kept nowhere.
  void hand_over() { handed_over_ = true; }

  struct Wanted {
    std::string_view pool = {};     ///< "" = any, and those of none
    std::string_view backend = {};  ///< the same
    std::chrono::system_clock::time_point since = {};
    std::size_t most = kMost;  ///< the newest of them
  };
  /// In the order of their times.
  std::vector<Event> find(const Wanted& wanted) const;

  /// The last one of that kind, however long ago.
  const std::optional<Event>& last(Event::Kind kind) const { return last_[static_cast<std::size_t>(kind)]; }

  const std::deque<Event>& all() const { return events_; }

  /// Where a reader is who has read up to an event: what is told over an upgrade, where numbers begin anew.
  struct Place {
    std::int64_t time_ms = 0;       ///< the event's, since 1970
    std::uint32_t of_the_same = 0;  ///< how many events of that millisecond have been read
  };

  /// Reads what comes, in the order it comes. Holds nothing: what it has not read when it is forgotten is
  /// missed. Not longer than its Events.
  class Follower {
   public:
    /// Who wants what of it; `since`: nothing = only what comes from now on. `on_new`: at each event, wanted
    /// or not.
    struct Terms {
      std::string pool = {};  ///< as Wanted
      std::string backend = {};
      std::optional<std::chrono::system_clock::time_point> since = {};
      std::optional<Place> after = {};  ///< instead of `since`
    };
    Follower(Events& events, Terms terms, std::function<void()> on_new);
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    /// The next ones, at most `most`; none: it has read all.
    std::vector<Event> next(std::size_t most);
    /// Of the last one that it has looked at: at first that before what it is to read.
    const Place& place() const { return place_; }
    /// How many were forgotten unread since the last call.
    std::uint64_t take_missed() { return std::exchange(missed_, 0); }

   private:
    friend class Events;
    bool wants(const Event& event) const;
    void pass(const Event& event);

    Events& events_;
    Terms terms_;
    std::function<void()> on_new_;
    std::uint64_t read_ = 0;  ///< the number of the last one it has looked at
    std::uint64_t missed_ = 0;
    Place place_;
  };

 private:
  std::deque<Event>::const_iterator after(std::uint64_t number) const;

  std::vector<Follower*> followers_;
  bool handed_over_ = false;
  std::uint64_t last_number_ = 0;
  std::deque<Event> events_;
  std::array<std::optional<Event>, static_cast<std::size_t>(Event::Kind::Process) + 1> last_;
};

}  // namespace weir
