#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lb/control/admin_api.h"
#include "lb/control/drain_closer.h"
#include "lb/control/drain_watch.h"
#include "lb/control/live.h"
#include "lb/control/parameters.h"
#include "lb/control/patience.h"
#include "lb/net/socket_path.h"
#include "lb/net/timer.h"

namespace weir {

/// The longest duration that a request may give, in milliseconds.
inline constexpr std::uint64_t kMostMillis = static_cast<std::uint64_t>(kMaxDuration.count());

/// A status waits so long for the workers to look at their sessions: one that is stuck is no reason for none.
inline constexpr Millis kGlance{100};

/// METHOD /v1/NAME.
bool is_command(const HttpRequest& request, std::string_view method, std::string_view name);

HttpResponse error_response(const CommandError& error);
void answer_error(const HttpServer::Answer& answer, const CommandError& error);
void answer_usage(const HttpServer::Answer& answer, std::string message);

/// Whose word it is: the user at the other end of the socket, or whom sudo says that root speaks for. ""
/// where the kernel does not say.
std::string operator_of(const HttpRequest& request);

/// Server-sent events.
HttpResponse stream_of(std::shared_ptr<HttpStream> stream);

struct AdminApi::State {
  using Answer = HttpServer::Answer;
  using LongestIdle = std::unordered_map<BackendId, Millis>;

  explicit State(AdminParts given)
      : parts(std::move(given)),
        closer([this](const BackendLoad& backend, std::uint64_t count) { close_some(backend, count); }),
        closer_timer(parts.loop, [this] { run_closer(); }),
        word_timer(parts.loop, [this] { end_words(); }),
        drains(parts.loop, parts.registry),
        patience(parts.loop, parts.patience),
        glance(parts.loop, kGlance),
        rate_timer(parts.loop, [this] { sample_rates(); }),
        live(parts.loop, [this](std::function<void(std::string)> seen) { look(std::move(seen)); }) {
    word_timer.start(Millis(0));  // those of an earlier life
  }

  // admin_api.cpp
  void handle(HttpRequest& request, const Answer& answer);
  void status(const HttpRequest& request, const Answer& answer);
  /// `idle`: of each backend that has a session.
  struct StatusQuestion {
    std::string pool, backend;  ///< globs; "" = all
    bool busy = false;          ///< only backends of which this process has counted something
  };
  HttpResponse status_answer(const StatusQuestion& question, const LongestIdle& idle);
  void ready(Parameters& parameters, const Answer& answer);
  CommandResult<std::vector<std::string>> unready(const std::vector<std::string>& listeners) const;
  void explain(Parameters& parameters, const Answer& answer);
  void reload(const HttpRequest& request, const Answer& answer);
  void difference(HttpRequest& request, const Answer& answer);
  void stop(Parameters& parameters, const Answer& answer);
  void take_counts(const HttpRequest& request, const Answer& answer);
  /// What the newest process tells one that it has superseded: the sessions of all others.
  void take_active_elsewhere(const HttpRequest& request, const Answer& answer);
  void upgrade(const HttpRequest& request, Parameters& parameters, const Answer& answer);
  void sample_rates();

  // admin_backends.cpp
  void backend_command(const HttpRequest& request, Parameters& parameters, const Answer& answer);
  void set_admin(const HttpRequest& request, const std::string& target, Admin admin, Parameters& parameters,
                 const Answer& answer);
  void drain(const HttpRequest& request, const std::string& target, Parameters& parameters,
             const Answer& answer);
  void await_drain(const std::string& target, Parameters& parameters, const Answer& answer);
  void set_weight(const HttpRequest& request, const std::string& target, Parameters& parameters,
                  const Answer& answer);
  void add(const HttpRequest& request, const std::string& pool, Parameters& parameters, const Answer& answer);
  /// Saves the overrides, and answers once every worker works by the change and the disk has taken it, or
  /// not.
  void finish(const CommandResult<Change>& result, const Answer& answer);
  /// Calls back with what an operator is to be warned of.
  void save(std::function<void(const std::vector<std::string>& warnings)> done);
  /// Ends words that were said for a time, and comes back for the next.
  void end_words();
  void close_some(const BackendLoad& backend, std::uint64_t count);
  void run_closer();
  /// Older processes may be about to close sessions of a backend that is kept out no more.
  void tell_elders(const Table& table);

  // admin_events.cpp
  void events(const HttpRequest& request, Parameters& parameters, const Answer& answer);
  void history(Parameters& parameters, const Answer& answer);
  /// Events as they come.
  void follow(const HttpRequest& request, Events::Follower::Terms terms, const Answer& answer);
  /// A status, of this process and of older ones.
  void look(std::function<void(std::string json)> seen);

  // admin_sessions.cpp
  void sessions(Parameters& parameters, const Answer& answer);
  void kill(Parameters& parameters, const Answer& answer);
  void rebalance(const std::string& pool, Parameters& parameters, const Answer& answer);
  CommandResult<SessionFilter> filter(Parameters& parameters) const;

  AdminParts parts;
  const std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  DrainCloser closer;
  std::set<std::pair<std::string, std::string>> kept_out;  ///< while there are older processes
  Timer closer_timer;
  Timer word_timer;
  DrainWatch drains;
  Patience patience;
  Patience glance;
  /// The workers' last look at how long sessions have been idle.
  struct {
    bool under_way = false;
    std::chrono::steady_clock::time_point begun;
    LongestIdle found;
  } idle_look;
  Timer rate_timer;
  Live live;
  /// A socket that is served, by Level.
  struct Door {
    std::unique_ptr<HttpServer> server;  ///< null: none
    SocketPath path;
  };
  Door& door(Level level) { return doors[static_cast<std::size_t>(level)]; }
  std::array<Door, 2> doors;
  std::vector<std::unique_ptr<HttpServer>> given_up;  // these finish their answers
};

}  // namespace weir
