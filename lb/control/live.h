#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lb/control/http_server.h"
#include "lb/net/timer.h"

namespace weir {

/// What is so, each second, to all who read along: looked up once for all of them, and only while there is
/// somebody. Each look is one message of server-sent events of the type "status", its id the number of the
/// look: a reader that is slow gets the newest one when it has taken the one before, and sees by the numbers
/// how many it has missed. Control thread only.
class Live {
 public:
  static constexpr Millis kEvery{1'000};
  /// Looks, and calls back once with JSON in one line; not after Live is gone.
  using Look = std::function<void(std::function<void(std::string json)> seen)>;

  Live(Loop& loop, Look look);
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  /// Not to be read after Live is gone.
  std::shared_ptr<HttpStream> reader();

 private:
  class Reader;
  void look();

  Look look_;
  Timer timer_;
  std::vector<Reader*> readers_;
  std::shared_ptr<const std::string> seen_;  ///< the last message; null: none yet
  std::uint64_t number_ = 0;                 ///< of it
  bool looking_ = false;
};

}  // namespace weir
