#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace weir::convert::nlb {

using Json = nlohmann::ordered_json;

/// A member as text: a number as it is written; "" when it is missing or neither text, number nor truth
/// value.
std::string text_of(const Json& object, std::string_view key);
/// A member that counts something; 0 when it is missing or does not.
unsigned long long number_of(const Json& object, std::string_view key);
/// A member that is a list; an empty one when it is none.
const Json& list_of(const Json& object, std::string_view key);
/// A value on one line, for a comment: long ones are cut.
std::string shown(const Json& value);

/// "10.0.0.1:80", "[2001:db8::1]:80".
std::string address_of(std::string_view ip, std::string_view port);
/// Part number `index` of an ARN, counted from 0 and split at ":"; the last one with what follows.
std::string part_of_arn(std::string_view arn, std::size_t index);

/// Why a member of a target group or listener, or an attribute, has no equal, or what to do instead.
std::string_view why_not(std::string_view key);

}  // namespace weir::convert::nlb
