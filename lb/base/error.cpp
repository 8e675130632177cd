#include "lb/base/error.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace weir {

tl::unexpected<Error> fail(std::string message) {
  return tl::unexpected(Error{std::move(message), 0});
}

tl::unexpected<Error> fail_errno(std::string_view what, int code) {
  char buffer[128];
  return tl::unexpected(Error{fmt::format("{}: {}", what, strerror_r(code, buffer, sizeof buffer)), code});
}

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "weir: broken invariant: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace weir
