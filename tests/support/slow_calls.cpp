#include "tests/support/slow_calls.h"

#include <cstdlib>

#include "tests/support/paths.h"

namespace weir::test {

std::vector<std::pair<std::string, std::string>> with_slow_calls(
    std::vector<std::pair<std::string, std::string>> more) {
  more.emplace_back("LD_PRELOAD", binary_path("tests/libweir_slow_calls.so"));
  // Otherwise it refuses to be anything but the first library.
  const char* const options = std::getenv("ASAN_OPTIONS");
  more.emplace_back("ASAN_OPTIONS", (options != nullptr ? options + std::string(":") : std::string()) +
                                        "verify_asan_link_order=0");
  return more;
}

}  // namespace weir::test
