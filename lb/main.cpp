#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "health/probe.h"
#include "lb/balance/balancer.h"
#include "lb/base/log.h"
#include "lb/check.h"
#include "lb/cli/command_line.h"
#include "lb/cli/exit_status.h"
#include "lb/config/load.h"
#include "lb/daemon.h"
#include "lb/descriptor_limit.h"

namespace weir {
namespace {

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
  const int status = (*daemon)->run();
  const bool resolving = (*daemon)->resolving();
  daemon->reset();
  if (resolving) {
    std::fflush(nullptr);
    std::_Exit(status);
  }
  return status;
}

int main_with(int argc, char** argv) {
  CLI::App app("weir: a Layer-4 TCP load balancer");
  app.require_subcommand(1);
  const CommandLine commands(app, WEIR_VERSION, {.run = run, .check = [](const std::string& file, bool json) {
                                                   return check_file(file, json, load_options());
                                                 }});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  return commands.run();
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::main_with(argc, argv);
}
