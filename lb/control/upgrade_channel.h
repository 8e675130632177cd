#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lb/base/fd.h"
#include "lb/net/loop.h"

namespace weir {

/// One end of the line between an old process and the new one it has started: texts of one line each way.
/// Loop thread only; not to be destroyed while the loop is in a batch of events (post that).
class UpgradeChannel final : private Watcher {
 public:
  /// Each line; nothing when the other end is gone (once, and nothing after it).
  using Heard = std::function<void(std::optional<std::string> line)>;

  static Result<std::unique_ptr<UpgradeChannel>> create(Loop& loop, Fd fd, Heard heard);
  ~UpgradeChannel();

  /// Best effort: short lines always fit. `line` has no newline.
  void say(std::string_view line);

 private:
  static constexpr std::size_t kMostBytes = 64 * 1024;

  UpgradeChannel(Loop& loop, Fd fd, Heard heard)
      : loop_(loop), fd_(std::move(fd)), heard_(std::move(heard)) {}
  void on_events(std::uint32_t events) override;
  void hang_up();

  Loop& loop_;
  Fd fd_;
  Heard heard_;
  std::string received_;
};

}  // namespace weir
