#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "lb/balance/backend.h"
#include "lb/config/config.h"
#include "lb/control/standing.h"

namespace weir {

/// A backend that is in no pool's list any more.
struct Leaver {
  Backend last;  ///< as it was, but for what `standing` says
  ProbeConfig probe;
  Standing standing;
  std::chrono::steady_clock::time_point left;
  bool stands_in = false;  ///< for some pool: it is probed on

  /// As it is now.
  Backend now(std::chrono::steady_clock::time_point time) const;
  const std::string& pool() const { return last.load->pool; }
};

/// Those who have left and have a reason to be remembered: sessions that go on, a pool for which they stand
/// in, or that they left a moment ago and are not forgotten yet. Knows nothing of who is a member.
class Leavers {
 public:
  /// How long what is known of one that is probed no more counts.
  static constexpr std::chrono::seconds kRemembered{10};

  void add(Leaver leaver);
  /// One that comes back under its old name, pool and address is the same backend.
  std::optional<Leaver> take_back(std::string_view pool, std::string_view name, std::string_view address);
  Leaver* find(BackendId id);
  /// Null: nobody of that name, pool and address has left.
  std::shared_ptr<BackendLoad> load_of(std::string_view pool, std::string_view name,
                                       std::string_view address) const;
  void keep_stand_ins_only();
  /// Forgets those without a reason. `standing_in` says which are probed on.
  void tidy(const std::unordered_set<BackendId>& standing_in, std::chrono::steady_clock::time_point now);

  const std::map<BackendId, Leaver>& all() const { return all_; }

 private:
  std::map<BackendId, Leaver> all_;
  std::map<std::string, BackendId, std::less<>> by_name_;  ///< pool, name and address; the last to leave
};

/// Says of a backend what is known of its place.
void describe_standing(Backend& backend, const Standing& standing, std::chrono::steady_clock::time_point now);

}  // namespace weir
