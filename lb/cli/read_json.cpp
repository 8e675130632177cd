#include "lb/cli/read_json.h"

namespace weir {

AnswerJson parse_object(std::string_view text) {
  auto json = AnswerJson::parse(text, nullptr, false);
  return json.is_object() ? json : AnswerJson::object();
}

const AnswerJson& list(const AnswerJson& in, const char* name) {
  static const AnswerJson empty = AnswerJson::array();
  const auto found = in.find(name);
  return found != in.end() && found->is_array() ? *found : empty;
}

std::string text(const AnswerJson& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_string() ? found->get<std::string>() : "";
}

std::uint64_t number(const AnswerJson& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

double real(const AnswerJson& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_number() ? found->get<double>() : 0;
}

bool flag(const AnswerJson& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->is_boolean() && found->get<bool>();
}

std::string joined(const AnswerJson& values) {
  std::string out;
  for (const auto& value : values)
    if (value.is_string()) out += (out.empty() ? "" : ", ") + value.get<std::string>();
  return out;
}

}  // namespace weir
