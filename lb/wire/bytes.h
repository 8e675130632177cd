#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir {

using Bytes = std::span<const std::uint8_t>;

/// A parser's answer when what it has is right so far.
struct NeedsMore {
  std::size_t at_least_bytes = 0;  ///< in all, from the first byte on; more than there are
};

/// A parser's answer when nothing that may follow makes it right.
struct Malformed {
  std::string why;  ///< for the log's `why=`: fixed words and numbers, nothing that the other side has chosen
};

/// The characters that these bytes are.
inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes big-endian numbers and length-prefixed vectors off the front of bytes. Never looks past their end: a
/// take that would fails, gives zero or nothing, and so does every later one. A value.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : rest_(bytes) {}

  bool failed() const { return failed_; }
  bool empty() const { return rest_.empty(); }
  Bytes rest() const { return rest_; }

  Bytes take(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::uint8_t take_u8() { return static_cast<std::uint8_t>(take_number(1)); }
  std::uint16_t take_u16() { return static_cast<std::uint16_t>(take_number(2)); }
  std::uint32_t take_u24() { return take_number(3); }
  std::uint32_t take_u32() { return take_number(4); }
  /// A vector behind its length.
  Bytes take_vector8() { return take(take_u8()); }
  Bytes take_vector16() { return take(take_u16()); }

 private:
  std::uint32_t take_number(std::size_t size) {
    std::uint32_t number = 0;
    for (const std::uint8_t byte : take(size)) number = number << 8 | byte;
    return number;
  }

  Bytes rest_;
  bool failed_ = false;
};

}  // namespace weir
