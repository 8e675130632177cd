#pragma once

#include <catch2/catch.hpp>

namespace weir::test {

/// Notes that a test could not be made here; the program's exit status tells ctest, unless something failed.
void note_skipped();

}  // namespace weir::test

/// Ends the test, which counts as skipped, where this machine cannot make it: `why` names what is missing.
#define SKIP_UNLESS(possible, why)  \
  do {                              \
    if (!(possible)) {              \
      WARN("skipped: " << why);     \
      ::weir::test::note_skipped(); \
      return;                       \
    }                               \
  } while (false)
