#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/access_log.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace weir::test {

struct BackendText {
  std::string name;
  std::string address;
  std::string more = {};  ///< further lines of the table, "weight = 5"
};

/// A configuration of one listener and one pool named "web", as most tests need it. Everything unusual goes
/// into the extra lines, which land in the file as they are.
struct SimpleConfig {
  int workers = 1;
  std::string bind = {};  ///< an address, or a whole TOML list when it begins with '['
  std::vector<BackendText> backends = {};
  std::string global = {};
  std::string listener = {};
  std::string pool = {};
  std::string health = "probe = \"none\"";
  std::string log = "access = \"stdout\"";
  std::string admin = "socket = \"\"";
  std::string state_file = "";

  std::string toml() const;
};

std::string weir_binary();

/// `weir run` as a child process with a configuration file of its own, ready to accept.
class WeirDaemon {
 public:
  /// Throws when it does not get ready.
  explicit WeirDaemon(const std::string& toml, const ProcessOptions& options = {});
  explicit WeirDaemon(const SimpleConfig& config, const ProcessOptions& options = {});
  /// Ends the daemon at once; reports a failure when it has died before, or with a sanitizer's complaint.
  ~WeirDaemon();
  WeirDaemon(const WeirDaemon&) = delete;
  WeirDaemon& operator=(const WeirDaemon&) = delete;

  Process& process() { return process_; }
  std::string config_file() const { return dir_.file("weir.toml"); }
  std::string file(std::string_view name) const { return dir_.file(name); }

  /// SIGTERM, then the exit status (nothing when it does not end in time). It is no failure any more when it
  /// has ended.
  std::optional<int> stop(milliseconds deadline = kPatience);
  /// Says that the test itself ends the daemon.
  void expect_exit() { exit_expected_ = true; }

  /// The access log on stdout so far.
  std::vector<AccessLine> access_log() const { return parse_access_log(whole_lines()); }
  /// Waits for at least `count` lines. Throws when they do not come.
  std::vector<AccessLine> wait_for_access(std::size_t count, milliseconds deadline = kPatience);

 private:
  std::string whole_lines() const;

  TempDir dir_;
  Process process_;
  bool exit_expected_ = false;
};

/// `weir ARGUMENTS` to its end, `{}` in an argument standing for a file that holds `toml`.
Finished run_weir(std::vector<std::string> arguments, const std::string& toml,
                  const ProcessOptions& options = {}, milliseconds deadline = kPatience);

}  // namespace weir::test
