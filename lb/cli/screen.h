#pragma once

#include <termios.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "lb/base/fd.h"
#include "lb/cli/keys.h"

namespace weir {

/// The whole terminal, on its other screen, with keys one by one, while it lives: the terminal is as it was
/// found afterwards, and while the process is stopped (Ctrl-Z). Signals that end are answers, not ends. One
/// at a time, and not beside Watching.
class Screen {
 public:
  /// Whether standard input and output are a terminal that can be written to in places.
  static bool possible();

  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// To be waited for, beside others: readable when there is a key, or a signal.
  int keyboard() const { return has_keys_ ? STDIN : -1; }
  int signals() const { return signals_.get(); }

  struct Heard {
    bool ends = false;   ///< a signal to end, or nobody is there any more
    bool again = false;  ///< the terminal is another one: its size, or it was left for a while
    std::vector<KeyPress> keys = {};
  };
  /// What there is now; never waits, but while the process is stopped. `quiet`: nothing has come for a while,
  /// so that what has begun is a key of its own.
  Heard hear(bool quiet);
  /// A key has begun: hear(true) is due soon.
  bool pending() const { return keys_.pending(); }

  /// Line by line over what was there. False: nobody is there any more.
  bool show(const std::vector<std::string>& lines);

 private:
  static constexpr int STDIN = 0;

  void enter();
  void leave();
  void stop();

  sigset_t before_{};
  Fd signals_;
  termios found_{};  ///< the terminal
  KeyReader keys_;
  bool has_keys_ = true;
};

}  // namespace weir
