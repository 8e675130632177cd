#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace weir {

/// How far a command is that takes its time: a line on a terminal that is written over; elsewhere nothing.
class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { show(""); }

  void show(const std::string& text) {
    if (!terminal_ || text == shown_) return;
    fmt::print(stderr, "\r{}\x1b[K", text);
    std::fflush(stderr);
    shown_ = text;
  }

 private:
  const bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  std::string shown_;
};

}  // namespace weir
