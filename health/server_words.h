#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// What a backend has said as part of a reason: on one line, printable, 200 bytes at most.
std::string server_words(std::string_view said);

/// `said` in quotes, its beginning only: an answer in another protocol than the one that was asked in.
std::string shown_start(std::string_view said);

/// Lines out of bytes that come in pieces. Keeps one line, which is bounded.
class Lines {
 public:
  static constexpr std::size_t kMaxLine = 4096;

  void add(std::string_view bytes) { bytes_ += bytes; }
  /// The next whole line, without its end.
  std::optional<std::string> next();
  /// One has begun that is longer than any can be. To be asked when there is no next one.
  bool too_long() const { return bytes_.size() > kMaxLine + 1; }
  /// What has come of the next line.
  const std::string& rest() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace weir
