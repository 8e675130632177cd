#pragma once

#include <string>
#include <string_view>

#include "lb/base/error.h"
#include "lb/config/load.h"

namespace weir {

/// Replaces `${NAME}` and `${NAME:-default}` by the environment and `$${` by a literal `${`, once, from left
/// to right: what is put in is not looked at again. As in a shell, the default also stands in for an empty
/// variable; it ends at the first `}`. What came out of the environment is noted in `written`.
Result<std::string> substitute(std::string_view text, const Environment& environment, Written& written);

}  // namespace weir
