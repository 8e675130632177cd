#include "tests/support/operated.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <stdexcept>

#include "tests/support/admin_client.h"

namespace weir::test {

Operated::Operated(std::vector<FakeBackendOptions> backends, SimpleConfig given,
                   const ProcessOptions& options)
    : config(std::move(given)), address_(port_.v4()), options_(options) {
  for (FakeBackendOptions& backend : backends)
    backends_.push_back(std::make_unique<FakeBackend>(std::move(backend)));
  if (config.bind.empty()) config.bind = address_;
  config.admin = fmt::format("socket = \"{}\"", socket());
  config.state_file = state_file();
  config.backends.resize(backends_.size());
  for (std::size_t i = 0; i < backends_.size(); ++i) {
    config.backends[i].name = std::string(1, static_cast<char>('a' + i));
    config.backends[i].address = backends_[i]->address();
  }
  weir_ = std::make_unique<WeirDaemon>(config, options_);
}

Finished Operated::cli(std::vector<std::string> arguments, const ProcessOptions& options) const {
  arguments.insert(arguments.begin(), weir_binary());
  arguments.insert(arguments.end(), {"--socket", socket()});
  return run_program(std::move(arguments), options, patient(milliseconds(90'000)));
}

nlohmann::json Operated::answer(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"-o", "json"});
  const Finished finished = cli(arguments);
  if (finished.status != 0) {
    throw std::runtime_error(
        fmt::format("weir {} exited with {}: {}", fmt::join(arguments, " "), finished.status, finished.err));
  }
  return nlohmann::json::parse(finished.out);
}

nlohmann::json Operated::get(const std::string& what) const {
  return get_json(socket(), what);
}

int Operated::status(std::vector<std::string> arguments) const {
  const Finished finished = cli(arguments);
  if (finished.status != 0)
    UNSCOPED_INFO(fmt::format("weir {}: {}", fmt::join(arguments, " "), finished.err));
  return finished.status;
}

nlohmann::json Operated::backend_status(const std::string& name) const {
  const auto slash = name.find('/');
  const std::string pool = slash == std::string::npos ? "web" : name.substr(0, slash);
  const std::string backend = slash == std::string::npos ? name : name.substr(slash + 1);
  const nlohmann::json status = get("status");
  for (const auto& one : status.at("pools")) {
    if (one.at("name") != pool) continue;
    for (const auto& candidate : one.at("backends"))
      if (candidate.at("name") == backend) return candidate;
  }
  return nullptr;
}

void Operated::write_config() {
  write_file(weir_->config_file(), config.toml());
}

Finished Operated::reload() {
  write_config();
  return cli({"reload"});
}

void Operated::restart() {
  weir_->stop();
  weir_.reset();
  weir_ = std::make_unique<WeirDaemon>(config, options_);
}

std::string Operated::letters(std::size_t count) const {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    ConnectOptions options;
    options.source = client_source(i);
    result += one_session(address_, options);
  }
  return result;
}

HeldSession hold_session(const Operated& operated, std::size_t n) {
  ConnectOptions options;
  options.source = client_source(n);
  Stream stream = operated.connect(options);
  const char letter = stream.recv_exact(1).front();
  return {std::move(stream), letter};
}

}  // namespace weir::test
