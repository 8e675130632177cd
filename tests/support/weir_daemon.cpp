#include "tests/support/weir_daemon.h"

#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <stdexcept>

#include "tests/support/paths.h"

namespace weir::test {
namespace {

std::vector<std::string> run_command(const TempDir& dir, const std::string& toml) {
  const std::string file = dir.file("weir.toml");
  write_file(file, toml);
  return {weir_binary(), "run", "-c", file};
}

std::string tail(const std::string& text) {
  constexpr std::size_t kShown = 1000;
  return text.substr(text.size() - std::min(text.size(), kShown));
}

bool complains(const std::string& log) {
  return log.find("Sanitizer") != std::string::npos || log.find("broken invariant") != std::string::npos ||
         log.find("runtime error:") != std::string::npos;
}

}  // namespace

std::string weir_binary() {
  // Lets the same tests run against an installed Weir.
  const char* other = std::getenv("WEIR_TEST_BINARY");
  return other != nullptr ? other : binary_path("weir").string();
}

std::string SimpleConfig::toml() const {
  std::string text = fmt::format("workers = {}\nstate_file = \"{}\"\n{}\n\n[admin]\n{}\n\n[log]\n{}\n\n",
                                 workers, state_file, global, admin, log);
  text += fmt::format("[[listener]]\nname = \"web\"\nbind = {}\npool = \"web\"\n{}\n\n",
                      bind.starts_with('[') && bind.find('"') != std::string::npos ? bind : '"' + bind + '"',
                      listener);
  text += fmt::format("[[pool]]\nname = \"web\"\n{}\n\n[pool.health]\n{}\n", pool, health);
  for (const BackendText& backend : backends) {
    text += fmt::format("\n[[pool.backend]]\nname = \"{}\"\naddress = \"{}\"\n{}\n", backend.name,
                        backend.address, backend.more);
  }
  return text;
}

WeirDaemon::WeirDaemon(const std::string& toml, const ProcessOptions& options)
    : process_(run_command(dir_, toml), options) {
  if (process_.wait_for_err(" ready")) return;
  exit_expected_ = true;
  throw std::runtime_error(fmt::format("weir did not get ready; it said:\n{}", process_.err()));
}

WeirDaemon::WeirDaemon(const SimpleConfig& config, const ProcessOptions& options)
    : WeirDaemon(config.toml(), options) {}

WeirDaemon::~WeirDaemon() {
  const bool died = !process_.running() && !exit_expected_;
  // Two signals of a kind may melt into one: the second is repeated until it has done its work.
  auto status = process_.wait(milliseconds(0));
  for (const auto start = Clock::now(); !status && since(start) < kPatience;) {
    process_.signal(SIGTERM);
    status = process_.wait(milliseconds(20));
  }
  const std::string log = process_.err();
  if (died || complains(log) || !status || (*status > 1 && !exit_expected_)) {
    FAIL_CHECK("weir " << (died ? "died" : "did not end well") << ", status " << status.value_or(-1)
                       << "; it said:\n"
                       << log);
  }
}

std::optional<int> WeirDaemon::stop(milliseconds deadline) {
  exit_expected_ = true;
  process_.signal(SIGTERM);
  return process_.wait(deadline);
}

std::string WeirDaemon::whole_lines() const {
  std::string text = process_.out();
  text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
  return text;
}

std::vector<AccessLine> WeirDaemon::wait_for_access(std::size_t count, milliseconds deadline) {
  if (!eventually(deadline, [&] { return process_.out_lines() >= count; })) {
    throw std::runtime_error(fmt::format("the access log has {} lines, not {}; it ends:\n{}",
                                         process_.out_lines(), count, tail(process_.out())));
  }
  return access_log();
}

Finished run_weir(std::vector<std::string> arguments, const std::string& toml, const ProcessOptions& options,
                  milliseconds deadline) {
  const TempDir dir;
  const std::string file = dir.file("weir.toml");
  write_file(file, toml);
  for (std::string& argument : arguments) {
    if (argument == "{}") argument = file;
  }
  arguments.insert(arguments.begin(), weir_binary());
  return run_program(std::move(arguments), options, deadline);
}

}  // namespace weir::test
