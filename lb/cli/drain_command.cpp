// weir drain, and the wait for its end.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "lb/base/counted.h"
#include "lb/cli/exchange.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/progress.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

/// How long the daemon may keep the answer back.
constexpr Millis kWatchEvery{1000};
constexpr Millis kLookEvery{100};
/// The daemon closes sessions in rounds; a drain is called timed out only when it is this late.
constexpr Millis kCloseMargin{10'000};

/// While it lives, Ctrl-C says `text` before it ends the command. One at a time.
class FarewellOnInterrupt {
 public:
  explicit FarewellOnInterrupt(std::string text) {
    text_ = std::move(text);
    struct sigaction action {};
    // In the background of a shell without job control it is ignored, and stays so.
    if (::sigaction(SIGINT, nullptr, &before_) != 0 || before_.sa_handler == SIG_IGN) return;
    action.sa_handler = [](int number) {
      const auto written = ::write(STDERR_FILENO, text_.data(), text_.size());
      static_cast<void>(written);
      ::signal(number, SIG_DFL);
      ::raise(number);
    };
    installed_ = ::sigaction(SIGINT, &action, nullptr) == 0;
  }
  ~FarewellOnInterrupt() {
    if (installed_) ::sigaction(SIGINT, &before_, nullptr);
  }
  FarewellOnInterrupt(const FarewellOnInterrupt&) = delete;
  FarewellOnInterrupt& operator=(const FarewellOnInterrupt&) = delete;

 private:
  inline static std::string text_;  ///< the handler's, which may call little
  struct sigaction before_ {};
  bool installed_ = false;
};

std::string drain_progress(std::uint64_t sessions, Millis waited, std::optional<Millis> timeout) {
  const auto seconds = [](Millis time) { return short_duration(static_cast<double>(time.count()) / 1000); };
  const std::string left = fmt::format("{} session{} left", sessions, sessions == 1 ? "" : "s");
  if (!timeout) return fmt::format("{}, waiting for {}", left, seconds(waited));
  if (waited >= *timeout) return left + ", closing";
  return fmt::format("{}, {} to go", left, seconds(*timeout - waited));
}

/// Names of an answer's backends.
std::set<std::string> backends_of(std::string_view body) {
  std::set<std::string> out;
  const auto answer = Json::parse(body, nullptr, false);
  if (answer.is_object())
    for (const auto& item : answer.value("changed", Json::array())) out.insert(item.value("backend", ""));
  return out;
}

/// Until no session is left on those that `drained`, the answer to a drain, is about. `patience` and
/// `timeout`, which is only shown, count from the drain.
int wait_for_end(const CommonOptions& common, const std::vector<std::string>& names, std::string_view drained,
                 std::optional<Millis> patience, std::optional<Millis> timeout) {
  const auto begin = std::chrono::steady_clock::now();
  const auto meant = backends_of(drained);
  const FarewellOnInterrupt farewell(
      fmt::format("\nweir: the drain stays in force; \"weir enable {}/{}\" ends it\n", names[0], names[1]));
  std::optional<Progress> progress(std::in_place);
  for (Millis wait(0);;) {
    const Exchange exchange(common, "GET", {"drains", names[0], names[1]},
                            {{"wait_ms", std::to_string(wait.count())}});
    // Unknown now: gone from the file, and no session is left there.
    if (exchange.failed()) return exchange.unknown() ? kExitDone : exchange.exit_status();
    const auto answer = Json::parse(exchange.body(), nullptr, false);
    if (!answer.is_object()) return kExitFailed;
    std::uint64_t left = 0;
    for (const auto& item : answer.value("changed", Json::array())) left += item.value("sessions", 0u);
    for (const auto& name : answer.value("enabled", Json::array()))
      if (name.is_string() && meant.contains(name.get<std::string>())) {
        progress.reset();
        complain(
            fmt::format("{} has been enabled meanwhile: it gets sessions again", name.get<std::string>()));
        return kExitFailed;
      }
    // An older process that does not answer may have some.
    const bool all_heard = answer.value("unheard", Json::array()).empty();
    const auto waited = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - begin);
    if ((left > 0 || !all_heard) && (!patience || waited < *patience)) {
      progress->show(drain_progress(left, waited, timeout));
      wait = patience ? std::min(kWatchEvery, *patience - waited) : kWatchEvery;
      if (!all_heard) std::this_thread::sleep_for(kLookEvery);
      continue;
    }
    progress.reset();
    print(common.json ? exchange.body() : render_changed(exchange.body(), "drain"));
    if (left == 0 && all_heard) return kExitDone;
    complain(fmt::format("timed out: {}; \"weir kill --backend\" ends what is left", sessions_go_on(left)));
    return kExitTimedOut;
  }
}

}  // namespace

int run_drain(const CommonOptions& common, const DrainOptions& options) {
  const auto names = split_target(options.target);
  if (!names) return not_a_target(options.target);
  if (options.close && !options.timeout) return usage("--then close needs --timeout: when to begin closing");
  if (options.spread && !options.close) return usage("--spread goes with --then close");
  Millis closed = options.close ? *options.timeout : Millis(0);
  closed += options.spread.value_or(Millis(0));
  if (options.remark.lasts && *options.remark.lasts < closed)
    return usage("--for ends before what is left is closed: make it longer than --timeout and --spread");
  Json body =
      with(options.remark, Json{{"force", options.force}, {"then", options.close ? "close" : "leave"}});
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
  return wait_for_end(common, *names, exchange.body(), patience, options.timeout);
}

}  // namespace weir
