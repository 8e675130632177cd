#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace weir {

// An answer's values as they are to be shown: what is missing, or is not what it should be, is nothing. The
// daemon may be of another version.

using AnswerJson = nlohmann::ordered_json;

/// An empty object when it is none.
AnswerJson parse_object(std::string_view text);
const AnswerJson& list(const AnswerJson& in, const char* name);
std::string text(const AnswerJson& in, const char* name);
std::uint64_t number(const AnswerJson& in, const char* name);
double real(const AnswerJson& in, const char* name);
bool flag(const AnswerJson& in, const char* name);
/// "a, b"
std::string joined(const AnswerJson& values);

}  // namespace weir
