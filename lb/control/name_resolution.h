#pragma once

#include <functional>
#include <map>
#include <memory>

#include "lb/balance/table.h"
#include "lb/control/registry.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// Resolves the host names of backends: when they appear, and every 10 s again while they do not resolve.
/// Control thread; tells the Registry.
class NameResolution {
 public:
  NameResolution(Loop& loop, Registry& registry);
  ~NameResolution();

  /// Starts on the names in the table that have no address yet. To be called after each publish.
  void update();
  /// Calls back once every name that is being asked for has been answered; at once when there is none.
  void when_answered(std::function<void()> done);
  /// An answer is still to come, also of a name that nobody needs any more.
  bool asking() const { return unanswered_ > 0; }

 private:
  static constexpr Millis kRetry{10'000};

  void ask(const Backend& backend);
  void answered(BackendId id, const std::string& host, Result<std::vector<Address>> addresses);

  Loop& loop_;
  Registry& registry_;
  Timer retry_;
  std::map<BackendId, bool> asking_;  ///< names that have been asked for; true: the answer is still to come
  std::size_t unanswered_ = 0;
  std::function<void()> done_;
  std::shared_ptr<bool> alive_;  ///< false once this is gone: answers may come later
};

}  // namespace weir
