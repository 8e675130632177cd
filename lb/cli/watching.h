#pragma once

#include <termios.h>

#include <csignal>
#include <cstdint>
#include <optional>

#include "lb/base/duration.h"
#include "lb/base/fd.h"

namespace weir {

/// While it lives, keys are read one by one and not shown, if standard input is a terminal, and a signal to
/// end is an answer of wait(), so that the terminal is left as it was found. One at a time.
class Watching {
 public:
  Watching();
  ~Watching();
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  enum class Woken : std::uint8_t {
    ToEnd,  ///< q, Ctrl-C, or a signal that says the same
    ToShow  ///< the time is over, or the terminal is another one (its size, or it was left for a while)
  };
  Woken wait(Millis at_most);

 private:
  void take_keys();
  std::optional<bool> read_key();
  std::optional<bool> read_signal();

  sigset_t before_{};
  Fd signals_;
  bool has_keys_ = false;
  termios terminal_{};  ///< as it was found
};

}  // namespace weir
