#include "tests/support/access_log.h"

#include <cstdlib>
#include <stdexcept>

namespace weir::test {
namespace {

/// Takes one value off the front: up to a space, or between quotes with backslash escapes kept as written but
/// for \" and \\.
std::string take_value(std::string_view& rest) {
  std::string value;
  if (!rest.starts_with('"')) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    value = rest.substr(0, end);
    rest.remove_prefix(end);
    return value;
  }
  rest.remove_prefix(1);
  while (!rest.empty() && rest.front() != '"') {
    const bool escaped = rest.size() > 1 && rest[0] == '\\' && (rest[1] == '"' || rest[1] == '\\');
    if (escaped) rest.remove_prefix(1);
    value += rest.front();
    rest.remove_prefix(1);
  }
  if (rest.empty()) throw std::runtime_error("a quoted value does not end");
  rest.remove_prefix(1);
  return value;
}

}  // namespace

AccessLine::AccessLine(std::string_view line) {
  std::string_view rest = line;
  while (!rest.empty()) {
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) throw std::runtime_error("no key=value: " + std::string(line));
    std::string key(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    fields_.emplace_back(std::move(key), take_value(rest));
    if (rest.starts_with(' ')) rest.remove_prefix(1);
  }
}

const std::string& AccessLine::operator[](std::string_view key) const {
  for (const auto& [name, value] : fields_) {
    if (name == key) return value;
  }
  throw std::runtime_error("the access log has no field " + std::string(key));
}

long AccessLine::number(std::string_view key) const {
  const std::string& text = (*this)[key];
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') throw std::runtime_error(std::string(key) + " is no number: " + text);
  return static_cast<long>(value);
}

std::vector<std::string> AccessLine::keys() const {
  std::vector<std::string> result;
  for (const auto& [name, value] : fields_) result.push_back(name);
  return result;
}

std::vector<AccessLine> parse_access_log(std::string_view text) {
  std::vector<AccessLine> lines;
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    lines.emplace_back(text.substr(0, end));
  }
  return lines;
}

}  // namespace weir::test
