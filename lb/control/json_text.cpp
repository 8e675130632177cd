#include "lb/control/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
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
  if (!std::isfinite(number))
    out += "null";
  else if (number == std::floor(number) && std::abs(number) < 1e15)
    fmt::format_to(std::back_inserter(out), "{:.1f}", number);
  else
    fmt::format_to(std::back_inserter(out), "{}", number);
}

std::string& JsonObject::value(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  append_json(out_, name);
  return out_ += ':';
}

}  // namespace weir
