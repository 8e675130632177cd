#include "lb/admit/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace weir {

Rules::Rules(std::vector<Network> allow, std::vector<Network> deny)
    : networks_(std::move(deny)), denied_(static_cast<std::uint32_t>(networks_.size())) {
  networks_.insert(networks_.end(), allow.begin(), allow.end());
  set_ = NetworkSet(networks_);

  std::vector<Network> denied(networks_.begin(), networks_.begin() + denied_);
  std::sort(denied.begin(), denied.end());
  std::sort(allow.begin(), allow.end());
  std::vector<Network> both;
  std::set_intersection(allow.begin(), allow.end(), denied.begin(), denied.end(), std::back_inserter(both));
  for (const Network& network : both)
    warnings_.push_back(fmt::format("{} is both in allow and in deny: deny counts", network.to_string()));
}

Rules::Decision Rules::decide(const ClientAddress& client) const {
  if (const auto found = set_.find(client)) return {*found >= denied_, *found};
  const bool is_open = networks_.size() == denied_ || client.ip().empty();
  return {is_open, std::nullopt};
}

std::string Rules::in_words(const Decision& decision) const {
  if (decision.rule)
    return fmt::format("{} {}", decision.allowed ? "allow" : "deny", networks_[*decision.rule].to_string());
  return decision.allowed ? "no rule names it" : "not in allow";
}

}  // namespace weir
