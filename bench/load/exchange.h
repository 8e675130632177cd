#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "bench/load/errors.h"
#include "bench/load/pattern.h"

namespace weir::load {

enum class Step : std::uint8_t { Waiting, Done, Failed };

/// One request and its answer on a non-blocking socket it borrows. The request is a piece of the pattern; the
/// answer must be the same bytes, as an echo gives them (or the pattern's first ones after them, when it is
/// longer: `serve --mode answer`).
class Exchange {
 public:
  struct Shape {
    std::size_t request_bytes = 64;
    std::size_t answer_bytes = 64;
    bool until_end = false;         ///< the answer is followed by the other side's FIN
    std::string_view preface = {};  ///< goes before the request, in one segment with it; borrowed
  };

  void begin(std::uint64_t offset, const Shape& shape) {
    shape_ = shape;
    offset_ = offset;
    sent_ = received_ = 0;
  }

  /// Sends what is left; Done when all is sent.
  Step send(int fd, const Pattern& pattern);

  /// Reads what has come, through `scratch`. `to_the_end`: read on after a short read, since an end may be
  /// behind it.
  Step receive(int fd, const Pattern& pattern, std::span<char> scratch, bool to_the_end);

  bool all_sent() const { return sent_ == shape_.preface.size() + shape_.request_bytes; }
  bool under_way() const { return sent_ > 0; }
  ErrorKind error() const { return error_; }

 private:
  Step fail(ErrorKind kind) {
    error_ = kind;
    return Step::Failed;
  }

  Shape shape_;
  std::uint64_t offset_ = 0;
  std::size_t sent_ = 0;  ///< of preface and request
  std::size_t received_ = 0;
  ErrorKind error_ = ErrorKind::Other;
};

}  // namespace weir::load
