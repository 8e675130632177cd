#include "tests/support/backend_process.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "tests/support/fake_backend.h"

namespace weir::test {
namespace {

constexpr auto kAddressVariable = "WEIR_TEST_BACKEND_ADDRESS";
constexpr auto kLetterVariable = "WEIR_TEST_BACKEND_LETTER";
constexpr auto kListening = "this backend listens";

}  // namespace

BackendProcess::BackendProcess(char letter) : letter_(letter) {
  start();
}

void BackendProcess::kill() {
  process_->signal(SIGKILL);
  process_->wait();
}

void BackendProcess::start() {
  ProcessOptions options;
  options.environment = {{kAddressVariable, address()}, {kLetterVariable, name()}};
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  process_ = std::make_unique<Process>(std::vector<std::string>{program, kTestName}, options);
  if (!process_->wait_for_out(kListening))
    throw std::runtime_error("a backend's process does not get ready: " + process_->out() + process_->err());
}

void serve_as_backend() {
  const char* const address = std::getenv(kAddressVariable);
  const char* const letter = std::getenv(kLetterVariable);
  if (address == nullptr || letter == nullptr) return;  // somebody runs it as a test
  const FakeBackend backend({.greeting = std::string("ready ") + letter, .address = address});
  std::puts(kListening);
  std::fflush(stdout);
  while (true) ::pause();
}

}  // namespace weir::test
