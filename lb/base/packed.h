#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

// Numbers and texts as bytes, for the process that follows this one: numbers of 7 bits a byte, the lowest
// first, and texts with their length before them (Protocol Buffers' varints). What is written begins with a
// line that names its form, by which one that does not know it is recognised.

class PackedWriter {
 public:
  explicit PackedWriter(std::string_view form) : bytes_(form) {}

  void number(std::uint64_t n) {
    for (; n >= 0x80; n >>= 7) bytes_ += static_cast<char>(0x80 | (n & 0x7f));
    bytes_ += static_cast<char>(n);
  }
  void text(std::string_view words) {
    number(words.size());
    bytes_ += words;
  }
  std::size_t size() const { return bytes_.size(); }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// After a fault all numbers are 0 and all texts empty.
class PackedReader {
 public:
  PackedReader(std::string_view bytes, std::string_view form) : rest_(bytes) {
    if (rest_.starts_with(form))
      rest_.remove_prefix(form.size());
    else
      fault();
  }

  std::uint64_t number(std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      out |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return out <= most ? out : fault();
    }
    return fault();
  }
  template <class Narrow>
  void into(Narrow& to, std::uint64_t most = std::numeric_limits<Narrow>::max()) {
    to = static_cast<Narrow>(number(most));
  }
  std::string text() {
    const auto size = static_cast<std::size_t>(number(rest_.size()));
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(std::min(size, rest_.size()));
    return out;
  }
  std::uint64_t fault() {
    good_ = false;
    rest_ = {};
    return 0;
  }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace weir
