#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace weir {

/// Values that came out of the environment, and how the file writes them. What is shown to anybody holds the
/// latter: who may ask what a configuration would change may not learn what the environment holds.
class Written {
 public:
  /// `variable` as it is written: "${NAME}". An empty value is not noted; one of several lines line by line,
  /// as messages have them.
  void note(std::string_view value, std::string_view variable);
  /// `text`, where each noted value is as it is written; a very short one where it is no part of a word or
  /// number.
  std::string restore(std::string_view text) const;

 private:
  /// By value, the longest first.
  struct Longer {
    bool operator()(const std::string& a, const std::string& b) const {
      return a.size() != b.size() ? a.size() > b.size() : a < b;
    }
  };
  std::map<std::string, std::string, Longer> variables_;
};

}  // namespace weir
