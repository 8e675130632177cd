#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

namespace weir::test {

/// Says that a test, or a part of it, could not be made here; the program's exit status tells ctest, unless
/// something failed.
void note_skipped(const std::string& why);
/// Whether one of these is not installed here, which is noted.
bool missing(std::initializer_list<std::string_view> programs);

}  // namespace weir::test

/// Ends the test, which counts as skipped, where this machine cannot make it: `why` names what is missing.
#define SKIP_UNLESS(possible, why)     \
  do {                                 \
    if (!(possible)) {                 \
      ::weir::test::note_skipped(why); \
      return;                          \
    }                                  \
  } while (false)
