#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lb/balance/table.h"
#include "lb/control/followed_name.h"
#include "lb/control/registry.h"
#include "lb/net/loop.h"
#include "lb/net/resolver.h"
#include "lb/net/timer.h"

namespace weir {

/// Follows the host names of backends: asks when they appear, when their time to live is over, when this
/// host's own files change, and when somebody has a reason to (ask_again); tells the Registry. Backends of
/// one name share its questions and its answers. What is due when is FollowedName's affair. Control thread.
class NameResolution {
 public:
  NameResolution(Loop& loop, Registry& registry, ResolverSettings settings = {});

  /// Takes the names that are in the table now. To be called after each publish, once for all of a turn.
  void update();
  /// A reload: every name.
  void ask_again();
  /// These backends have gone down; those that have no name are passed over.
  void ask_again(const std::vector<BackendId>& backends);
  /// Calls back once each name that is known now has been answered, or has failed, for the first time; at
  /// once when that is so. One caller at a time.
  void when_answered(std::function<void()> done);

 private:
  using Time = FollowedName::Time;

  struct Member {
    BackendId id;
    std::uint16_t port;
  };
  struct Name {
    FollowedName followed;
    std::vector<Member> members;
    std::optional<Time> queued;  ///< its place in queue_
    std::vector<Address> told;   ///< to the Registry, with `told_failure`
    std::string told_failure;
    bool failing = false;  ///< as the log has it
  };
  using Names = std::map<std::string, Name>;

  /// The next one.
  Names::iterator forget(Names::iterator name);
  void want(Names::value_type& name);
  void queue(Names::value_type& name);
  void on_timer();
  void on_files_timer();
  void ask(const std::string& host, AddressFamily family);
  void answered(const std::string& host, AddressFamily family, NameAnswer answer);
  void log(const std::string& host, Name& name) const;
  /// To all its members, at the end of the turn.
  void tell(Names::value_type& name);
  void tell_one(const Member& member, const Names::value_type& name);
  void tell_registry();
  void schedule();
  bool all_answered() const;

  Loop& loop_;
  Registry& registry_;
  Resolver resolver_;
  Timer timer_;
  Timer files_timer_;
  Names names_;  ///< by the name in small letters
  std::unordered_map<BackendId, Names::value_type*> by_backend_;
  std::set<std::pair<Time, std::string>> queue_;
  std::vector<AddressReport> reports_;
  Timer tell_;  ///< runs out at the end of the turn
  std::function<void()> done_;
};

}  // namespace weir
