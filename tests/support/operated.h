#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/rig.h"

namespace weir::test {

/// A Weir with an admin socket and a state file, in front of fake backends named "a", "b", ..., and the CLI
/// that operates it. `config` may be changed at any time; reload() and restart() make it true.
class Operated {
 public:
  explicit Operated(std::vector<FakeBackendOptions> backends, SimpleConfig config = {},
                    const ProcessOptions& options = {});

  SimpleConfig config;  ///< complete: the rig fills in bind, backends, admin and state_file

  const std::string& address() const { return address_; }
  std::string socket() const { return dir_.file("weir.sock"); }
  std::string state_file() const { return dir_.file("state.json"); }
  const TempDir& dir() const { return dir_; }
  FakeBackend& backend(std::size_t index = 0) { return *backends_[index]; }
  WeirDaemon& weir() { return *weir_; }
  Process& process() { return weir_->process(); }

  /// `weir ARGUMENTS --socket …` to its end.
  Finished cli(std::vector<std::string> arguments, const ProcessOptions& options = {}) const;
  /// The same with -o json: what it answered. Throws when it does not exit with 0.
  nlohmann::json answer(std::vector<std::string> arguments) const;
  /// What GET /v1/`what` is answered, without a CLI between.
  nlohmann::json get(const std::string& what) const;
  /// The exit status; what it said shows up where the test fails.
  int status(std::vector<std::string> arguments) const;
  /// A backend in the status, "web/a" or "a"; null when it is not there.
  nlohmann::json backend_status(const std::string& name) const;

  void write_config();  ///< `config` into the daemon's file
  Finished reload();    ///< writes it, and `weir reload`
  void restart();       ///< ends the daemon with SIGTERM, starts another with `config`
  bool says(const std::string& what) const { return weir_->process().wait_for_err(what); }
  std::string log() const { return weir_->process().err(); }

  Stream connect(const ConnectOptions& options = {}) const { return Stream::connect(address_, options); }
  /// `count` whole sessions one after another, and the letters that greeted them.
  std::string letters(std::size_t count) const;

 private:
  TempDir dir_;
  FreePort port_;
  std::string address_;
  ProcessOptions options_;
  std::vector<std::unique_ptr<FakeBackend>> backends_;
  std::unique_ptr<WeirDaemon> weir_;
};

/// A session that stays, and the letter it was greeted with.
struct HeldSession {
  Stream stream;
  char letter;
};
HeldSession hold_session(const Operated& operated, std::size_t n = 0);

}  // namespace weir::test
