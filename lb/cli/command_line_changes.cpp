// The commands that change who serves, and end sessions.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>

#include "lb/admit/rate.h"
#include "lb/base/state.h"
#include "lb/cli/command_line_state.h"
#include "lb/cli/exchange.h"

namespace weir {

void CommandLine::State::add_drain() {
  auto* command = add("drain", "no new sessions; live ones and probes go on",
                      "  weir drain web/web1 --wait\n"
                      "  weir drain web/web1 --for 2h --comment \"new disk\"\n"
                      "  weir drain web/web1 --timeout 5m --then close --spread 30s",
                      [this] {
                        drain.force = force;
                        drain.remark = remark;
                        drain.target = target;
                        drain.close = then == "close";
                        if (!timeout.empty()) drain.timeout = *parse_duration(timeout);
                        if (!spread.empty()) drain.spread = *parse_duration(spread);
                        return run_drain(common, drain);
                      });
  command->add_option("target", target, kTargetHelp)->required()->type_name("POOL/BACKEND");
  command->add_flag("--wait", drain.wait, "return when the last session has ended");
  command->add_option("--timeout", timeout, "wait this long at most; exit 4 when sessions are left")
      ->check(check_duration)
      ->type_name("DURATION");
  command->add_option("--then", then, "at the timeout: leave what is left, or close it (the daemon does)")
      ->check(CLI::IsMember({"leave", "close"}))
      ->type_name("leave|close");
  command->add_option("--spread", spread, "close evenly over this long")
      ->check(check_duration)
      ->type_name("DURATION");
  add_remark(command, remark);
  command->add_flag("--force", force, "even the pool's last eligible backend");
}

void CommandLine::State::add_changes() {
  auto* disable = add("disable", "as drain, and no probes: maintenance", "  weir disable web/web1",
                      [this] { return run_disable(common, target, remark, force); });
  disable->add_option("target", target, kTargetHelp)->required()->type_name("POOL/BACKEND");
  add_remark(disable, remark);
  disable->add_flag("--force", force, "even the pool's last eligible backend");

  auto* enable = add("enable", "take a drain or disable back: eligible again when its health allows",
                     "  weir enable web/web1", [this] { return run_enable(common, target); });
  enable->add_option("target", target, kTargetHelp)->required()->type_name("POOL/BACKEND");

  auto* reweigh =
      add("weight", "a new weight, from now on", "  weir weight web/web1 5\n  weir weight web/web1 default",
          [this] { return run_weight(common, target, second, remark); });
  reweigh->add_option("target", target, kTargetHelp)->required()->type_name("POOL/BACKEND");
  reweigh->add_option("weight", second, "1 to 256, or \"default\": the file's")
      ->required()
      ->type_name("N|default");
  add_remark(reweigh, remark);
}

void CommandLine::State::add_members() {
  auto* join =
      add("add", "a new backend, until the next reload", "  weir add web web4 10.0.0.14:80 --weight 2",
          [this] { return run_add(common, target, second, third, weight, flag, max_sessions); });
  join->add_option("pool", target, "the pool")->required()->type_name("POOL");
  join->add_option("name", second, "the new backend's name")->required()->type_name("NAME");
  join->add_option("address", third, "ip:port, [v6]:port, host:port, unix:/path or unix:@name")
      ->required()
      ->type_name("ADDRESS");
  join->add_option("--weight", weight, "1 to 256")->check(CLI::Range(1, 256))->type_name("N");
  join->add_flag("--backup", flag, "used only when no other backend is eligible");
  join->add_option("--max-sessions", max_sessions, "its sessions at once; 0 is no limit")
      ->check(CLI::Range(std::uint64_t{0}, kMaxSessions))
      ->type_name("N");

  auto* leave = add("remove", "no longer a backend, until the next reload; live sessions go on",
                    "  weir remove web/web4", [this] { return run_remove(common, target, force); });
  leave->add_option("target", target, kTargetHelp)->required()->type_name("POOL/BACKEND");
  leave->add_flag("--force", force, "even the pool's last eligible backend");
}

void CommandLine::State::add_ends() {
  auto* kill =
      add("kill", "end sessions now, both sides with a reset",
          "  weir kill 2-1f\n  weir kill --backend web/web1\n  weir kill --client 203.0.113.0/24 --rate 50",
          [this] { return run_kill(common, filter, rate); });
  kill->add_option("ids", filter.ids, "as weir sessions shows them")->type_name("ID");
  kill->add_option("--rate", rate, "at most so many a second, of the sessions that there are now")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  add_filter(kill, filter);
  auto* rebalance =
      add("rebalance", "end sessions of backends with more than their share, oldest first, until it is even",
          "  weir rebalance web\n  weir rebalance web --rate 50/s --to 1.05", [this] {
            const Rate parsed = *parse_rate(pace, 0);
            return run_rebalance(common, target, parsed.interval,
                                 static_cast<std::uint32_t>(std::lround(factor * 100)));
          });
  rebalance->add_option("pool", target, "the pool")->required()->type_name("POOL");
  rebalance->add_option("--rate", pace, "so many sessions at most (default: 5/s)")
      ->check([](const std::string& text) {
        const auto parsed = parse_rate(text, 0);
        return parsed ? check_given(text) : parsed.error().message;
      })
      ->type_name("N/s");
  rebalance->add_option("--to", factor, "how many times its share a backend keeps (default: 1.1)")
      ->check([](const std::string& text) {
        const double value = std::strtod(text.c_str(), nullptr);
        return value >= 1 && value <= 10 ? "" : "is not a number from 1 to 10";
      })
      ->type_name("FACTOR");
}

}  // namespace weir
