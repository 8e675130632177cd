#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "lb/wire/bytes.h"

namespace weir::test {

/// Bytes in a block of their own size: a sanitizer sees each look past their end.
class Exact {
 public:
  explicit Exact(std::string_view text) : size_(text.size()), bytes_(new std::uint8_t[text.size()]) {
    for (std::size_t i = 0; i < size_; ++i) bytes_[i] = static_cast<std::uint8_t>(text[i]);
  }
  Bytes bytes() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::uint8_t[]> bytes_;
};

/// Every cut of `text` is either not enough, and then asks for no more than the whole has, or has the fault
/// that the whole has; once it has it, it keeps it. `parse` gives a variant of NeedsMore, Malformed and more.
template <class Parse>
void check_every_cut(std::string_view text, std::size_t whole_bytes, Parse parse) {
  const Exact all(text);
  const auto whole = parse(all.bytes());
  const auto* whole_fault = std::get_if<Malformed>(&whole);
  const bool is_complete = whole_fault == nullptr && !std::holds_alternative<NeedsMore>(whole);
  bool was_bad = false;
  for (std::size_t size = 0; size < whole_bytes; ++size) {
    const Exact part(text.substr(0, size));
    const auto parsed = parse(part.bytes());
    INFO("cut at " << size << " of " << whole_bytes);
    if (const auto* more = std::get_if<NeedsMore>(&parsed)) {
      REQUIRE_FALSE(was_bad);
      REQUIRE(more->at_least_bytes > size);
      if (is_complete) REQUIRE(more->at_least_bytes <= whole_bytes);
    } else {
      const auto* fault = std::get_if<Malformed>(&parsed);
      REQUIRE(fault != nullptr);
      REQUIRE(whole_fault != nullptr);
      REQUIRE(fault->why == whole_fault->why);
      was_bad = true;
    }
  }
}

inline std::string u16(std::size_t number) {
  return {static_cast<char>(number >> 8 & 0xff), static_cast<char>(number & 0xff)};
}

}  // namespace weir::test
