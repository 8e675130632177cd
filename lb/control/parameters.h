#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/base/log.h"

namespace weir {

/// The parameters of one request. Each is taken once; what is left over was not meant for this command.
class Parameters {
 public:
  explicit Parameters(std::map<std::string, std::string, std::less<>> values) : values_(std::move(values)) {}

  /// Never "": what is given and empty is a fault, for somebody has meant something.
  std::optional<std::string> take(std::string_view name) {
    auto value = take_any(name);
    if (!value || !value->empty()) return value;
    fault(name, *value, "a value; leave it out, or say which");
    return std::nullopt;
  }
  /// Of values with commas between them; an empty list is one of none.
  std::optional<std::vector<std::string>> take_list(std::string_view name) {
    const auto value = take_any(name);
    if (!value) return std::nullopt;
    std::vector<std::string> out;
    std::string_view rest = *value;
    while (!rest.empty()) {
      const auto end = std::min(rest.find(','), rest.size());
      out.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return out;
  }
  bool take_flag(std::string_view name) {
    const auto value = take_any(name);
    if (!value) return false;
    if (*value == "true" || *value == "1" || value->empty()) return true;
    if (*value != "false" && *value != "0") fault(name, *value, "true or false");
    return false;
  }
  std::optional<std::uint64_t> take_number(std::string_view name, std::uint64_t least, std::uint64_t most) {
    const auto value = take(name);
    if (!value) return std::nullopt;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
    if (error != std::errc() || end != value->data() + value->size() || number < least || number > most)
      fault(name, *value, fmt::format("a whole number, {} to {}", least, most));
    return number;
  }
  /// To be asked when all that is known has been taken: what is wrong with the parameters, or "".
  std::string fault() const {
    if (!fault_.empty() || values_.empty()) return fault_;
    return fmt::format("{} is not a parameter of this command", quoted(values_.begin()->first));
  }
  void fault(std::string_view name, std::string_view value, std::string_view allowed) {
    if (fault_.empty()) fault_ = fmt::format("{} = {} is not {}", name, quoted(value), allowed);
  }

 private:
  std::optional<std::string> take_any(std::string_view name) {
    const auto found = values_.find(name);
    if (found == values_.end()) return std::nullopt;
    auto value = std::move(found->second);
    values_.erase(found);
    return value;
  }

  std::map<std::string, std::string, std::less<>> values_;
  std::string fault_;
};

}  // namespace weir
