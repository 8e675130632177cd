#include "tests/support/skip.h"

#include "tests/support/process.h"

namespace weir::test {

bool missing(std::initializer_list<std::string_view> programs) {
  for (const std::string_view program : programs) {
    if (have_program(program)) continue;
    note_skipped(std::string(program) + " is not installed");
    return true;
  }
  return false;
}

}  // namespace weir::test
