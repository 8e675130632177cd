#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/control/admin_api.h"
#include "lb/control/admin_request.h"
#include "lb/control/inheritance.h"
#include "lb/control/upgrade_channel.h"
#include "lb/control/web.h"
#include "lb/daemon/fleet.h"
#include "lb/daemon/listening.h"
#include "lb/daemon/service_manager.h"
#include "lb/daemon/start_output.h"
#include "lb/net/process.h"
#include "lb/net/timer.h"

namespace weir {

/// What an upgrade works on; all borrowed, all of the control thread.
struct UpgradeParts {
  Loop& loop;
  Fleet& fleet;
  Listening& listening;
  Registry& registry;
  StateKeeper& state;
  Predecessors& predecessors;
  ServiceManager& service;
  AdminApi& admin;
  Web& web;
  std::string program;      ///< what to start when the order does not say
  const Fd& first_process;  ///< may be none
  const Reload& reload_file;
  Events& events;
  std::function<const History*()> history;  ///< may answer null
  std::function<std::string()> tokens;      ///< Doors::to_bytes()
  std::function<void()> reload;
  std::function<bool()> ending;  ///< this process has been told to end
  std::function<std::uint64_t()> sessions;
  /// Of clients that have a limit: of older processes, too.
  std::function<void(std::function<void(SessionsByClient)> done)> clients;
  std::function<void(const UpgradeOrder&)> on_superseded;
};

/// The old side of an upgrade: starts the new binary with the listening sockets, waits until it serves, and
/// steps back. Until then nothing has changed, and whatever goes wrong leaves this process serving. Control
/// thread only.
class Upgrade {
 public:
  /// How long the new process may be silent.
  static constexpr Millis kPatience{60'000};

  explicit Upgrade(UpgradeParts parts);

  /// Calls back once: when the new process serves, or with the reason why it does not.
  void begin(UpgradeOrder order, UpgradeDone done);
  /// Why a request is not taken: changes made now would be lost on the way.
  std::optional<CommandError> refusal(const HttpRequest& request) const;
  /// Why a reload is not done now; "" when it is.
  std::string reload_refusal() const;
  /// A SIGHUP has come. True when it is not for this process to obey, or not now: it goes on to the new one
  /// once that serves, or is obeyed when it does not (`reload` of the parts).
  bool passes_reload_on();
  bool superseded() const { return phase_ == Phase::Superseded; }
  /// This process is to end: so is the new one, unless it serves already.
  void abandon();

 private:
  enum class Phase : std::uint8_t { None, Starting, Superseded };

  /// Why the file, as it is foreseen, is none to begin with; nothing when it is.
  std::optional<CommandError> file_refusal() const;
  void begin_start();
  void hand_over_listeners();
  Result<void> start(std::vector<Fd> sockets);
  void on_word(const std::optional<std::string>& line);
  void on_exit(ChildProcess::Exit exit);
  void step_back(const std::vector<std::string>& unused);
  /// Of the process that steps back, beside the one that it leaves. An empty one when there is no admin
  /// socket.
  Result<Fd> bind_private_socket() const;
  std::string private_path() const;
  /// "" when there is none: then this process's sessions are out of sight.
  std::string open_private_socket();
  /// The process that took over has ended, and another one may have taken over from it: whoever serves now is
  /// at the admin socket.
  void ask_newest_to_reload();
  void on_reload_answer(const AdminRequest::Outcome& outcome);
  void fail_with(std::string reason);
  /// Back to where it was before begin().
  void end_with(CommandError error);

  UpgradeParts parts_;
  Phase phase_ = Phase::None;
  std::uint64_t number_ = 0;  ///< of this attempt: answers to an earlier one are void
  UpgradeOrder order_;
  UpgradeDone done_;
  ReloadReport foreseen_;
  bool reload_wanted_ = false;  ///< by a signal that came while it was starting, or another was passed on
  Legacy legacy_;               ///< what the new process has been told
  SessionsByClient clients_;    ///< that have a limit: for it
  Fd private_socket_;           ///< while it is starting
  std::optional<Fleet::ChildrenExpected> children_;
  std::unique_ptr<ChildProcess> child_;
  std::unique_ptr<StartOutput> output_;  ///< the child's, until it serves
  bool child_ended_ = false;
  std::unique_ptr<AdminRequest> reload_request_;  ///< to whoever serves now, while it is under way
  std::unique_ptr<UpgradeChannel> channel_;
  Timer patience_;
};

/// The absolute path this process was started from, as it was named: a file put there later is found.
std::string own_program();

}  // namespace weir
