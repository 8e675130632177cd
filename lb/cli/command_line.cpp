#include "lb/cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "lb/admit/rate.h"
#include "lb/base/state.h"
#include "lb/cli/commands.h"
#include "lb/cli/completion_scripts.h"
#include "lb/cli/exchange.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/offers.h"
#include "lb/cli/syntax.h"
#include "lb/cli/usage_complaint.h"

namespace weir {

struct CommandLine::State {
  State(CLI::App& to, std::string own_version, LocalCommands own)
      : app(to), version(std::move(own_version)), local(std::move(own)) {
    app.set_help_flag("-h,--help", "what it does, and its options");
    app.set_version_flag("-V,--version", "weir " + version, "the version");
    app.formatter_fn(
        [](const CLI::App* one, const std::string&, CLI::AppFormatMode) { return help_text(*one); });
  }

  /// A command of the daemon's: with --socket and -o, an example, and what it does.
  CLI::App* add(const std::string& name, const std::string& what, const std::string& examples,
                std::function<int()> act);
  void add_socket(CLI::App* command);
  void add_timeout(CLI::App* command);
  void add_output(CLI::App* command);
  void add_file(CLI::App* command);
  void add_local();
  void add_status();
  void add_drain();
  void add_changes();
  void add_members();
  void add_sessions();
  void add_others();
  int explain_client();
  void add_descriptions();

  CLI::App& app;
  const std::string version;
  const LocalCommands local;
  CommonOptions common;
  std::string file = "/etc/weir/weir.toml";
  std::string target, second, third;
  DrainOptions drain;
  RemarkOptions remark;
  std::string timeout, spread, grace, since, then = "leave";
  FilterOptions filter;
  ListOptions listing;
  ExplainOptions caller;
  std::uint32_t weight = 1;
  std::uint64_t max_sessions = 0;
  std::uint32_t rate = 0;
  std::string pace = "5/s";
  double factor = 1.1;
  std::vector<std::string> targets;
  bool flag = false, force = false, ready = false;
  std::function<int()> chosen;
};

namespace {

int say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kExitDone;
}

constexpr auto kTargetHelp = "either part may be a glob (web/web*)";

std::string check_duration(const std::string& text) {
  const auto parsed = parse_duration(text);
  return parsed ? "" : parsed.error().message;
}

/// A variable of a script that is empty must not mean everything.
std::string check_given(const std::string& text) {
  return text.empty() ? "is empty; leave the option out, or say which" : "";
}

void add_remark(CLI::App* command, RemarkOptions& remark) {
  command
      ->add_option_function<std::string>(
          "--for", [&remark](const std::string& text) { remark.lasts = *parse_duration(text); },
          "it ends by itself after this long")
      ->check(check_duration)
      ->type_name("DURATION");
  command->add_option("--comment", remark.comment, "why, for those who look at the status")
      ->check(check_given)
      ->type_name("TEXT");
}

void add_filter(CLI::App* command, FilterOptions& filter) {
  command->add_option("--pool", filter.pool, "sessions of this pool")->check(check_given)->type_name("POOL");
  command->add_option("--backend", filter.backend, "of this backend; beside --pool its name is enough")
      ->check(check_given)
      ->type_name("POOL/BACKEND");
  command->add_option("--client", filter.client, "from this address or network (203.0.113.0/24)")
      ->check(check_given)
      ->type_name("NETWORK");
  command->add_flag("--denied", filter.denied, "whom the listener's rules would not let in now");
}

}  // namespace

CLI::App* CommandLine::State::add(const std::string& name, const std::string& what,
                                  const std::string& examples, std::function<int()> act) {
  auto* command = app.add_subcommand(name, what);
  command->footer("Examples:\n" + examples);
  add_socket(command);
  add_output(command);
  // A drain's own --timeout is another thing.
  if (name != "drain") add_timeout(command);
  command->callback([this, act = std::move(act)] { chosen = act; });
  return command;
}

void CommandLine::State::add_timeout(CLI::App* command) {
  command
      ->add_option_function<std::string>(
          "--timeout", [this](const std::string& text) { common.patience = *parse_duration(text); },
          "how long the daemon may take to answer; then exit 5 (default: 15s, of an upgrade 75s)")
      ->check(check_duration)
      ->type_name("DURATION");
}

void CommandLine::State::add_socket(CLI::App* command) {
  command
      ->add_option("--socket", common.socket,
                   "the daemon's admin socket (default: WEIR_SOCKET, else /run/weir/weir.sock)")
      ->type_name("PATH");
}

void CommandLine::State::add_file(CLI::App* command) {
  command->add_option("-c,--config", file, "the configuration file (default: /etc/weir/weir.toml)")
      ->type_name("FILE");
}

void CommandLine::State::add_local() {
  auto* serve = app.add_subcommand("run", "serve in the foreground, until SIGTERM or SIGINT");
  serve->footer("Examples:\n  weir run\n  weir run -c /etc/weir/weir.toml");
  add_file(serve);
  serve->callback([this] { chosen = [this] { return local.run(file); }; });

  auto* check = app.add_subcommand(
      "check", "read and validate a configuration, or say what a reload of it would change");
  check->footer("Examples:\n  weir check -c new.toml\n  weir check -c new.toml --diff");
  add_file(check);
  check->add_option("file", file, "the same, without -c")->type_name("FILE");
  check->add_flag("--diff", flag,
                  "ask the running Weir what a reload of this file would change, by its own environment and "
                  "limits; nothing is changed");
  add_socket(check);
  add_output(check);
  add_timeout(check);
  check->callback(
      [this] { chosen = [this] { return flag ? run_diff(common, file) : local.check(file, common.json); }; });
}

void CommandLine::State::add_output(CLI::App* command) {
  command
      ->add_option_function<std::string>(
          "-o,--output", [this](const std::string& format) { common.json = format == "json"; },
          "the form of the answer")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
}

void CommandLine::State::add_status() {
  auto* command =
      add("status", "what is served by whom, and why not",
          "  weir status\n  weir status web/web1 -o json\n  weir status --watch\n  weir status --ready web",
          [this] {
            if (ready) return run_ready(common, targets);
            return run_status(common, targets, flag);
          });
  command->add_option("target", targets, "either part may be a glob; with --ready listeners")
      ->type_name("POOL[/BACKEND]");
  command->add_flag("--ready", ready, "exit 0 when every listener can be served, else 1 and why; within 1s");
  command->add_flag("--watch", flag, "again every second, until q or Ctrl-C");
}

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

void CommandLine::State::add_sessions() {
  auto* list = add("sessions", "the live sessions",
                   "  weir sessions --backend web/web1\n  weir sessions --client 203.0.113.0/24\n"
                   "  weir sessions --sort bytes --limit 10\n  weir sessions --by client",
                   [this] {
                     listing.by_client = flag;
                     return run_sessions(common, filter, listing);
                   });
  add_filter(list, filter);
  list->add_option("--sort", listing.sort, "those with the most bytes, age or idle time first")
      ->check(CLI::IsMember({"bytes", "age", "idle"}))
      ->type_name("bytes|age|idle");
  list->add_option("--limit", listing.limit, "so many at most")->check(CLI::Range(1, 10'000))->type_name("N");
  list->add_option_function<std::string>(
          "--by", [this](const std::string&) { flag = true; }, "count them by client, the most first")
      ->check(CLI::IsMember({"client"}))
      ->type_name("client");
  auto* kill =
      add("kill", "end sessions now, both sides with a reset",
          "  weir kill 2-1f\n  weir kill --backend web/web1\n  weir kill --client 203.0.113.0/24 --rate 50",
          [this] { return run_kill(common, filter, rate); });
  kill->add_option("ids", filter.ids, "as weir sessions shows them")->type_name("ID");
  kill->add_option("--rate", rate, "at most so many a second, of the sessions that there are now")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  add_filter(kill, filter);
  auto* rebalance = add(
      "rebalance", "end sessions of backends with more than their share, oldest first, until it is even",
      "  weir rebalance web\n  weir rebalance web --rate 50/s --to 1.05", [this] {
        const Rate parsed = *parse_rate(pace, 0);
        return run_rebalance(common, target, parsed.interval, static_cast<std::uint32_t>(factor * 100 + 0.5));
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

int CommandLine::State::explain_client() {
  const bool of_listener = !caller.listener.empty();
  if (of_listener != second.empty()) {
    complain(of_listener ? "explain --listener NAME CLIENT_IP: one address is needed, and no pool"
                         : "explain POOL CLIENT_IP: both are needed");
    return kExitUsage;
  }
  return run_explain(common, of_listener ? "" : target, of_listener ? target : second, caller);
}

void CommandLine::State::add_others() {
  auto* past = add("events", "what has happened: transitions, what operators said, reloads, own trouble",
                   "  weir events --since 1h\n  weir events web/web1 --limit 20", [this] {
                     return run_events(common, target,
                                       since.empty() ? std::nullopt : std::optional(*parse_duration(since)),
                                       listing.limit);
                   });
  past->add_option("target", target, "of this one only")->type_name("POOL[/BACKEND]");
  past->add_option("--since", since, "of this long, until now")->check(check_duration)->type_name("DURATION");
  past->add_option("--limit", listing.limit, "the last N (default: all that are kept)")
      ->check(CLI::Range(1, 10'000))
      ->type_name("N");
  auto* why = add(
      "explain", "whether a client would be let in, which backend it would get, and why",
      "  weir explain web 203.0.113.9\n  weir explain --listener public 203.0.113.9 --sni www.example.org",
      [this] { return explain_client(); });
  why->add_option("pool", target, "the pool; with --listener none is given")->required()->type_name("POOL");
  why->add_option("client", second, "the client's address")->type_name("CLIENT_IP");
  auto* at =
      why->add_option("--listener", caller.listener, "of a client that comes there")->type_name("NAME");
  why->add_option("--sni", caller.sni, "which asks for that name")->needs(at)->type_name("NAME");
  why->add_option("--alpn", caller.alpn, "and offers these protocols, with commas between them")
      ->needs(at)
      ->type_name("PROTOCOL");
  auto* stop =
      add("stop", "no new sessions; ends when the live ones have, or their time is over",
          "  weir stop\n  weir stop --grace 5m", [this] {
            return run_stop(common, grace.empty() ? std::nullopt : std::optional(*parse_duration(grace)));
          });
  stop->add_option("--grace", grace, "how long live sessions may take (default: shutdown_grace of the file)")
      ->check(check_duration)
      ->type_name("DURATION");
  add("reload", "re-read the configuration file; a bad file changes nothing", "  weir reload",
      [this] { return run_reload(common); });
  auto* upgrade = add(
      "upgrade", "a new binary takes over the listening sockets; the old one finishes its sessions",
      "  weir upgrade\n  weir upgrade --binary /opt/weir-2/bin/weir --max-age 1h", [this] {
        return run_upgrade(common, target,
                           timeout.empty() ? std::nullopt : std::optional(*parse_duration(timeout)), force);
      });
  upgrade->add_flag("--force", force, "even by a file that leaves a pool nobody to serve it");
  upgrade->add_option("--binary", target, "what to start (default: the path the daemon was started from)")
      ->type_name("PATH");
  upgrade
      ->add_option("--max-age", timeout,
                   "end the old process's sessions after this long (default: they go on until they end)")
      ->check(check_duration)
      ->type_name("DURATION");
}

void CommandLine::State::add_descriptions() {
  auto* about = app.add_subcommand("version", "version and features");
  add_output(about);
  about->callback([this] { chosen = [this] { return run_version(common, version); }; });
  auto* completion = app.add_subcommand("completion", "print completions for a shell");
  completion->add_option("shell", target, "the shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("");
  completion->footer("Examples:\n  weir completion bash > /etc/bash_completion.d/weir");
  completion->callback([this] { chosen = [this] { return say(completion_script(target)); }; });

  auto* man = app.add_subcommand("man", "print a page of the manual: weir(8), or weir.toml(5)");
  man->footer("Examples:\n  weir man weir.toml | man -l -");
  man->add_option("page", target, "the page (default: weir)")
      ->check(CLI::IsMember({"weir", "weir.toml"}))
      ->type_name("");
  man->callback([this] { chosen = [this] { return say(local.manual(target.empty() ? "weir" : target)); }; });

  auto* schema = app.add_subcommand("schema", "print the JSON Schema of the configuration, for editors");
  schema->footer("Examples:\n  weir schema > weir.schema.json");
  schema->callback([this] { chosen = [this] { return say(local.schema()); }; });
}

CommandLine::CommandLine(CLI::App& app, std::string version, LocalCommands local)
    : state_(std::make_unique<State>(app, std::move(version), std::move(local))) {
  state_->add_local();
  state_->add_status();
  state_->add_drain();
  state_->add_changes();
  state_->add_members();
  state_->add_sessions();
  state_->add_others();
  state_->add_descriptions();
}

CommandLine::~CommandLine() = default;

std::string CommandLine::explain(const std::string& complaint,
                                 const std::vector<std::string>& arguments) const {
  return usage_complaint(state_->app, complaint, arguments);
}

int CommandLine::complete(const std::vector<std::string>& words) const {
  return say(offer_lines(offers_for(state_->app, words, ask_running)));
}

bool CommandLine::chosen() const {
  return state_->chosen != nullptr;
}

int CommandLine::run() const {
  return state_->chosen();
}

}  // namespace weir
