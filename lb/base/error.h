#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace weir {

/// What the world did to us, as one sentence without a full stop: it names the thing, and what was wrong with
/// it.
struct Error {
  std::string message;
  int code = 0;  ///< the errno behind it, or 0
};

/// Either a value or the reason there is none. What *we* do wrong goes to WEIR_CHECK instead.
template <class T>
using Result = tl::expected<T, Error>;

/// An error without an errno.
tl::unexpected<Error> fail(std::string message);

/// `what: strerror(code)`.
tl::unexpected<Error> fail_errno(std::string_view what, int code);

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace weir

/// Always on: ends the process with the place when an invariant of our own is broken.
#define WEIR_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::weir::check_failed(#condition, __FILE__, __LINE__))
