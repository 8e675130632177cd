#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "lb/base/error.h"
#include "lb/wire/bytes.h"

namespace weir::fuzz {

/// The first `size` of some bytes, in a block of their own size: AddressSanitizer sees each look past their
/// end.
class Exact {
 public:
  Exact(const std::uint8_t* data, std::size_t size) : size_(size), bytes_(new std::uint8_t[size]) {
    for (std::size_t i = 0; i < size; ++i) bytes_[i] = data[i];
  }
  Bytes bytes() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::uint8_t[]> bytes_;
};

/// Holds what every parser promises of a cut of bytes whose answer as a whole is known: it is not enough, or
/// it has the same fault, or it is all that the whole was asked for. `is_same` compares two complete answers.
template <class Parse, class IsSame>
void check_cut(const Parse& cut, std::size_t size, const Parse& whole, IsSame is_same) {
  if (const auto* more = std::get_if<NeedsMore>(&cut)) {
    WEIR_CHECK(more->at_least_bytes > size);
  } else if (const auto* fault = std::get_if<Malformed>(&cut)) {
    const auto* of_whole = std::get_if<Malformed>(&whole);
    WEIR_CHECK(of_whole != nullptr && of_whole->why == fault->why);
  } else {
    WEIR_CHECK(cut.index() == whole.index() && is_same(cut, whole));
  }
}

}  // namespace weir::fuzz
