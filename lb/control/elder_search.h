#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lb/control/inheritance.h"
#include "lb/net/loop.h"

namespace weir {

/// Finds the older processes of this Weir that nobody has told it of: an upgrade leaves one at PATH.PID
/// beside the admin socket PATH, and when whoever has taken over is killed, the next start is no child of
/// theirs. A name proves nothing where others may write to that directory: an older process is who the kernel
/// says listens there, of that id and of root or this user, and says that it has been superseded. Sockets at
/// such paths that are this user's and at which nobody listens are removed; all else is left as it is.
/// Control thread only.
class ElderSearch {
 public:
  /// So many sockets are asked, those of processes that live first.
  static constexpr std::size_t kMost = 64;
  using Done = std::function<void(std::vector<Predecessor> found)>;

  explicit ElderSearch(Loop& loop);
  /// Calls nobody back any more.
  ~ElderSearch();

  /// Once, when `admin_socket` ("" = none) is this process's. Calls back once: at once where there is nobody
  /// to be asked, else when all have answered or have had their time (AdminRequest). Who hangs is found, too:
  /// it may have sessions.
  void begin(const std::string& admin_socket, Done done);

 private:
  struct Question;
  void on_answered();

  Loop& loop_;
  Done done_;
  std::vector<std::unique_ptr<Question>> questions_;
  std::size_t waiting_ = 0;
};

}  // namespace weir
