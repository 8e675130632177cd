#include "lb/control/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace weir {

namespace {

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

}  // namespace

void append_json(std::string& out, std::string_view text) {
  if (is_plain(text)) {
    ((out += '"') += text) += '"';
    return;
  }
  out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_json(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  std::array<char, 32> digits;
  const bool is_whole = number == std::floor(number) && std::abs(number) < 1e15;
  const auto end = is_whole ? std::to_chars(digits.begin(), digits.end(), number, std::chars_format::fixed, 1)
                            : std::to_chars(digits.begin(), digits.end(), number);
  out.append(digits.data(), end.ptr);
}

std::string& JsonObject::value(std::string_view name) {
  out_ += first_ ? "\"" : ",\"";
  first_ = false;
  return (out_ += name) += "\":";
}

}  // namespace weir
