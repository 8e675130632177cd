#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>

namespace weir::load {

/// What can go wrong for a connection, a round trip or a stream. Every failure is counted as one of these.
enum class ErrorKind : std::uint8_t {
  ConnectRefused,
  ConnectTimeout,
  ConnectFailed,
  NoSourcePort,
  NoDescriptor,
  Reset,
  EarlyEnd,
  WrongBytes,
  Timeout,
  NotStarted,  ///< due in the run, but no free connection came before its end
  Other
};

inline constexpr std::array<std::string_view, 11> kErrorNames = {
    "connect_refused", "connect_timeout", "connect_failed", "no_source_port", "no_descriptor", "reset",
    "early_end",       "wrong_bytes",     "timeout",        "not_started",    "other"};

/// The kind of a failed system call; `connecting`: before the connection was up.
ErrorKind kind_of_errno(int code, bool connecting);

class ErrorCounts {
 public:
  void add(ErrorKind kind, std::uint64_t times = 1) { counts_[static_cast<std::size_t>(kind)] += times; }
  std::uint64_t of(std::size_t kind) const { return counts_[kind]; }
  std::uint64_t total() const { return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0}); }

 private:
  std::array<std::uint64_t, kErrorNames.size()> counts_{};
};

}  // namespace weir::load
