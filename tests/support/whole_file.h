#pragma once

#include <string>
#include <vector>

#include "tests/support/weir_daemon.h"

namespace weir::test {

struct ListenerText {
  std::string name;
  std::string bind;
  std::string pool;
};

struct PoolText {
  std::string name;
  std::vector<BackendText> backends;
  std::string more = {};  ///< further lines of the table
};

/// A file of several listeners and pools; what stands outside of them, and how each pool is probed, is
/// `base`'s.
std::string whole_file(const SimpleConfig& base, const std::vector<ListenerText>& listeners,
                       const std::vector<PoolText>& pools);

}  // namespace weir::test
