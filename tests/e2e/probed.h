#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/port.h"
#include "tests/support/skip.h"
#include "tests/support/stream.h"
#include "tests/support/temp_dir.h"
#include "tests/support/weir_daemon.h"

namespace weir::test {

inline bool accepts(const std::string& address) {
  return eventually([&] { return connect_failure(address).empty(); });
}

/// A pool with one backend, "one".
struct ProbedPool {
  std::string name;
  std::string address;
  std::string health;     ///< its lines
  std::string pool = {};  ///< lines of the pool itself
};

/// A Weir that does nothing but probe.
class Probed {
 public:
  explicit Probed(const std::vector<ProbedPool>& pools) {
    SimpleConfig config;
    config.bind = front_.v4();
    config.backends = {{"unused", "127.0.0.1:1"}};
    config.admin = "socket = \"" + socket() + "\"";
    config.log = "access = \"off\"\nlevel = \"debug\"";
    std::string text = config.toml();
    for (const ProbedPool& pool : pools)
      text += fmt::format(
          "[[pool]]\nname = \"{}\"\n{}\n[pool.health]\ninterval = \"100ms\"\nfast_interval = \"50ms\"\n"
          "rise = 1\nfall = 2\ntimeout = \"{}ms\"\n{}\n[[pool.backend]]\nname = \"one\"\naddress = \"{}\"\n",
          pool.name, pool.pool, patient(milliseconds(1000)).count(), pool.health, pool.address);
    weir_ = std::make_unique<WeirDaemon>(text);
  }

  /// Waits until the backend of the pool `name` is up or down for a reason that contains `why`.
  void says(const std::string& name, const std::string& health, const std::string& why) const {
    std::string last;
    const bool said = eventually([&] {
      const Finished status =
          run_program({weir_binary(), "status", name + "/one", "-o", "json", "--socket", socket()});
      if (status.status != 0) return false;
      const auto backend = nlohmann::json::parse(status.out).at("pools").at(0).at("backends").at(0);
      last = backend.at("reason");
      return backend.at("health") == health && last.find(why) != std::string::npos;
    });
    INFO(name << " → " << health << ": " << why << "; it says: " << last);
    CHECK(said);
  }

 private:
  std::string socket() const { return dir_.file("weir.sock"); }

  TempDir dir_;
  FreePort front_;
  std::unique_ptr<WeirDaemon> weir_;
};

}  // namespace weir::test
