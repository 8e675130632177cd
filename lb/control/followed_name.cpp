#include "lb/control/followed_name.h"

#include <algorithm>

namespace weir {
namespace {

AddressFamily family_of(const Address& address) {
  return address.family() == AF_INET ? AddressFamily::V4 : AddressFamily::V6;
}

bool contains(const std::vector<Address>& addresses, const Address& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

bool contains(const std::vector<Address>& addresses, AddressFamily family) {
  return std::ranges::any_of(addresses, [family](const Address& a) { return family_of(a) == family; });
}

bool have_one_in_common(const std::vector<Address>& a, const std::vector<Address>& b) {
  return std::ranges::any_of(a, [&b](const Address& address) { return contains(b, address); });
}

/// `kept` takes the place that its family had before.
std::vector<Address> joined(const std::vector<Address>& before, std::vector<Address> kept,
                            std::vector<Address> fresh) {
  const bool kept_first =
      !kept.empty() && !before.empty() && family_of(before.front()) == family_of(kept.front());
  auto& first = kept_first ? kept : fresh;
  const auto& last = kept_first ? fresh : kept;
  for (const Address& address : last)
    if (!contains(first, address)) first.push_back(address);
  return std::move(first);
}

}  // namespace

void FollowedName::want(Time now) {
  if (open_) {
    wanted_ = true;
    return;
  }
  const Time soonest = last_asked_ ? std::max(now, *last_asked_ + kOncePer) : now;
  next_ = next_ ? std::min(*next_, soonest) : soonest;
}

std::optional<FollowedName::Time> FollowedName::due() const {
  std::optional<Time> soonest;
  if (!open_) soonest = next_;
  if (!old_.empty()) soonest = soonest ? std::min(*soonest, old_until_) : old_until_;
  return soonest;
}

void FollowedName::asked(Time now) {
  open_ = true;
  wanted_ = false;
  last_asked_ = now;
  next_.reset();
}

bool FollowedName::answered(Time now, NameAnswer answer) {
  ever_answered_ = true;
  failure_ = std::move(answer.failure);
  if (answer.addresses.empty()) {
    close(now, std::exchange(retry_, std::min(retry_ * 2, kLastRetry)));
    return false;
  }
  retry_ = kFirstRetry;
  ttl_ = answer.ttl;
  missing_ = AddressFamily::Any;
  // What this host's own file says is all there is; a name server may have failed for one family.
  for (const AddressFamily family : {AddressFamily::V4, AddressFamily::V6})
    if (ttl_ && contains(current_, family) && !contains(answer.addresses, family)) missing_ = family;
  if (missing_ != AddressFamily::Any) {
    partial_ = std::move(answer.addresses);
    return true;
  }
  learn(now, std::move(answer.addresses));
  close(now, ttl_);
  return false;
}

void FollowedName::answered_alone(Time now, NameAnswer answer) {
  std::vector<Address> kept = std::move(answer.addresses);
  if (kept.empty() && !answer.none_exists)
    std::ranges::copy_if(current_, std::back_inserter(kept),
                         [this](const Address& address) { return family_of(address) == missing_; });
  missing_ = AddressFamily::Any;
  learn(now, joined(current_, std::move(kept), std::exchange(partial_, {})));
  close(now, ttl_);
}

void FollowedName::learn(Time now, std::vector<Address> found) {
  // Name servers turn the order of equals with each answer: that is no change.
  const bool same = found.size() == current_.size() &&
                    std::ranges::all_of(found, [this](const Address& a) { return contains(current_, a); });
  if (!same) {
    if (!have_one_in_common(found, current_)) {
      old_ = std::move(current_);
      old_until_ = now + kOldServeFor;
    }
    current_ = std::move(found);
  }
  std::erase_if(old_, [this](const Address& address) { return contains(current_, address); });
  addresses_ = current_;
  addresses_.insert(addresses_.end(), old_.begin(), old_.end());
}

void FollowedName::tick(Time now) {
  if (old_.empty() || now < old_until_) return;
  old_.clear();
  addresses_ = current_;
}

void FollowedName::close(Time now, std::optional<Millis> wait) {
  open_ = false;
  next_.reset();
  if (wait) next_ = now + std::clamp(*wait, kShortestTtl, kLongestTtl);
  if (std::exchange(wanted_, false)) want(now);
}

}  // namespace weir
