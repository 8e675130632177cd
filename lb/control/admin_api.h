#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/config/config.h"
#include "lb/control/adoption.h"
#include "lb/control/http_server.h"
#include "lb/control/predecessors.h"
#include "lb/control/registry.h"
#include "lb/control/reload.h"
#include "lb/control/state_file.h"
#include "lb/control/upgrade_order.h"
#include "lb/control/workers.h"

namespace weir {

/// What `status` says of the process itself.
struct ProcessFacts {
  std::string version;
  std::vector<std::string> features;
  std::uint32_t workers = 0;
  std::uint64_t max_sessions = 0;
};

/// The parts the admin API works on; all borrowed, all of the control thread.
struct AdminParts {
  Loop& loop;
  Registry& registry;
  Workers& workers;
  Adoption& adoption;
  StateFile& state_file;
  Reload& reload;
  std::function<ProcessFacts()> facts;
  Predecessors* predecessors = nullptr;  ///< null: there can be none
  /// Why this request is not taken now (an upgrade is under way, or has been); nothing when it is.
  std::function<std::optional<CommandError>(const HttpRequest&)> refusal = nullptr;
  /// Starts an upgrade; calls back once. Null: this process cannot.
  std::function<void(UpgradeOrder, UpgradeDone)> upgrade = nullptr;
  std::function<void()> reopen_logs = nullptr;
  /// How long the workers may take to answer.
  Millis patience{10'000};
};

/// HTTP and JSON on a unix socket: what an operator sees and says. Every answer to a change is given when
/// every worker works by it. Also carries out `drain --then close` when its time has come. Control thread
/// only.
///
///   GET    /v1/version
///   GET    /v1/status[/POOL[/BACKEND]]                 names may be globs
///   POST   /v1/backends/POOL/BACKEND/drain             force, then=close, timeout_ms, spread_ms
///   POST   /v1/backends/POOL/BACKEND/{disable,enable}  force
///   POST   /v1/backends/POOL/BACKEND/weight            weight (1..256 or "default")
///   DELETE /v1/backends/POOL/BACKEND                   force
///   POST   /v1/pools/POOL/backends                     name, address, weight, backup
///   GET    /v1/sessions                                pool, backend, client, limit
///   POST   /v1/sessions/kill                           ids, pool, backend, client
///   GET    /v1/explain                                 pool, client
///   POST   /v1/reload
///   POST   /v1/diff                                    file; the body is a configuration's text, not JSON
///   POST   /v1/logs/reopen
///   POST   /v1/upgrade                                 binary, max_age_ms
///
/// Parameters are taken from the query and from a JSON object in the body. An error is
/// {"error": {"code": "usage"|"unknown"|"refused"|"failed"|"busy"|…, "message": "…"}}.
class AdminApi {
 public:
  explicit AdminApi(AdminParts parts);
  ~AdminApi();
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;

  /// Serves on `listening`; the path is removed by the destructor, if it is still this socket's.
  Result<void> serve(Fd listening, std::string path);
  /// Binds the configured socket: a live one is refused, the default directory is created when missing. An
  /// empty Fd when there is to be none.
  static Result<Fd> bind(const AdminConfig& config);

  /// Borrowed: the socket it serves on, for another process to share; -1 when there is none.
  int listening() const;
  /// From now on serves on another socket only: what it served on goes on in another process, which owns the
  /// path, too. Answers that are due are given.
  Result<void> move_to(Fd listening, std::string path);
  /// Whether every answer has been given and taken.
  bool idle() const;

  /// One request, without a socket.
  void handle(HttpRequest request, HttpServer::Answer answer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir
