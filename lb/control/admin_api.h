#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/admit/doorway.h"
#include "lb/config/config.h"
#include "lb/control/adoption.h"
#include "lb/control/http_server.h"
#include "lb/control/predecessors.h"
#include "lb/control/rebalancing.h"
#include "lb/control/registry.h"
#include "lb/control/reload.h"
#include "lb/control/state_keeper.h"
#include "lb/control/upgrade_order.h"
#include "lb/control/workers.h"
#include "lb/observe/events.h"
#include "lb/observe/history.h"

namespace weir {

/// What `status` says of the process itself.
struct ProcessFacts {
  std::string version;
  std::uint32_t workers = 0;
  std::uint64_t max_sessions = 0;
  pid_t pid = 0;
  bool stopping = false;              ///< no new sessions any more
  bool superseded = false;            ///< by a process that an upgrade has started
  std::string unsaved;                ///< why what operators said is not on the disk; "" = it is
  std::vector<std::string> problems;  ///< of the process and its pools, a line each
  std::optional<Event> last_reload;   ///< since the start of the first process of this Weir
};

/// What an order to stop has begun.
struct StopReport {
  std::uint64_t sessions = 0;  ///< that have yet to end
  Millis grace{0};             ///< so long at most
};

/// The parts the admin API works on; all borrowed, all of the control thread.
struct AdminParts {
  Loop& loop;
  Registry& registry;
  Workers& workers;
  Adoption& adoption;
  StateKeeper& state;
  Rebalancing& rebalancing;
  Reload& reload;
  Events& events;
  std::function<ProcessFacts()> facts;
  /// What `GET /v1/history` answers by; null, or answering null: nothing is remembered.
  std::function<const History*()> history = nullptr;
  /// What that listener asks of its clients. Null: nothing.
  std::function<Doorway(const std::string& listener)> doorway = nullptr;
  /// The kernel refuses its connections, by when_down. Null: never.
  std::function<bool(const std::string& listener)> is_shut = nullptr;
  Predecessors* predecessors = nullptr;  ///< null: there can be none
  /// Some session here may yet have to wait for a place at a backend. Null: never.
  std::function<bool()> may_wait = nullptr;
  /// Why this request is not taken now (an upgrade is under way, or has been); nothing when it is.
  std::function<std::optional<CommandError>(const HttpRequest&)> refusal = nullptr;
  /// Starts an upgrade; calls back once. Null: this process cannot.
  std::function<void(UpgradeOrder, UpgradeDone)> upgrade = nullptr;
  /// Calls back once it is done.
  std::function<void(std::function<void()> done)> reopen_logs = nullptr;
  /// Begins to end this process, with so much time for its sessions (nothing: shutdown_grace). What it says
  /// is true at once.
  std::function<StopReport(std::optional<Millis> grace)> stop = nullptr;
  /// Callers at once.
  std::size_t places = 64;
  /// How long the workers may take to answer.
  Millis patience{10'000};
};

/// HTTP and JSON on a unix socket: what an operator sees and says. Every answer to a change is given when
/// every worker works by it. Also carries out `drain --then close` when its time has come. Control thread
/// only.
///
/// The requests and their parameters are listed in conf/doc/admin-api.md.
/// Parameters are taken from the query and from a JSON object in the body. An error is
/// {"error": {"code": "usage"|"unknown"|"refused"|"failed"|"busy"|…, "message": "…"}}.
class AdminApi {
 public:
  explicit AdminApi(AdminParts parts);
  ~AdminApi();
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;

  /// What callers of a socket may do.
  enum class Level : std::uint8_t {
    All,
    Look  ///< GET only
  };

  /// Serves on `listening`; the path is removed by the destructor, if it is still this socket's. One socket
  /// of each level: the one before, which goes on in another process or is out of reach, is left as by
  /// leave(). An error changes nothing.
  Result<void> serve(Fd listening, const std::string& path, Level level = Level::All);
  /// Binds `config`'s sockets anew whose file is there no more, or another's.
  void bring_back(const AdminConfig& config);
  /// Binds the configured socket: a live one is refused, the default directory is created when missing. An
  /// empty Fd when there is to be none.
  static Result<Fd> bind(const AdminConfig& config, Level level = Level::All);

  /// Borrowed: the socket it serves on, for another process to share; -1 when there is none.
  int listening(Level level = Level::All) const;
  /// Serves on none of that level any more, and leaves its path to another process. Answers that are due are
  /// given.
  void leave(Level level);
  /// Why listeners cannot be served, a line each: those named, or else all that count. Empty: they can.
  CommandResult<std::vector<std::string>> unready(const std::vector<std::string>& listeners) const;

  /// Who is in which pool, and who is kept out, has changed.
  void on_table(const Table& table);

  /// Whether every answer has been given and taken.
  bool idle() const;

  /// One request, without a socket.
  void handle(HttpRequest request, HttpServer::Answer answer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir
