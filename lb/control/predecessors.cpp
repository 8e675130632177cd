#include "lb/control/predecessors.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_request.h"
#include "lb/control/merge_answers.h"
#include "lb/net/background.h"

namespace weir {

namespace {

using Answer = HttpServer::Answer;
using Values = std::map<std::string, std::string, std::less<>>;
using Merge = std::function<HttpResponse(const HttpResponse&, const std::vector<PredecessorAnswer>&)>;

constexpr const char* kRules = "rules";

enum class Kind : std::uint8_t { Local, Status, Sessions, Drains, Kill, Change, Logs, Stop };

Kind kind_of(const HttpRequest& request) {
  const auto& path = request.path;
  if (path.size() < 2 || path[0] != "v1") return Kind::Local;
  if (request.method == "GET" && path[1] == "status") return Kind::Status;
  if (request.method == "GET" && path[1] == "sessions") return Kind::Sessions;
  if (request.method == "GET" && path[1] == "drains") return Kind::Drains;
  if (request.method != "POST") return Kind::Local;
  if (path[1] == "sessions" && path.size() == 3 && path[2] == "kill") return Kind::Kill;
  if (path[1] == "logs") return Kind::Logs;
  if (path[1] == "stop") return Kind::Stop;
  if (path[1] == "backends" && path.size() == 5 &&
      (path[4] == "drain" || path[4] == "disable" || path[4] == "enable"))
    return Kind::Change;
  return Kind::Local;
}

Merge merge_of(Kind kind) {
  switch (kind) {
    case Kind::Sessions:
      return merge_sessions;
    case Kind::Kill:
      return merge_killed;
    case Kind::Drains:
      return merge_drains;
    case Kind::Change:
      return merge_changes;
    case Kind::Stop:
      return merge_stops;
    case Kind::Logs:
      return [](const HttpResponse& own, const std::vector<PredecessorAnswer>&) { return own; };
    case Kind::Local:
    case Kind::Status:
      break;
  }
  return merge_status;
}

/// The ids that begin with `prefix`, without it; with an empty prefix those of this process, which have no
/// dot.
std::string ids_of(std::string_view ids, std::string_view prefix) {
  std::string out;
  while (!ids.empty()) {
    const auto id = ids.substr(0, ids.find(','));
    ids.remove_prefix(std::min(id.size() + 1, ids.size()));
    const bool meant = prefix.empty() ? id.find('.') == std::string_view::npos : id.starts_with(prefix);
    if (meant) out += (out.empty() ? "" : ",") + std::string(id.substr(prefix.size()));
  }
  return out;
}

std::string body_of(const Values& values) {
  nlohmann::ordered_json body = nlohmann::ordered_json::object();
  for (const auto& [name, value] : values) body[name] = value;
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// An answer that is put together from several.
struct Gathering : std::enable_shared_from_this<Gathering> {
  Merge merge = merge_status;
  Answer answer;
  std::shared_ptr<Background> background;  ///< where they are put together; null: on the loop
  bool names_unheard = false;              ///< whoever has not answered is in the answer
  std::size_t waiting = 1;                 // this process's own
  HttpResponse own;
  std::vector<PredecessorAnswer> others;

  void arrived() {
    if (--waiting > 0) return;
    if (background == nullptr || others.empty()) return answer(merged());
    background->run([self = shared_from_this()] {
      return [self, all = std::make_shared<HttpResponse>(self->merged())] { self->answer(std::move(*all)); };
    });
  }
  HttpResponse merged() const {
    try {
      auto merged = merge(own, others);
      return names_unheard ? naming_unheard(std::move(merged), others) : merged;
    } catch (const nlohmann::ordered_json::exception& error) {
      // A Weir of another version that answers in another way.
      daemon_log().warn("an older process answers what this one does not understand: {}", error.what());
      return own;
    }
  }
};

}  // namespace

struct Predecessors::State {
  explicit State(Loop& on_loop) : loop(on_loop) {}
  void forget(pid_t pid);
  /// Asks one of them; what is sent is `values`, as query or as body.
  void ask(const Predecessor& predecessor, const HttpRequest& request, const Values& values,
           const std::shared_ptr<Gathering>& gathering);
  void ask_all(const HttpRequest& request, Values values, const std::shared_ptr<Gathering>& gathering);

  Loop& loop;
  std::vector<Predecessor> list;
  std::function<void(pid_t, bool)> on_leave = nullptr;
  std::function<std::string()> rules = nullptr;
  std::uint64_t last_request = 0;
  std::map<std::uint64_t, std::unique_ptr<AdminRequest>> requests;
  /// Where what may be megabytes is put together, and nothing is done that could hang; made when it is
  /// needed.
  std::shared_ptr<Background> background;
};

Predecessors::Predecessors(Loop& loop) : state_(std::make_shared<State>(loop)) {}
Predecessors::~Predecessors() = default;

void Predecessors::add(Predecessor predecessor) {
  state_->list.push_back(std::move(predecessor));
}

const std::vector<Predecessor>& Predecessors::list() const {
  return state_->list;
}

bool Predecessors::dismiss(pid_t pid) {
  const bool known = std::erase_if(state_->list, [&](const Predecessor& one) { return one.pid == pid; }) > 0;
  if (known && state_->on_leave != nullptr) state_->on_leave(pid, true);
  return known;
}

void Predecessors::on_leave(std::function<void(pid_t, bool)> heard) {
  state_->on_leave = std::move(heard);
}

void Predecessors::judge_by(std::function<std::string()> rules) {
  state_->rules = std::move(rules);
}

void Predecessors::clear() {
  state_->list.clear();
}

void Predecessors::State::forget(pid_t pid) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const Predecessor& one) { return one.pid == pid; });
  if (found == list.end()) return;
  // One that ended by itself has removed its socket; one that was killed has not.
  ::unlink(found->socket.c_str());
  daemon_log().info("the older process {} is gone", pid);
  list.erase(found);
  if (on_leave != nullptr) on_leave(pid, false);
}

void Predecessors::State::ask(const Predecessor& predecessor, const HttpRequest& request,
                              const Values& values, const std::shared_ptr<Gathering>& gathering) {
  ++gathering->waiting;
  const std::size_t place = gathering->others.size();
  gathering->others.push_back({predecessor.pid, 0, ""});
  // Rules may be longer than a target can be.
  const bool in_target = request.method == "GET" && !values.contains(kRules);
  auto target = escaped_path(request.path);
  if (in_target && !values.empty()) target += "?" + escaped_query(values);
  const auto id = ++last_request;
  auto done = [this, gathering, place, id, pid = predecessor.pid](const AdminRequest::Outcome& outcome) {
    auto& other = gathering->others[place];
    if (outcome) {
      other.status = outcome->status;
      other.body = outcome->body;
    } else if (outcome.error() == AdminRequest::Failure::Gone) {
      forget(pid);
      other.pid = 0;
    }
    requests.erase(id);
    gathering->arrived();
  };
  auto& sent = requests[id] = std::make_unique<AdminRequest>(loop, std::move(done));
  sent->send(predecessor.socket, request.method, target, in_target ? "" : body_of(values));
}

void Predecessors::State::ask_all(const HttpRequest& request, Values values,
                                  const std::shared_ptr<Gathering>& gathering) {
  const Kind kind = kind_of(request);
  // This process has decided that it may be done.
  if (kind == Kind::Change) values["force"] = "true";
  // Of thousands most have nothing to add.
  if (kind == Kind::Status) values["busy"] = "true";
  const bool judges = kind == Kind::Kill || kind == Kind::Sessions;
  if (judges && rules != nullptr && values.contains("denied")) values[kRules] = rules();
  const auto ids = values.find("ids");
  const std::string all_ids = ids != values.end() ? ids->second : "";
  for (const Predecessor& predecessor : std::vector(list)) {
    if (ids != values.end()) {
      ids->second = ids_of(all_ids, fmt::format("{}.", predecessor.pid));
      if (ids->second.empty()) continue;
    }
    ask(predecessor, request, values, gathering);
  }
}

void Predecessors::ask_each(const std::string& name,
                            std::function<void(const std::vector<PredecessorAnswer>&)> done) {
  HttpRequest request;
  request.method = "GET";
  request.path = {"v1", name};
  auto gathering = std::make_shared<Gathering>();
  gathering->merge = [done = std::move(done)](const HttpResponse& own, const auto& answers) {
    done(answers);
    return own;
  };
  gathering->answer = [](const HttpResponse&) {};
  state_->ask_all(request, {}, gathering);
  gathering->arrived();
}

void Predecessors::tell(pid_t pid, const std::string& name, const std::string& body) {
  const auto found = std::ranges::find(state_->list, pid, &Predecessor::pid);
  if (found == state_->list.end()) return;
  const auto id = ++state_->last_request;
  auto& sent = state_->requests[id] = std::make_unique<AdminRequest>(
      state_->loop, [state = state_.get(), id](const AdminRequest::Outcome&) { state->requests.erase(id); });
  sent->send(found->socket, "POST", "/v1/" + name, body);
}

void Predecessors::handle(HttpRequest request, Answer answer, const Local& local) {
  const Kind kind = kind_of(request);
  auto values = parameters_of(request);
  // A status always lists the older processes, though there be none.
  const bool alone = kind == Kind::Local || (kind != Kind::Status && state_->list.empty());
  if (alone || !values) return local(std::move(request), answer);
  auto gathering = std::make_shared<Gathering>();
  gathering->merge = merge_of(kind);
  gathering->names_unheard = kind == Kind::Sessions || kind == Kind::Kill || kind == Kind::Change;
  if (state_->background == nullptr && !state_->list.empty())
    state_->background = std::make_shared<Background>(state_->loop);
  gathering->background = state_->background;
  HttpRequest own = request;
  if (const auto limit = values->find("limit"); kind == Kind::Sessions && values->contains("by")) {
    // Whoever has few sessions here may have most in all: it is cut when they have been added up.
    if (limit != values->end()) {
      gathering->merge = [most = limit->second](const HttpResponse& first, const auto& others) {
        return merge_clients(first, others, most);
      };
      values->erase(limit);
      own.query = *values;
      own.body.clear();
    }
  }
  gathering->answer = std::move(answer);
  if (const auto ids = values->find("ids"); kind == Kind::Kill && ids != values->end()) {
    const std::string own_ids = ids_of(ids->second, "");
    if (own_ids.empty() && !ids->second.empty()) {
      // None of this process's: without ids it would close all that pass the other filters.
      gathering->own = {200, killed_json(0)};
      state_->ask_all(request, std::move(*values), gathering);
      return gathering->arrived();
    }
    Values own_values = *values;
    own_values["ids"] = own_ids;
    own.query.clear();
    own.body = body_of(own_values);
  }
  local(std::move(own), [weak = std::weak_ptr(state_), request = std::move(request),
                         values = std::move(*values), gathering, kind](HttpResponse response) {
    // What this process refuses is done nowhere.
    const bool refused = kind != Kind::Status && response.status != 200 && response.status != 404;
    gathering->own = std::move(response);
    if (const auto state = weak.lock(); state != nullptr && !refused)
      state->ask_all(request, values, gathering);
    gathering->arrived();
  });
}

}  // namespace weir
