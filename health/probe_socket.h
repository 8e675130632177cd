#pragma once

#include <functional>
#include <span>
#include <string>

#include "health/probe.h"
#include "health/probe_loop.h"
#include "lb/base/fd.h"

namespace weir {

/// What an errno says, as part of a sentence: "connection refused".
std::string errno_text(int code);
/// The result for a connect to `address` that failed.
ProbeResult connect_failed_with(int code, const Address& address);
/// The result for a system call that failed on the connection.
ProbeResult failed_with(int code);

/// The connection of a probe. Closes with a reset, unless that has been given up. Watched level-triggered.
/// One that has met itself is refused.
class ProbeSocket final : public Watcher {
 public:
  /// `config`: outlives it; its sources are taken as start_connect() does, and its PROXY header has been sent
  /// when it is connected. `on_connected`: 0, or the errno with which it failed; called once. `on_ready`:
  /// what has been waited for since.
  ProbeSocket(ProbeLoop& loop, const Address& address, const ProbeConfig& config,
              std::function<void(int)> on_connected, std::function<void()> on_ready);

  void start();
  void look_again();
  bool connected() const { return state_ == State::Connected; }
  int fd() const { return fd_.get(); }

  /// After the connection: which of events::kReadable and kWritable to wait for.
  void wait_for(std::uint32_t interest);
  /// From now on it closes like any other connection, for servers that log a reset.
  void end_without_reset();
  /// No further callback; the descriptor is closed at once.
  void close();

 private:
  enum class State : std::uint8_t { Idle, Connecting, Connected, Closed };

  void on_events(std::uint32_t events) override;
  bool ready(std::uint32_t interest) const;
  void settle(int error);
  /// 0, or the errno with which it failed.
  int send_header();
  bool watch(std::uint32_t interest);

  ProbeLoop& loop_;
  Address address_;
  const std::span<const Address> sources_;
  const SendProxy header_;
  std::function<void(int)> on_connected_;
  std::function<void()> on_ready_;
  Alarm retry_;
  Fd fd_;
  State state_ = State::Idle;
  std::uint32_t interest_ = 0;
  bool watched_ = false;
};

}  // namespace weir
