#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "health/probe.h"
#include "lb/balance/balancer.h"
#include "lb/base/build.h"
#include "lb/base/daemon_log.h"
#include "lb/base/file.h"
#include "lb/base/log.h"
#include "lb/base/standard_places.h"
#include "lb/base/surroundings.h"
#include "lb/cli/command_line.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/manual.h"
#include "lb/config/load.h"
#include "lb/config/manual.h"
#include "lb/config/schema.h"
#include "lb/convert/convert.h"
#include "lb/daemon/check.h"
#include "lb/daemon/daemon.h"
#include "lb/daemon/first_process.h"
#include "lb/net/descriptor_limit.h"
#include "lb/observe/manual.h"

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
  options.places = standard_places();
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
  const LogConfig& log = result.config->log;
  init_daemon_log(static_cast<spdlog::level::level_enum>(log.level));
  if (const DaemonLogStyle style{log.format, log.daemon}; style != DaemonLogStyle()) {
    auto wanted = NextDaemonLog::open(style);
    if (!wanted) {
      std::fprintf(stderr, "weir: cannot open the daemon's log: %s\n", wanted.error().message.c_str());
      return kExitFailed;
    }
    std::move(*wanted).take();
  }
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

int convert(const std::string& file, const std::string& from) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{16} << 20;
  constexpr Millis kPipePatience{10'000};
  const auto text = read_file(file, kMostBytes, kPipePatience);
  const auto kind = from == "haproxy" ? Foreign::Haproxy
                    : from == "nginx" ? Foreign::Nginx
                    : from == "nlb"   ? Foreign::Nlb
                                      : Foreign::Guess;
  const auto out = text ? convert_config(*text, file, kind)
                        : Result<std::string>(fail(file + ": " + text.error().message));
  if (!out) {
    std::fprintf(stderr, "weir: %s\n", out.error().message.c_str());
    return kExitFailed;
  }
  std::fwrite(out->data(), 1, out->size(), stdout);
  return kExitDone;
}

int main_with(int argc, char** argv) {
  CLI::App app("weir: a Layer-4 TCP load balancer");
  app.require_subcommand(1);
  const auto manual = [&app](const std::string& page) {
    if (page == "weir-metrics") return metrics_manual(kBuild.version, kBuild.date);
    return page == "weir" ? command_manual(app, kBuild.version, kBuild.date)
                          : config_manual(load_options().kinds, kBuild.version, kBuild.date);
  };
  const CommandLine commands(
      app, std::string(kBuild.version),
      {.run = run,
       .check = [](const std::string& file, bool json) { return check_file(file, json, load_options()); },
       .convert = convert,
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
