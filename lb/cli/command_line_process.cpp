// The commands about the daemon as a process, and about this program itself.
#include <CLI/CLI.hpp>

#include "lb/cli/command_line_state.h"
#include "lb/cli/completion_scripts.h"

namespace weir {

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

void CommandLine::State::add_process() {
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
  auto* convert = app.add_subcommand("convert", "another balancer's configuration as Weir's, on stdout");
  convert
      ->add_option("file", file,
                   "of HAProxy, nginx (its stream block) or an AWS Network Load Balancer (JSON of aws elbv2)")
      ->required()
      ->type_name("FILE");
  convert->add_option("--from", second, "whose it is, where the text does not tell")
      ->check(CLI::IsMember({"haproxy", "nginx", "nlb"}))
      ->type_name("haproxy|nginx|nlb");
  convert->footer(
      "Examples:\n  weir convert /etc/haproxy/haproxy.cfg > weir.toml\n  weir check -c weir.toml\n"
      "  aws elbv2 describe-target-groups > nlb.json\n"
      "  aws elbv2 describe-target-health --target-group-arn ARN >> nlb.json    # of each, in their order\n"
      "  aws elbv2 describe-listeners --load-balancer-arn ARN >> nlb.json\n  weir convert nlb.json > "
      "weir.toml");
  convert->callback([this] { chosen = [this] { return local.convert(file, second); }; });
  auto* completion = app.add_subcommand("completion", "print completions for a shell");
  completion->add_option("shell", target, "the shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("");
  completion->footer("Examples:\n  weir completion bash > /etc/bash_completion.d/weir");
  completion->callback([this] { chosen = [this] { return say(completion_script(target)); }; });

  auto* man =
      app.add_subcommand("man", "print a page of the manual: weir(8), weir.toml(5) or weir-metrics(7)");
  man->footer("Examples:\n  weir man weir.toml | man -l -");
  man->add_option("page", target, "the page (default: weir)")
      ->check(CLI::IsMember({"weir", "weir.toml", "weir-metrics"}))
      ->type_name("");
  man->callback([this] { chosen = [this] { return say(local.manual(target.empty() ? "weir" : target)); }; });

  auto* schema = app.add_subcommand("schema", "print the JSON Schema of the configuration, for editors");
  schema->footer("Examples:\n  weir schema > weir.schema.json");
  schema->callback([this] { chosen = [this] { return say(local.schema()); }; });
}

}  // namespace weir
