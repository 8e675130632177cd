#define CATCH_CONFIG_RUNNER
#include <atomic>
#include <catch2/catch.hpp>

#include "tests/support/skip.h"

namespace {

/// What ctest takes for "skipped" (SKIP_RETURN_CODE), as automake does.
constexpr int kSkipped = 77;

std::atomic<bool> skipped{false};

}  // namespace

void weir::test::note_skipped(const std::string& why) {
  WARN("skipped: " << why);
  skipped = true;
}

int main(int count, char** arguments) {
  const int failed = Catch::Session().run(count, arguments);
  return failed == 0 && skipped ? kSkipped : failed;
}
