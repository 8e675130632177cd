#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/control/admin_api.h"
#include "lb/control/inheritance.h"
#include "lb/control/upgrade_channel.h"
#include "lb/net/timer.h"

namespace weir {

/// The new side: tells the old process that this one serves, and waits until it has stepped back. Control
/// thread only.
class Takeover {
 public:
  /// How long an old process may take to step back.
  static constexpr Millis kPatience{10'000};

  /// `on_free` comes once: the old process has left the admin socket and the paths to this one, and answers
  /// where it says (nothing: it is gone, or does not).
  Takeover(Loop& loop, Fd channel, Fd standard_error,
           std::function<void(std::optional<Predecessor>)> on_free);

  /// This process accepts, and from now on its own standard error is its; inherited sockets at the addresses
  /// of `unused` it has closed.
  void serving(const std::vector<std::string>& unused);

 private:
  void on_word(const std::optional<std::string>& line);
  void free(std::optional<Predecessor> predecessor);

  Loop& loop_;
  std::function<void(std::optional<Predecessor>)> on_free_;
  std::unique_ptr<UpgradeChannel> channel_;
  Fd standard_error_;
  Timer patience_;
  bool serving_ = false;
  bool alone_ = false;  ///< the old process is gone
};

/// The admin API's socket of that level for the new process: the old one's when it is at the configured path,
/// else a new one.
Result<Fd> take_admin_socket(std::optional<Inheritance>& inheritance, const AdminConfig& wanted,
                             AdminApi::Level level);

}  // namespace weir
