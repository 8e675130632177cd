#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::test {

/// One line of Weir's access log, its fields in the order of the line, quotes taken off.
class AccessLine {
 public:
  /// Throws std::runtime_error when the line is no access-log line.
  explicit AccessLine(std::string_view line);

  /// The value of a field. Throws when there is no such field.
  const std::string& operator[](std::string_view key) const;
  long number(std::string_view key) const;  ///< for the whole part of a number
  std::vector<std::string> keys() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

std::vector<AccessLine> parse_access_log(std::string_view text);

}  // namespace weir::test
