#pragma once

#include <string>

#include "lb/base/fd.h"
#include "tests/support/private_network.h"
#include "tests/support/temp_dir.h"

namespace weir::test {

/// A PrivateNetwork with an /etc/hosts and an /etc/resolv.conf of its own besides: the calling thread, and
/// what it starts from then on, asks 127.0.0.1 for names. Needs root.
class PrivateNames {
 public:
  PrivateNames();
  ~PrivateNames();
  PrivateNames(const PrivateNames&) = delete;
  PrivateNames& operator=(const PrivateNames&) = delete;

  /// Whether this process may make one.
  static bool possible();

  const PrivateNetwork& network() const { return network_; }
  /// What /etc/hosts says from now on, besides localhost.
  void set_hosts(const std::string& lines) const;

 private:
  PrivateNetwork network_;
  TempDir dir_;
  Fd home_;
  std::string directory_;
};

}  // namespace weir::test
