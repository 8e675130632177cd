#include "lb/convert/toml_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace weir::convert {

namespace {

bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
}

/// The bytes of the character that begins there; 0 when it is no UTF-8 (RFC 3629).
std::size_t size_of_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  const unsigned second = byte(1);
  const bool too_long = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool no_character = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return too_long || no_character ? 0 : size;
}

std::string in_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto size = size_of_character(text);
    if (size == 0)
      out += '?';
    else
      out += text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

bool is_plain_text(std::string_view bytes) {
  return bytes.find("\\x") == bytes.npos && std::ranges::all_of(bytes, [](char c) {
           return c == '\r' || c == '\n' || c == '\t' || (c >= ' ' && c <= '~');
         });
}

}  // namespace

std::string quoted_toml(std::string_view text) {
  const std::string valid = in_utf8(text);
  std::string out = "\"";
  for (std::size_t i = 0; i < valid.size(); ++i) {
    const char c = valid[i];
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\r' || c == '\n' || c == '\t')
      (out += '\\') += c == '\r' ? 'r' : c == '\n' ? 'n' : 't';
    else if (is_control(c))
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    else if (std::string_view(valid).substr(i).starts_with("${"))
      out += "$$";
    else
      out += c;
  }
  return out + "\"";
}

std::string bytes_toml(std::string_view bytes) {
  if (is_plain_text(bytes)) return quoted_toml(bytes);
  std::string out = "'";
  for (const char c : bytes)
    if (c >= ' ' && c <= '~' && c != '\\' && c != '\'' && c != '$')
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return out + "'";
}

std::string list_toml(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? ", " : "") + quoted_toml(item);
  return out + "]";
}

std::string duration_toml(unsigned long long millis) {
  constexpr std::array<std::pair<unsigned long long, std::string_view>, 3> kUnits{
      {{3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}}};
  for (const auto& [size, unit] : kUnits)
    if (millis > 0 && millis % size == 0) return fmt::format("\"{}{}\"", millis / size, unit);
  return fmt::format("\"{}ms\"", millis);
}

std::string name_of(std::string_view text) {
  constexpr std::size_t kMostName = 128;
  std::string out(text.substr(0, kMostName));
  for (char& c : out)
    if (std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:[]-").find(c) ==
        std::string_view::npos)
      c = '_';
  return out.empty() ? "unnamed" : out;
}

std::string comment_of(std::string_view text) {
  std::string out = in_utf8(text);
  std::ranges::replace_if(out, is_control, '?');
  return out;
}

std::optional<unsigned long long> number_in(std::string_view text, unsigned long long least,
                                            unsigned long long most) {
  unsigned long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = !text.empty() && error == std::errc{} && end == text.data() + text.size();
  return is_number && value >= least && value <= most ? std::optional(value) : std::nullopt;
}

}  // namespace weir::convert
