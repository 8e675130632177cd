#include "lb/cli/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "lb/base/build.h"
#include "lb/base/file.h"
#include "lb/cli/event_lines.h"
#include "lb/cli/exchange.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/render.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

constexpr Millis kLookEvery{100};
/// How long a daemon without a socket may take to end.
constexpr Millis kEndPatience{5'000};
/// A check that takes longer is a check that has failed.
constexpr Millis kReadyPatience{1'000};
/// Of a configuration to compare; the daemon takes less.
constexpr std::uint64_t kMostDiffBytes = std::uint64_t{64} << 20;
constexpr Millis kPipePatience{10'000};

int change(const CommonOptions& common, const std::string& target, const std::string& verb,
           const Json& body) {
  const auto names = split_target(target);
  if (!names) return not_a_target(target);
  const Exchange exchange(common, "POST", {"backends", (*names)[0], (*names)[1], verb}, {}, dumped(body));
  return show(common, exchange, [&](const auto& answer) { return render_changed(answer, verb); });
}

}  // namespace

namespace {

/// `target`: "", POOL or POOL/BACKEND.
AdminClient::Query events_query(const std::string& target, std::optional<Millis> since) {
  AdminClient::Query query;
  const auto slash = target.find('/');
  if (!target.empty()) query.emplace_back("pool", target.substr(0, slash));
  if (slash != std::string::npos) query.emplace_back("backend", target.substr(slash + 1));
  if (since) query.emplace_back("since_ms", std::to_string(since->count()));
  return query;
}

}  // namespace

int run_events(const CommonOptions& common, const std::string& target, std::optional<Millis> since,
               std::uint32_t limit) {
  auto query = events_query(target, since);
  if (limit > 0) query.emplace_back("limit", std::to_string(limit));
  return show(common, Exchange(common, "GET", {"events"}, query),
              [](const auto& answer) { return render_events(answer, standard_terminal()); });
}

int run_follow(const CommonOptions& common, const std::string& target, std::optional<Millis> since) {
  const AdminClient client = client_of(common);
  auto query = events_query(target, since);
  query.emplace_back("follow", "true");
  EventLines lines([&](std::string_view line) {
    print((common.json ? std::string(line) : render_event(line)) + "\n");
    return std::ferror(stdout) == 0;
  });
  bool lost = false;
  for (std::chrono::steady_clock::time_point lost_since;;) {
    const bool heard_before = lines.heard();
    const auto reply = client.follow({"events"}, query, lines.last_id(),
                                     [&](std::string_view piece) { return lines.take(piece); });
    if (std::ferror(stdout) != 0) return kExitFailed;
    if (reply && reply->status != 0 && reply->status != 200) {
      complain(complaint_in(*reply));
      return exit_status_in(*reply);
    }
    if (!reply && !heard_before) {
      complain(reply.error().message);
      return kExitNoDaemon;
    }
    // A daemon that ends may have one that follows it.
    const auto now = std::chrono::steady_clock::now();
    if (!reply && lost && now - lost_since > kEndPatience) {
      complain(reply.error().message);
      return kExitNoDaemon;
    }
    if (!lost) lost_since = now;
    lost = !reply;
    std::this_thread::sleep_for(kLookEvery);
  }
}

int run_ready(const CommonOptions& common, const std::vector<std::string>& listeners) {
  CommonOptions quick = common;
  quick.patience = common.patience.value_or(kReadyPatience);
  AdminClient::Query query;
  if (!listeners.empty()) query.emplace_back("listener", fmt::format("{}", fmt::join(listeners, ",")));
  const Exchange exchange(quick, "GET", {"ready"}, query);
  if (exchange.failed()) return exchange.exit_status();
  const auto answer = Json::parse(exchange.body(), nullptr, false);
  const bool ready = answer.is_object() && answer.value("ready", false);
  if (common.json) {
    print(exchange.body());
  } else if (ready) {
    print("ready\n");
  } else if (answer.is_object()) {
    for (const auto& reason : answer.value("reasons", Json::array()))
      if (reason.is_string()) print(fmt::format("not ready: {}\n", reason.get<std::string>()));
  }
  return ready ? kExitDone : kExitFailed;
}

int run_disable(const CommonOptions& common, const std::string& target, const RemarkOptions& remark,
                bool force) {
  return change(common, target, "disable", with(remark, {{"force", force}}));
}

int run_enable(const CommonOptions& common, const std::string& target) {
  return change(common, target, "enable", Json::object());
}

int run_weight(const CommonOptions& common, const std::string& target, const std::string& weight,
               const RemarkOptions& remark) {
  return change(common, target, "weight", with(remark, {{"weight", weight}}));
}

int run_add(const CommonOptions& common, const std::string& pool, const std::string& name,
            const std::string& address, std::uint32_t weight, bool backup, std::uint64_t max_sessions) {
  const Exchange exchange(common, "POST", {"pools", pool, "backends"}, {},
                          dumped({{"name", name},
                                  {"address", address},
                                  {"weight", weight},
                                  {"backup", backup},
                                  {"max_sessions", max_sessions}}));
  return show(common, exchange, [](const auto& answer) { return render_changed(answer, "add"); });
}

int run_remove(const CommonOptions& common, const std::string& target, bool force) {
  const auto names = split_target(target);
  if (!names) return not_a_target(target);
  const Exchange exchange(common, "DELETE", {"backends", (*names)[0], (*names)[1]},
                          {{"force", force ? "true" : "false"}});
  return show(common, exchange, [](const auto& answer) { return render_changed(answer, "remove"); });
}

int run_explain(const CommonOptions& common, const std::string& pool, const std::string& client,
                const ExplainOptions& options) {
  std::vector<std::pair<std::string, std::string>> query{{"client", client}};
  if (options.listener.empty())
    query.emplace_back("pool", pool);
  else
    query.emplace_back("listener", options.listener);
  if (!options.peer.empty()) query.emplace_back("peer", options.peer);
  if (!options.sni.empty()) query.emplace_back("sni", options.sni);
  if (!options.alpn.empty()) query.emplace_back("alpn", options.alpn);
  return show(common, Exchange(common, "GET", {"explain"}, query), render_explanation);
}

int run_reload(const CommonOptions& common) {
  return show(common, Exchange(common, "POST", {"reload"}), render_reload);
}

int run_diff(const CommonOptions& common, const std::string& file) {
  const auto text = read_file(file, kMostDiffBytes, kPipePatience);
  if (!text) {
    fmt::print(stderr, "{}: {}\n", file, text.error().message);
    return kExitFailed;
  }
  const Exchange exchange(common, "POST", {"diff"}, {{"file", file}}, *text);
  if (exchange.failed()) return exchange.exit_status();
  const auto difference = read_difference(exchange.body());
  for (const auto& line : difference.complaints) fmt::print(stderr, "{}\n", line);
  print(common.json ? exchange.body() : difference.text);
  return difference.accepted ? kExitDone : kExitFailed;
}

int run_upgrade(const CommonOptions& common, const std::string& binary, std::optional<Millis> max_age,
                bool force) {
  Json body = Json::object();
  // A relative path is of this command's directory, not of the daemon's.
  if (!binary.empty()) body["binary"] = std::filesystem::absolute(binary).string();
  if (max_age) body["max_age_ms"] = max_age->count();
  if (force) body["force"] = true;
  CommonOptions patient = common;
  patient.patience = common.patience.value_or(kUpgradePatience);
  return show(common, Exchange(patient, "POST", {"upgrade"}, {}, dumped(body)), render_upgrade);
}

int run_stop(const CommonOptions& common, std::optional<Millis> grace) {
  const AdminClient client = client_of(common);
  const auto pid_there = [&]() -> Result<std::int64_t> {
    const auto reply = client.request("GET", {"version"});
    if (!reply) return tl::unexpected(reply.error());
    const auto answer = Json::parse(reply->body, nullptr, false);
    return answer.is_object() ? answer.value("pid", std::int64_t{0}) : 0;  // 0: somebody is there
  };
  const std::int64_t pid = pid_there().value_or(0);
  // From a container's outside it may be nobody's, or another's.
  const bool visible = pid > 0 && ::kill(static_cast<pid_t>(pid), 0) == 0;
  Json body = Json::object();
  if (grace) body["grace_ms"] = grace->count();
  const Exchange exchange(common, "POST", {"stop"}, {}, dumped(body));
  if (exchange.failed()) return exchange.exit_status();
  if (!common.json) complain(render_stop(exchange.body()));
  // Another one that is started in its place is not waited for.
  for (auto now = pid_there(); !now || *now == pid || *now == 0 || pid == 0; now = pid_there()) {
    if (now) {
      std::this_thread::sleep_for(kLookEvery);
    } else if (now.error().code == ETIMEDOUT) {
      complain(now.error().message);
      return kExitNoDaemon;
    } else {
      break;
    }
  }
  // The socket goes before what the process still writes.
  const auto give_up = std::chrono::steady_clock::now() + kEndPatience;
  while (visible && ::kill(static_cast<pid_t>(pid), 0) == 0 && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(kLookEvery / 5);
  print(common.json ? exchange.body() : "stopped\n");
  return kExitDone;
}

int run_version(const CommonOptions& common, const std::string& version) {
  const Json about{{"version", version}, {"commit", kBuild.commit}, {"features", kFeatures}};
  print(common.json ? about.dump() + "\n" : render_version(about.dump()));
  return kExitDone;
}

}  // namespace weir
