#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::test {

/// An endless stream of random-looking bytes that a seed fixes, so that whoever receives it can say where the
/// first wrong byte is. Any place of it can be computed without the bytes before.
class BytePattern {
 public:
  explicit BytePattern(std::uint64_t seed) : seed_(seed) {}

  void fill(std::span<char> out, std::uint64_t offset) const;
  std::string bytes(std::size_t size, std::uint64_t offset = 0) const;

 private:
  std::uint64_t seed_;
};

/// Compares what arrives, piece by piece, with a pattern.
class PatternChecker {
 public:
  explicit PatternChecker(std::uint64_t seed) : pattern_(seed) {}

  void feed(std::string_view piece);
  std::uint64_t received() const { return received_; }
  bool intact() const { return intact_; }

 private:
  BytePattern pattern_;
  std::uint64_t received_ = 0;
  bool intact_ = true;
  std::string expected_;
};

}  // namespace weir::test
