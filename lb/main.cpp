#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "health/probe.h"
#include "lb/balance/balancer.h"
#include "lb/base/log.h"
#include "lb/base/surroundings.h"
#include "lb/cli/command_line.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/manual.h"
#include "lb/config/load.h"
#include "lb/config/manual.h"
#include "lb/config/schema.h"
#include "lb/daemon/check.h"
#include "lb/daemon/daemon.h"
#include "lb/daemon/first_process.h"
#include "lb/net/descriptor_limit.h"

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
  options.host_addresses = HostAddresses::read;
  return options;
}

int run(const std::string& path) {
  forget_inherited_settings();
  Fd first_process;
  if (::getpid() == 1) {
    auto split = split_off_first_process();
    if (!split) {
      std::fprintf(stderr, "weir: %s\n", split.error().message.c_str());
      return kExitFailed;
    }
    first_process = std::move(*split);
  }
  auto inheritance = take_inheritance();
  if (!inheritance) {
    std::fprintf(stderr, "weir: %s\n", inheritance.error().message.c_str());
    return kExitFailed;
  }
  Activation activation = take_activation();
  LoadOptions options = load_options();
  const LoadResult result = load_or_complain(path, options);
  if (!result.config) return kExitFailed;
  if (*inheritance && (*inheritance)->first_descriptor_limit > 0)
    set_first_descriptor_limit((*inheritance)->first_descriptor_limit);
  options.descriptor_limit = raise_descriptor_limit();
  init_daemon_log(static_cast<spdlog::level::level_enum>(result.config->log.level));
  for (const std::string& complaint : activation.complaints) daemon_log().warn("{}", complaint);
  Origin origin{own_program(), std::move(activation.sockets), std::move(*inheritance),
                std::move(first_process)};
  if (origin.inheritance) origin.first_process = std::move(origin.inheritance->first_process);
  if (origin.inheritance)
    for (InheritedSocket& socket : origin.inheritance->sockets) origin.sockets.push_back(std::move(socket));
  auto daemon = Daemon::create(result.config, std::move(options), std::move(origin));
  if (!daemon) {
    flush_daemon_log();
    std::fprintf(stderr, "weir: %s\n", daemon.error().message.c_str());
    return kExitFailed;
  }
  const int status = (*daemon)->run();
  daemon->reset();
  flush_daemon_log();
  return status;
}

int main_with(int argc, char** argv) {
  CLI::App app("weir: a Layer-4 TCP load balancer");
  app.require_subcommand(1);
  const auto manual = [&app](const std::string& page) {
    return page == "weir" ? command_manual(app, WEIR_VERSION, WEIR_DATE)
                          : config_manual(load_options().kinds, WEIR_VERSION, WEIR_DATE);
  };
  const CommandLine commands(
      app, WEIR_VERSION,
      {.run = run,
       .check = [](const std::string& file, bool json) { return check_file(file, json, load_options()); },
       .manual = manual,
       .schema = [] { return config_schema(load_options().kinds); }});
  if (argc > 2 && argv[1] == kCompleteCommand) return commands.complete({argv + 2, argv + argc});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const std::string why = commands.explain(error.what(), {argv + 1, argv + argc});
    std::fprintf(stderr, "weir: %s\n", why.c_str());
    return kExitUsage;
  }
  return commands.run();
}

/// An answer that has not been written is none.
int with_output_written(int status) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fprintf(stderr, "weir: standard output: %s\n",
               errno != 0 ? std::strerror(errno) : "not everything could be written");
  return status != kExitDone ? status : kExitFailed;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  weir::open_standard_descriptors();
  return weir::with_output_written(weir::main_with(argc, argv));
}
