#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::test {

/// An endless stream of random-looking bytes that a seed fixes, so that whoever receives it can check it as
/// it comes. It repeats after a prime number of bytes, so that no loss or swap of whole buffers goes unseen.
class BytePattern {
 public:
  explicit BytePattern(std::uint64_t seed);

  void fill(std::span<char> out, std::uint64_t offset) const;
  std::string bytes(std::size_t size, std::uint64_t offset = 0) const;

 private:
  friend class PatternChecker;
  /// The bytes from `offset` on, as many as there are before the repetition.
  std::string_view run(std::uint64_t offset) const;

  std::string period_;
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
};

}  // namespace weir::test
