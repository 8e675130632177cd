#include "lb/cli/keys.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace weir {

namespace {

constexpr char kEscape = 0x1b;
/// No terminal sends a longer one.
constexpr std::size_t kLongestSequence = 32;

struct Taken {
  std::size_t size = 0;  ///< 0: it is not whole yet
  std::optional<KeyPress> key = {};
};

std::optional<KeyPress> key_of_sequence(std::string_view parameters, char last) {
  using enum KeyPress::Kind;
  constexpr std::pair<char, KeyPress::Kind> kLetters[] = {
      {'A', Up}, {'B', Down}, {'H', Home}, {'F', End}, {'M', Enter}};
  constexpr std::pair<std::string_view, KeyPress::Kind> kNumbers[] = {
      {"1", Home}, {"4", End}, {"5", PageUp}, {"6", PageDown}, {"7", Home}, {"8", End}, {"3", Erase}};
  if (last == '~') {
    const auto* found =
        std::ranges::find(kNumbers, parameters, &std::pair<std::string_view, KeyPress::Kind>::first);
    return found != std::end(kNumbers) ? std::optional(KeyPress{found->second}) : std::nullopt;
  }
  const auto* found = std::ranges::find(kLetters, last, &std::pair<char, KeyPress::Kind>::first);
  return found != std::end(kLetters) ? std::optional(KeyPress{found->second}) : std::nullopt;
}

/// `bytes` begin with an escape: "ESC [ parameters letter" or "ESC O letter".
Taken take_sequence(std::string_view bytes) {
  if (bytes.size() == 1) return {};
  if (bytes[1] != '[' && bytes[1] != 'O') return {1, KeyPress{KeyPress::Kind::Escape}};
  for (std::size_t i = 2; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (c >= '@' && c <= '~') return {i + 1, key_of_sequence(bytes.substr(2, i - 2), c)};
    if (c < ' ' || i > kLongestSequence) return {i, std::nullopt};
  }
  return {};
}

Taken take_character(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  if (first < 0x80) {
    if (first == '\r' || first == '\n') return {1, KeyPress{KeyPress::Kind::Enter}};
    if (first == '\t') return {1, KeyPress{KeyPress::Kind::Tab}};
    if (first == 0x7f || first == '\b') return {1, KeyPress{KeyPress::Kind::Erase}};
    if (first < ' ') return {1, std::nullopt};
    return {1, KeyPress{KeyPress::Kind::Text, std::string(1, bytes[0])}};
  }
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  if (length == 0) return {1, std::nullopt};
  for (std::size_t i = 1; i < std::min(length, bytes.size()); ++i)
    if ((static_cast<unsigned char>(bytes[i]) & 0xc0) != 0x80) return {i, std::nullopt};
  if (bytes.size() < length) return {};
  return {length, KeyPress{KeyPress::Kind::Text, std::string(bytes.substr(0, length))}};
}

}  // namespace

std::vector<KeyPress> KeyReader::feed(std::string_view bytes) {
  begun_ += bytes;
  std::vector<KeyPress> out;
  std::string_view rest = begun_;
  while (!rest.empty()) {
    const Taken taken = rest[0] == kEscape ? take_sequence(rest) : take_character(rest);
    if (taken.size == 0) break;
    if (taken.key) out.push_back(*taken.key);
    rest.remove_prefix(taken.size);
  }
  begun_ = std::string(rest);
  return out;
}

std::vector<KeyPress> KeyReader::flush() {
  const bool escape = begun_.size() == 1 && begun_[0] == kEscape;
  begun_.clear();
  return escape ? std::vector<KeyPress>{{KeyPress::Kind::Escape}} : std::vector<KeyPress>();
}

}  // namespace weir
