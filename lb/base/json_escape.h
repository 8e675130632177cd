#pragma once

#include <string>
#include <string_view>

namespace weir {

/// `text` as a JSON string with its quotes, behind `out`: valid whatever bytes it has. What is no UTF-8 (RFC
/// 3629: no surrogates, nothing overlong) becomes U+FFFD, byte by byte.
void append_json_string(std::string& out, std::string_view text);

}  // namespace weir
