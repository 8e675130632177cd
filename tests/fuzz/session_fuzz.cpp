#include "lb/base/error.h"
#include "tests/fuzz/session_machine.h"

#include <cstdio>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto broken = weir::fuzz::run_session_machine({data, size});
  if (broken) std::fprintf(stderr, "broken: %s\n", broken->c_str());
  WEIR_CHECK(!broken);
  return 0;
}
