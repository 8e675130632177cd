#include "lb/cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "lb/cli/client.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/render.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

constexpr Millis kWatchEvery{1000};
constexpr Millis kLookEvery{100};
/// The daemon closes sessions in rounds; a drain is called timed out only when it is this late.
constexpr Millis kCloseMargin{10'000};

void complain(std::string_view text) {
  fmt::print(stderr, "weir: {}\n", text);
}

int usage(std::string_view text) {
  complain(text);
  return kExitUsage;
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::optional<std::vector<std::string>> split_target(const std::string& target) {
  const auto slash = target.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == target.size()) return std::nullopt;
  return std::vector{target.substr(0, slash), target.substr(slash + 1)};
}

int not_a_target(const std::string& target) {
  return usage(fmt::format("\"{}\" is not POOL/BACKEND, as \"web/web1\" or \"web/*\"", target));
}

/// Says what the daemon refused, and why.
int refused(const AdminReply& reply) {
  const auto json = Json::parse(reply.body, nullptr, false);
  const auto error = json.is_object() ? json.value("error", Json::object()) : Json::object();
  if (!error.is_object() || !error.contains("message")) {
    complain(fmt::format("the daemon answered {} and nothing that this weir understands", reply.status));
    return kExitFailed;
  }
  complain(error.value("message", ""));
  if (const auto faults = error.find("faults"); faults != error.end() && faults->is_array())
    for (const auto& fault : *faults)
      if (fault.is_string()) fmt::print(stderr, "{}\n", fault.get<std::string>());
  return exit_status_of(error.value("code", ""));
}

/// A request's body; nothing for an empty object.
std::string dumped(const Json& body) {
  return body.empty() ? "" : body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// One exchange with the daemon: the body when it did what was asked, else the exit status, with the reason
/// said.
class Exchange {
 public:
  Exchange(const CommonOptions& common, const std::string& method, const std::vector<std::string>& path,
           const AdminClient::Query& query = {}, const std::string& body = "") {
    const AdminClient client(admin_socket(common.socket));
    const auto reply = client.request(method, path, query, body);
    if (!reply) {
      complain(reply.error().message);
      failure_ = kExitNoDaemon;
    } else if (reply->status != 200) {
      failure_ = refused(*reply);
      unknown_ = reply->status == 404;
    } else {
      body_ = reply->body;
    }
  }
  bool failed() const { return failure_ != kExitDone; }
  int exit_status() const { return failure_; }
  bool unknown() const { return unknown_; }
  const std::string& body() const { return body_; }

 private:
  std::string body_;
  int failure_ = kExitDone;
  bool unknown_ = false;
};

template <class Render>
int show(const CommonOptions& common, const Exchange& exchange, Render render) {
  if (exchange.failed()) return exchange.exit_status();
  for (const auto& warning : warnings_of(exchange.body())) complain(warning);
  print(common.json ? exchange.body() : render(exchange.body()));
  return kExitDone;
}

int change(const CommonOptions& common, const std::string& target, const std::string& verb,
           const Json& body) {
  const auto names = split_target(target);
  if (!names) return not_a_target(target);
  const Exchange exchange(common, "POST", {"backends", (*names)[0], (*names)[1], verb}, {}, dumped(body));
  return show(common, exchange, [&](const auto& answer) { return render_changed(answer, verb); });
}

AdminClient::Query query_of(const FilterOptions& filter) {
  AdminClient::Query query;
  if (!filter.pool.empty()) query.emplace_back("pool", filter.pool);
  if (!filter.backend.empty()) query.emplace_back("backend", filter.backend);
  if (!filter.client.empty()) query.emplace_back("client", filter.client);
  return query;
}

/// Brings the numbers of sessions in an answer to a drain up to date. The sum of them; nothing when the
/// daemon is gone.
std::optional<std::uint64_t> recount(const CommonOptions& common, Json& answer) {
  std::uint64_t left = 0;
  for (auto& item : answer["changed"]) {
    const auto names = split_target(item.value("backend", ""));
    if (!names) continue;
    const AdminClient client(admin_socket(common.socket));
    const auto reply = client.request("GET", {"status", (*names)[0], (*names)[1]});
    if (!reply) {
      complain(reply.error().message);
      return std::nullopt;
    }
    const auto status = reply->status == 200 ? Json::parse(reply->body, nullptr, false) : Json();
    std::uint64_t active = 0;  // of a backend that has been removed: no longer known
    if (status.is_object())
      for (const auto& pool : status.value("pools", Json::array()))
        for (const auto& backend : pool.value("backends", Json::array()))
          active += backend.value("active", 0u);
    item["sessions"] = active;
    left += active;
  }
  return left;
}

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

std::string drain_progress(std::uint64_t sessions, Millis waited, std::optional<Millis> timeout) {
  const auto seconds = [](Millis time) { return short_duration(static_cast<double>(time.count()) / 1000); };
  const std::string left = fmt::format("{} session{} left", sessions, sessions == 1 ? "" : "s");
  if (!timeout) return fmt::format("{}, waiting for {}", left, seconds(waited));
  if (waited >= *timeout) return left + ", closing";
  return fmt::format("{}, {} to go", left, seconds(*timeout - waited));
}

/// Until nothing is left. `patience` and `timeout`, which is only shown, count from the drain.
int wait_for_end(const CommonOptions& common, std::string body, std::optional<Millis> patience,
                 std::optional<Millis> timeout) {
  const auto begin = std::chrono::steady_clock::now();
  std::optional<Progress> progress(std::in_place);
  auto answer = Json::parse(body, nullptr, false);
  if (!answer.is_object()) answer = Json::object();
  for (;;) {
    const auto left = recount(common, answer);
    if (!left) return kExitNoDaemon;
    const auto waited = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - begin);
    if (*left > 0 && (!patience || waited < *patience)) {
      progress->show(drain_progress(*left, waited, timeout));
      std::this_thread::sleep_for(kLookEvery);
      continue;
    }
    progress.reset();
    const auto text = answer.dump() + "\n";
    print(common.json ? text : render_changed(text, "drain"));
    if (*left == 0) return kExitDone;
    complain(
        fmt::format("timed out: {} sessions are left; they go on, \"weir kill --backend\" ends them", *left));
    return kExitTimedOut;
  }
}

/// The ids of the sessions that are meant, as there are now; or the exit status.
tl::expected<std::vector<std::string>, int> ids_now(const CommonOptions& common,
                                                    const FilterOptions& filter) {
  if (!filter.ids.empty()) return filter.ids;
  const Exchange list(common, "GET", {"sessions"}, query_of(filter));
  if (list.failed()) return tl::unexpected(list.exit_status());
  const auto answer = Json::parse(list.body(), nullptr, false);
  std::vector<std::string> ids;
  if (!answer.is_object()) return ids;
  for (const auto& session : answer.value("sessions", Json::array())) ids.push_back(session.value("id", ""));
  if (!answer.contains("left_out")) return ids;
  complain(
      fmt::format("over {} sessions are meant, more than can be ended at a rate: narrow it", ids.size()));
  return tl::unexpected(int{kExitFailed});
}

int kill_at_rate(const CommonOptions& common, const FilterOptions& filter, std::uint32_t per_second) {
  const auto ids = ids_now(common, filter);
  if (!ids) return ids.error();
  const auto begin = std::chrono::steady_clock::now();
  Progress progress;
  std::uint64_t killed = 0;
  for (std::size_t sent = 0; sent < ids->size();) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
    const auto due = std::min(ids->size(), static_cast<std::size_t>(waited.count() * per_second) + 1);
    if (due > sent) {
      Json body = Json::object();
      for (const auto& [name, value] : query_of(filter)) body[name] = value;
      body["ids"] = std::vector<std::string>(ids->begin() + static_cast<std::ptrdiff_t>(sent),
                                             ids->begin() + static_cast<std::ptrdiff_t>(due));
      const Exchange round(common, "POST", {"sessions", "kill"}, {}, dumped(body));
      if (round.failed()) return round.exit_status();
      if (const auto answer = Json::parse(round.body(), nullptr, false); answer.is_object())
        killed += answer.value("killed", 0u);
      sent = due;
      progress.show(fmt::format("{} of {} sessions ended", sent, ids->size()));
    }
    if (sent < ids->size()) std::this_thread::sleep_for(std::min(kLookEvery, Millis(1000 / per_second + 1)));
  }
  progress.show("");
  const auto text = Json{{"killed", killed}}.dump() + "\n";
  print(common.json ? text : render_killed(text));
  return kExitDone;
}

}  // namespace

int exit_status_of(const std::string& code) {
  if (code == "usage") return kExitUsage;
  if (code == "unknown") return kExitUnknownName;
  return kExitFailed;
}

int run_status(const CommonOptions& common, const std::string& target, bool watch) {
  std::vector<std::string> path{"status"};
  if (const auto slash = target.find('/'); slash != std::string::npos) {
    path.push_back(target.substr(0, slash));
    path.push_back(target.substr(slash + 1));
  } else if (!target.empty()) {
    path.push_back(target);
  }
  const auto once = [&] {
    const Exchange exchange(common, "GET", path);
    const auto terminal = standard_terminal();
    return show(common, exchange, [&](const auto& answer) {
      const auto text = render_status(answer, terminal, std::chrono::system_clock::now());
      return watch && terminal.width > 0 ? in_place(text, terminal.height) : text;
    });
  };
  int status = once();
  while (watch && status == kExitDone) {
    std::this_thread::sleep_for(kWatchEvery);
    status = once();
  }
  return status;
}

int run_drain(const CommonOptions& common, const DrainOptions& options) {
  const auto names = split_target(options.target);
  if (!names) return not_a_target(options.target);
  if (options.close && !options.timeout) return usage("--then close needs --timeout: when to begin closing");
  if (options.spread && !options.close) return usage("--spread goes with --then close");
  Json body{{"force", options.force}, {"then", options.close ? "close" : "leave"}};
  if (options.close) {
    body["timeout_ms"] = options.timeout->count();
    body["spread_ms"] = options.spread.value_or(Millis(0)).count();
  }
  const Exchange exchange(common, "POST", {"backends", (*names)[0], (*names)[1], "drain"}, {}, dumped(body));
  if (!options.wait && !options.timeout)
    return show(common, exchange, [](const auto& answer) { return render_changed(answer, "drain"); });
  if (exchange.failed()) return exchange.exit_status();
  for (const auto& warning : warnings_of(exchange.body())) complain(warning);
  auto patience = options.timeout;
  if (options.close) *patience += options.spread.value_or(Millis(0)) + kCloseMargin;
  return wait_for_end(common, exchange.body(), patience, options.timeout);
}

int run_disable(const CommonOptions& common, const std::string& target, bool force) {
  return change(common, target, "disable", {{"force", force}});
}

int run_enable(const CommonOptions& common, const std::string& target) {
  return change(common, target, "enable", Json::object());
}

int run_weight(const CommonOptions& common, const std::string& target, const std::string& weight) {
  return change(common, target, "weight", {{"weight", weight}});
}

int run_add(const CommonOptions& common, const std::string& pool, const std::string& name,
            const std::string& address, std::uint32_t weight, bool backup) {
  const Exchange exchange(
      common, "POST", {"pools", pool, "backends"}, {},
      dumped({{"name", name}, {"address", address}, {"weight", weight}, {"backup", backup}}));
  return show(common, exchange, [](const auto& answer) { return render_changed(answer, "add"); });
}

int run_remove(const CommonOptions& common, const std::string& target, bool force) {
  const auto names = split_target(target);
  if (!names) return not_a_target(target);
  const Exchange exchange(common, "DELETE", {"backends", (*names)[0], (*names)[1]},
                          {{"force", force ? "true" : "false"}});
  return show(common, exchange, [](const auto& answer) { return render_changed(answer, "remove"); });
}

int run_sessions(const CommonOptions& common, const FilterOptions& filter) {
  return show(common, Exchange(common, "GET", {"sessions"}, query_of(filter)),
              [](const auto& answer) { return render_sessions(answer, standard_terminal()); });
}

int run_kill(const CommonOptions& common, const FilterOptions& filter, std::uint32_t per_second) {
  Json body = Json::object();
  if (!filter.ids.empty()) body["ids"] = filter.ids;
  for (const auto& [name, value] : query_of(filter)) body[name] = value;
  if (body.empty())
    return usage("say which sessions: IDs (weir sessions lists them), --pool, --backend or --client");
  if (per_second > 0) return kill_at_rate(common, filter, per_second);
  return show(common, Exchange(common, "POST", {"sessions", "kill"}, {}, dumped(body)), render_killed);
}

int run_explain(const CommonOptions& common, const std::string& pool, const std::string& client) {
  return show(common, Exchange(common, "GET", {"explain"}, {{"pool", pool}, {"client", client}}),
              render_explanation);
}

int run_reload(const CommonOptions& common) {
  return show(common, Exchange(common, "POST", {"reload"}), render_reload);
}

int run_diff(const CommonOptions& common, const std::string& file) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (std::filesystem::is_directory(file)) errno = EISDIR;
  if (!in || errno == EISDIR) {
    fmt::print(stderr, "{}: cannot be read: {}\n", file, std::strerror(errno));
    return kExitFailed;
  }
  const Exchange exchange(common, "POST", {"diff"}, {{"file", file}}, text);
  if (exchange.failed()) return exchange.exit_status();
  const auto difference = read_difference(exchange.body());
  for (const auto& line : difference.complaints) fmt::print(stderr, "{}\n", line);
  print(common.json ? exchange.body() : difference.text);
  return difference.accepted ? kExitDone : kExitFailed;
}

int run_upgrade(const CommonOptions& common, const std::string& binary, std::optional<Millis> max_age) {
  Json body = Json::object();
  // A relative path is of this command's directory, not of the daemon's.
  if (!binary.empty()) body["binary"] = std::filesystem::absolute(binary).string();
  if (max_age) body["max_age_ms"] = max_age->count();
  return show(common, Exchange(common, "POST", {"upgrade"}, {}, dumped(body)), render_upgrade);
}

int run_version(const CommonOptions& common, const std::string& version) {
  const Json about{{"version", version}, {"features", {"splice", "ipv6", "unix sockets", "https probes"}}};
  print(common.json ? about.dump() + "\n" : render_version(about.dump()));
  return kExitDone;
}

}  // namespace weir
