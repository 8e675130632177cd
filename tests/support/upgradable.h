#pragma once

#include <sys/types.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lb/base/fd.h"
#include "tests/support/rig.h"

namespace weir::test {

/// A process that the test did not start itself, but a process of its own did: ended with this object. Held
/// by a descriptor: its number may be another's once it has ended.
class Descendant {
 public:
  explicit Descendant(pid_t pid);
  ~Descendant();
  Descendant(const Descendant&) = delete;
  Descendant& operator=(const Descendant&) = delete;

  pid_t pid() const { return pid_; }
  bool running() const;

 private:
  pid_t pid_;
  Fd process_;  ///< a pidfd; none: it had ended before
};

/// A Weir with an admin socket and a state file, between a port and fake backends, that can be upgraded.
class Upgradable {
 public:
  explicit Upgradable(std::vector<FakeBackendOptions> backends, SimpleConfig config = {},
                      const ProcessOptions& options = {});

  Rig& rig() { return *rig_; }
  const std::string& address() const { return rig_->address(); }
  std::string socket() const { return dir_.file("weir.sock"); }
  std::string file(std::string_view name) const { return dir_.file(name); }

  /// `weir ARGUMENTS` against this Weir.
  Finished cli(std::vector<std::string> arguments) const;
  /// The same with `-o json`, read. Throws when it fails.
  nlohmann::json ask(std::vector<std::string> arguments) const;
  /// What GET /v1/`what` is answered, without a CLI between.
  nlohmann::json get(const std::string& what) const;
  /// Upgrades and returns the new process's id. Throws when it fails.
  pid_t upgrade(std::vector<std::string> more = {});

 private:
  TempDir dir_;
  std::unique_ptr<Rig> rig_;
  std::vector<std::unique_ptr<Descendant>> descendants_;
};

}  // namespace weir::test
