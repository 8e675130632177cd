// `weir status`, once or again and again.
#include <fmt/format.h>

#include <cstdio>
#include <thread>

#include "lb/base/glob.h"
#include "lb/cli/commands.h"
#include "lb/cli/exchange.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/render.h"
#include "lb/cli/table.h"
#include "lb/cli/watching.h"

namespace weir {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis kWatchEvery{1000};
/// A key waits for as long as an answer does.
constexpr Millis kWatchPatience{2000};
/// Of a backend, on its page.
constexpr const char* kLastEvents = "10";

/// One look at the daemon.
struct Look {
  int status = kExitDone;
  std::string complaint;  ///< why there is no text
  std::string text;
};

Look failed(const Exchange& exchange) {
  return {exchange.exit_status(), exchange.complaint(), ""};
}

/// What the daemon says of one backend, and what has happened to it and who is there now.
Look look_at_backend(const CommonOptions& common, const Exchange& status,
                     const std::vector<std::string>& path, const Terminal& terminal) {
  const AdminClient::Query about{{"pool", path[1]}, {"backend", path[2]}};
  auto last = about;
  last.emplace_back("limit", kLastEvents);
  const Exchange events(common, "GET", {"events"}, last);
  if (events.failed()) return failed(events);
  const Exchange sessions(common, "GET", {"sessions"}, about);
  if (sessions.failed()) return failed(sessions);
  return {kExitDone, "",
          render_backend(status.body(), events.body(), sessions.body(), terminal,
                         std::chrono::system_clock::now())};
}

/// `screen`: in the lines that the terminal has.
Look look(const CommonOptions& common, const std::vector<std::string>& path, const Terminal& terminal,
          bool screen) {
  const Exchange exchange(common, "GET", path);
  if (exchange.failed()) return failed(exchange);
  if (common.json) return {kExitDone, "", exchange.body()};
  if (path.size() == 3 && !is_glob(path[1]) && !is_glob(path[2]))
    return look_at_backend(common, exchange, path, terminal);
  const auto now = std::chrono::system_clock::now();
  return {
      kExitDone, "",
      screen ? render_screen(exchange.body(), terminal, now) : render_status(exchange.body(), terminal, now)};
}

/// Into a pipe: one look below the other.
int watch_lines(const CommonOptions& common, const std::vector<std::string>& path) {
  CommonOptions quiet = common;
  bool seen = false, away = false;
  while (std::ferror(stdout) == 0) {
    const Look now = look(quiet, path, {}, false);
    if (now.status != kExitDone && (now.status != kExitNoDaemon || !seen)) {
      if (seen) complain(now.complaint);
      return now.status;
    }
    if (now.status == kExitNoDaemon && !std::exchange(away, true))
      complain(now.complaint + "; it is asked again until it answers");
    if (now.status == kExitDone) {
      print(now.text);
      seen = quiet.quiet = true;
      away = false;
    }
    std::this_thread::sleep_for(kWatchEvery);
  }
  return kExitDone;
}

int watch_screen(const CommonOptions& common, const std::vector<std::string>& path) {
  CommonOptions quiet = common;
  quiet.patience = common.patience.value_or(kWatchPatience);
  std::string last;
  auto heard = Clock::now();
  Watching watching;
  while (std::ferror(stdout) == 0) {
    const Terminal terminal = standard_terminal();
    const Look now = look(quiet, path, terminal, true);
    if (now.status == kExitDone) {
      heard = Clock::now();
      last = now.text;
      quiet.quiet = true;
      print(in_place(last, terminal.height));
    } else if (now.status != kExitNoDaemon || last.empty()) {
      if (quiet.quiet) complain(now.complaint);
      return now.status;
    } else {
      const std::chrono::duration<double> silent = Clock::now() - heard;
      const auto said = fmt::format("no answer for {}: {}; it is asked again, and this is what it said last:",
                                    age(silent.count()), now.complaint);
      print(in_place(fitted(said, terminal.width) + "\n" + last, terminal.height));
    }
    if (watching.wait(kWatchEvery) == Watching::Woken::ToEnd) break;
  }
  return kExitDone;
}

}  // namespace

int run_status(const CommonOptions& common, const std::vector<std::string>& targets, bool watch) {
  if (targets.size() > 1) return usage("status takes one POOL or POOL/BACKEND, which may be a glob");
  const std::string target = targets.empty() ? "" : targets[0];
  std::vector<std::string> path{"status"};
  if (const auto slash = target.find('/'); slash != std::string::npos) {
    path.push_back(target.substr(0, slash));
    path.push_back(target.substr(slash + 1));
  } else if (!target.empty()) {
    path.push_back(target);
  }
  const Terminal terminal = standard_terminal();
  if (watch)
    return terminal.width > 0 && !common.json ? watch_screen(common, path) : watch_lines(common, path);
  const Look once = look(common, path, terminal, false);
  if (once.status == kExitDone) print(once.text);
  return once.status;
}

}  // namespace weir
