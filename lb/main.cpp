#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "health/probe.h"
#include "lb/balance/balancer.h"
#include "lb/base/log.h"
#include "lb/cli/command_line.h"
#include "lb/cli/exit_status.h"
#include "lb/config/load.h"
#include "lb/daemon.h"

namespace weir {
namespace {

std::uint64_t hard_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

LoadOptions load_options() {
  LoadOptions options;
  for (const BalancerKind& kind : balancer_kinds()) options.kinds.balancers.push_back(kind.name);
  for (const ProbeKind& kind : probe_kinds()) options.kinds.probes.push_back(kind.name);
  options.descriptor_limit = hard_descriptor_limit();
  options.environment = [](std::string_view name) -> std::optional<std::string> {
    const char* const value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  return options;
}

LoadResult load_or_complain(const std::string& path, const LoadOptions& options) {
  LoadResult result = load_config(path, options);
  for (const Fault& fault : result.faults) std::fprintf(stderr, "%s\n", fault.to_string(path).c_str());
  if (!result.config) return result;
  for (const Fault& warning : result.warnings)
    std::fprintf(stderr, "%s (warning)\n", warning.to_string(path).c_str());
  return result;
}

int check(const std::string& path) {
  const LoadResult result = load_or_complain(path, load_options());
  if (!result.config) return kExitFailed;
  std::size_t backends = 0;
  for (const PoolConfig& pool : result.config->pools) backends += pool.backends.size();
  std::printf("%s: fine: %zu listeners, %zu pools, %zu backends\n", path.c_str(),
              result.config->listeners.size(), result.config->pools.size(), backends);
  return kExitDone;
}

int run(const std::string& path) {
  auto inheritance = take_inheritance();
  if (!inheritance) {
    std::fprintf(stderr, "weir: %s\n", inheritance.error().message.c_str());
    return kExitFailed;
  }
  Activation activation = take_activation();
  LoadOptions options = load_options();
  const LoadResult result = load_or_complain(path, options);
  if (!result.config) return kExitFailed;
  options.descriptor_limit = raise_descriptor_limit();
  init_daemon_log(static_cast<spdlog::level::level_enum>(result.config->log.level));
  for (const std::string& complaint : activation.complaints) daemon_log().warn("{}", complaint);
  Origin origin{own_program(), std::move(activation.sockets), std::move(*inheritance)};
  if (origin.inheritance)
    for (InheritedSocket& socket : origin.inheritance->sockets) origin.sockets.push_back(std::move(socket));
  auto daemon = Daemon::create(result.config, std::move(options), std::move(origin));
  if (!daemon) {
    std::fprintf(stderr, "weir: %s\n", daemon.error().message.c_str());
    return kExitFailed;
  }
  return (*daemon)->run();
}

int main_with(int argc, char** argv) {
  CLI::App app("weir: a Layer-4 TCP load balancer");
  app.require_subcommand(1);
  std::string config = "/etc/weir/weir.toml";
  auto* const run_command = app.add_subcommand("run", "serve in the foreground");
  run_command->add_option("-c,--config", config, "the configuration file")->capture_default_str();
  auto* const check_command =
      app.add_subcommand("check", "read and validate a configuration; touches no socket");
  check_command->add_option("-c,--config", config, "the configuration file")->capture_default_str();
  const CommandLine commands(app, WEIR_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  if (run_command->parsed()) return run(config);
  if (check_command->parsed()) return check(config);
  return commands.run();
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::main_with(argc, argv);
}
