#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lb/control/http_server.h"
#include "lb/control/inheritance.h"
#include "lb/control/merge_answers.h"
#include "lb/net/loop.h"

namespace weir {

/// The older processes of this Weir that still serve sessions, after upgrades. Their admin sockets are asked
/// beside this process, so that no session is out of sight: `status` is summed, `sessions` are listed
/// together (theirs as "PID.ID"), `kill`, `drain`, `disable`, `enable`, `stop` and the reopening of logs
/// reach all. Control thread only.
class Predecessors {
 public:
  explicit Predecessors(Loop& loop);
  ~Predecessors();

  void add(Predecessor predecessor);
  /// Takes the process off the list when it is one of them: it has said all that it had to say.
  bool dismiss(pid_t pid);
  /// The oldest first.
  const std::vector<Predecessor>& list() const;
  /// From now on `heard` is told of each that leaves the list by its end; `said_all`: it was dismissed.
  void on_leave(std::function<void(pid_t pid, bool said_all)> heard);
  /// This process has been superseded itself: its successor asks them from now on.
  void clear();

  /// Their sessions are judged by what `rules` says when it is asked (door_rules), not by what was in force
  /// in them.
  void judge_by(std::function<std::string()> rules);

  /// Asks each of them for /v1/NAME; calls back once, when all have answered or have had their time.
  void ask_each(const std::string& name, std::function<void(const std::vector<PredecessorAnswer>&)> done);

  /// Tells one of them, by POST /v1/NAME; whether it hears is not waited for.
  void tell(pid_t pid, const std::string& name, const std::string& body);

  using Local = std::function<void(HttpRequest request, HttpServer::Answer answer)>;
  /// Answers with `local`'s answer, and where they have a share in it, with all together.
  void handle(HttpRequest request, HttpServer::Answer answer, const Local& local);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace weir
