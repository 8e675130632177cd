#pragma once

#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// `text` as a JSON string, behind `out`. What is no UTF-8 is replaced.
void append_json(std::string& out, std::string_view text);
void append_json(std::string& out, double number);

/// A JSON object that is written into a text while it lives. For answers of thousands of things: to build a
/// tree of them first takes the control thread several times as long.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  ~JsonObject() { out_ += '}'; }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  void add(std::string_view name, std::string_view text) { append_json(value(name), text); }
  void add(std::string_view name, const std::string& text) { add(name, std::string_view(text)); }
  void add(std::string_view name, const char* text) { add(name, std::string_view(text)); }
  void add(std::string_view name, std::same_as<bool> auto flag) { value(name) += flag ? "true" : "false"; }
  template <std::integral T>
  requires(!std::same_as<T, bool>) void add(std::string_view name, T number) {
    value(name) += std::to_string(number);
  }
  void add(std::string_view name, double number) { append_json(value(name), number); }
  /// null for nothing.
  template <class T>
  void add(std::string_view name, const std::optional<T>& maybe) {
    if (maybe)
      add(name, *maybe);
    else
      value(name) += "null";
  }
  /// Where the caller writes the value of that name, which like all names here is a word of Weir's own:
  /// nothing in it needs an escape.
  std::string& value(std::string_view name);

 private:
  std::string& out_;
  bool first_ = true;
};

/// `write(element)` for each, in a JSON array behind `out`.
template <class Range, class Write>
void append_json_array(std::string& out, const Range& range, Write write) {
  out += '[';
  bool first = true;
  for (const auto& element : range) {
    if (!first) out += ',';
    first = false;
    write(element);
  }
  out += ']';
}

}  // namespace weir
