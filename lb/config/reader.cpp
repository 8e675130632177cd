#include "lb/config/reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lb/admit/rate.h"
#include "lb/base/byte_rate.h"
#include "lb/base/congestion_control.h"
#include "lb/config/substitute.h"

namespace weir {
namespace {

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date and time";
    default:
      return "nothing";
  }
}

/// ` = 5` for what fits a line, nothing for tables, lists, dates.
std::string equals_value(const toml::node& node) {
  if (const auto* text = node.as_string()) return " = " + shown(text->get());
  if (const auto* integer = node.as_integer()) return fmt::format(" = {}", integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format(" = {}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? " = true" : " = false";
  return {};
}

}  // namespace

Place place_of(const toml::node& node) {
  return {.line = node.source().begin.line, .column = node.source().begin.column};
}

TableReader::TableReader(Findings& findings, const toml::table& table, const TableKeys& keys)
    : findings_(findings), table_(table), keys_(keys) {
  for (const auto& [key, node] : table_) {
    const bool known = std::find(keys.keys.begin(), keys.keys.end(), key.str()) != keys.keys.end();
    if (!known) findings_.fault(place_of(node), unknown_key_message(keys, key.str()));
  }
}

Place TableReader::place() const {
  return place_of(table_);
}

Place TableReader::place(std::string_view key) const {
  const toml::node* node = table_.get(key);
  return node != nullptr ? place_of(*node) : place();
}

std::string TableReader::path(std::string_view key) const {
  return keys_.path.empty() ? std::string(key) : fmt::format("{}.{}", keys_.path, key);
}

void TableReader::wrong(std::string_view key, std::string_view value, std::string_view what) const {
  findings_.fault(place(key), value_fault(path(key), value, what));
}

void TableReader::missing(std::string_view key, std::string_view what) const {
  findings_.fault(place(), fmt::format("{} is missing: {}", path(key), what));
}

void TableReader::wrong_type(std::string_view path, const toml::node& node, std::string_view allowed) const {
  findings_.fault(place_of(node),
                  fmt::format("{}{} is {}, must be {}", path, equals_value(node), type_name(node), allowed));
}

bool TableReader::read_integer(std::string_view key, std::uint64_t least, std::uint64_t most,
                               std::uint64_t& target) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return false;
  const auto* integer = node->as_integer();
  if (integer == nullptr) {
    wrong_type(path(key), *node, fmt::format("an integer from {} to {}", least, most));
    return false;
  }
  const std::int64_t value = integer->get();
  if (value < 0 || static_cast<std::uint64_t>(value) < least || static_cast<std::uint64_t>(value) > most) {
    findings_.fault(place_of(*node), fmt::format("{} = {}: must be {} to {}", path(key), value, least, most));
    return false;
  }
  target = static_cast<std::uint64_t>(value);
  return true;
}

bool TableReader::boolean(std::string_view key, bool& target) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return false;
  const auto* flag = node->as_boolean();
  if (flag == nullptr) {
    wrong_type(path(key), *node, "true or false, without quotes");
    return false;
  }
  target = flag->get();
  return true;
}

bool TableReader::bound(std::string_view key, double& target) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return false;
  const auto number = node->value_exact<double>();
  const auto integer = node->value_exact<std::int64_t>();
  const std::string allowed = fmt::format("0, or {} to {}", kLeastBound, kMostBound);
  if (!number && !integer) {
    wrong_type(path(key), *node, allowed);
    return false;
  }
  const double value = number ? *number : static_cast<double>(*integer);
  if (value != 0 && !(value >= kLeastBound && value <= kMostBound)) {
    findings_.fault(place_of(*node), fmt::format("{} = {}: must be {}", path(key), value, allowed));
    return false;
  }
  target = value;
  return true;
}

bool TableReader::byte_rate(std::string_view key, std::uint64_t& target) const {
  std::string text;
  if (!string(key, text)) return false;
  const auto rate = parse_byte_rate(text);
  if (!rate) {
    wrong(key, text, rate.error().message);
    return false;
  }
  target = *rate;
  return true;
}

bool TableReader::congestion_control(std::string_view key, std::string& target) const {
  std::string name;
  if (!string(key, name)) return false;
  if (const auto may = may_use_congestion_control(name); !may) {
    wrong(key, name, may.error().message);
    return false;
  }
  target = std::move(name);
  return true;
}

bool TableReader::rate(std::string_view key, std::string& target) const {
  std::string text;
  if (!string(key, text)) return false;
  if (const auto rate = parse_rate(text, 0); !rate) {
    wrong(key, text, rate.error().message);
    return false;
  }
  target = std::move(text);
  return true;
}

bool TableReader::read_string(std::string_view path, const toml::node& node, std::string_view allowed,
                              std::string& target) const {
  const auto* text = node.as_string();
  if (text == nullptr) {
    wrong_type(path, node, allowed);
    return false;
  }
  auto value = substitute(text->get(), findings_.options().environment, findings_.written());
  if (!value) {
    findings_.fault(place_of(node), value_fault(path, text->get(), value.error().message));
    return false;
  }
  target = std::move(*value);
  return true;
}

bool TableReader::string(std::string_view key, std::string& target) const {
  const toml::node* node = table_.get(key);
  return node != nullptr && read_string(path(key), *node, "a string", target);
}

bool TableReader::duration(std::string_view key, Zero zero, Millis& target) const {
  const toml::node* node = table_.get(key);
  std::string text;
  if (node == nullptr ||
      !read_string(path(key), *node, "a duration: a string with a unit (ms, s, m, h), like \"1.5s\"", text))
    return false;
  const auto value = parse_duration(text);
  if (!value) {
    wrong(key, text, value.error().message);
    return false;
  }
  if (zero == Zero::Refused && value->count() == 0) {
    wrong(key, text, fmt::format("must be longer than zero, at most {}", format_duration(kMaxDuration)));
    return false;
  }
  target = *value;
  return true;
}

bool TableReader::file_mode(std::string_view key, std::uint32_t& target) const {
  std::string mode;
  if (!string(key, mode)) return false;
  const bool octal = (mode.size() == 3 || (mode.size() == 4 && mode.front() == '0')) &&
                     mode.find_first_not_of("01234567") == std::string::npos;
  if (octal)
    target = static_cast<std::uint32_t>(std::stoul(mode, nullptr, 8));
  else
    wrong(key, mode, "must be octal digits, \"0000\" to \"0777\", like \"0660\"");
  return octal;
}

bool TableReader::choice(std::string_view key, std::string_view what, std::span<const std::string_view> words,
                         std::size_t& target) const {
  const toml::node* node = table_.get(key);
  std::string word;
  if (node == nullptr ||
      !read_string(path(key), *node, fmt::format("a string, one of {}", fmt::join(words, ", ")), word))
    return false;
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) {
    wrong(key, word,
          fmt::format("unknown {}{} (known: {})", what, findings_.suggest(word, words),
                      fmt::join(words, ", ")));
    return false;
  }
  target = static_cast<std::size_t>(found - words.begin());
  return true;
}

bool TableReader::read_list(std::string_view key, const toml::array& array, std::vector<std::string>& target,
                            std::vector<Place>& places) const {
  if (array.empty()) {
    findings_.fault(place_of(array), fmt::format("{} is an empty list: give at least one string", path(key)));
    return false;
  }
  target.clear();
  places.clear();
  for (std::size_t i = 0; i < array.size(); ++i) {
    std::string text;
    if (!read_string(fmt::format("{}[{}]", path(key), i), array[i], "a string", text)) continue;
    target.push_back(std::move(text));
    places.push_back(place_of(array[i]));
  }
  return true;
}

bool TableReader::strings(std::string_view key, std::vector<std::string>& target,
                          std::vector<Place>& places) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return false;
  if (const auto* array = node->as_array()) return read_list(key, *array, target, places);
  std::string text;
  if (!read_string(path(key), *node, "a string or a list of strings", text)) return false;
  target = {std::move(text)};
  places = {place_of(*node)};
  return true;
}

bool TableReader::any_strings(std::string_view key, std::vector<std::string>& target,
                              std::vector<Place>& places) const {
  const toml::node* node = table_.get(key);
  if (node != nullptr && node->is_array() && node->as_array()->empty()) {
    target.clear();
    places.clear();
    return true;
  }
  return strings(key, target, places);
}

bool TableReader::two_integers(std::string_view key, std::array<std::uint8_t, 2> most,
                               std::array<std::uint8_t, 2>& target) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return false;
  const std::string allowed = fmt::format("a list of two integers: 1 to {}, and 1 to {}, like [{}, {}]",
                                          most[0], most[1], target[0], target[1]);
  const auto* array = node->as_array();
  if (array == nullptr || array->size() != 2) {
    wrong_type(path(key), *node, allowed);
    return false;
  }
  auto read = target;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto* integer = (*array)[i].as_integer();
    const std::string one = fmt::format("{}[{}]", path(key), i);
    if (integer == nullptr) {
      wrong_type(one, (*array)[i], fmt::format("an integer from 1 to {}", most[i]));
      return false;
    }
    if (integer->get() < 1 || integer->get() > most[i]) {
      findings_.fault(place_of((*array)[i]),
                      fmt::format("{} = {}: must be 1 to {}", one, integer->get(), most[i]));
      return false;
    }
    read[i] = static_cast<std::uint8_t>(integer->get());
  }
  target = read;
  return true;
}

bool TableReader::list(std::string_view key, std::vector<std::string>& target,
                       std::vector<Place>& places) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return false;
  if (const auto* array = node->as_array()) return read_list(key, *array, target, places);
  wrong_type(path(key), *node, "a list of strings");
  return false;
}

const toml::table* TableReader::table(std::string_view key, std::string_view header) const {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return nullptr;
  if (const auto* table = node->as_table()) return table;
  wrong_type(path(key), *node, fmt::format("a table: write {}", header));
  return nullptr;
}

std::vector<const toml::table*> TableReader::tables(std::string_view key, std::string_view header) const {
  std::vector<const toml::table*> result;
  const toml::node* node = table_.get(key);
  if (node == nullptr) return result;
  const auto* array = node->as_array();
  if (array == nullptr) {
    wrong_type(path(key), *node, fmt::format("a list of tables: write {}", header));
    return result;
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    if (const auto* table = (*array)[i].as_table())
      result.push_back(table);
    else
      wrong_type(fmt::format("{}[{}]", path(key), i), (*array)[i], fmt::format("a table: write {}", header));
  }
  return result;
}

}  // namespace weir
