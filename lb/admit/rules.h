#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lb/admit/network_set.h"

namespace weir {

/// Whom a listener lets in: the longest network that contains the client decides between `allow` and `deny`,
/// at equal length `deny`. Whom neither names is let in if `allow` is empty; a client without an address in
/// any case, unless "unix" is named. Built once, then only read, by any number of threads.
class Rules {
 public:
  Rules() = default;  ///< everybody
  Rules(std::vector<Network> allow, std::vector<Network> deny);

  struct Decision {
    bool allowed = true;
    std::optional<std::uint32_t> rule;  ///< which of the networks has decided
  };
  Decision decide(const ClientAddress& client) const;
  /// "deny 203.0.113.0/24", "not in allow", "allow 10.0.0.0/8", "no rule names it"
  std::string in_words(const Decision& decision) const;

  /// Of networks that are in both lists: what the operator should hear at load, a sentence for each.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  /// `deny` first: of equal networks the set finds the first.
  std::vector<Network> networks_;
  std::uint32_t denied_ = 0;  ///< so many of them
  NetworkSet set_;
  std::vector<std::string> warnings_;
};

}  // namespace weir
