#pragma once

#include <string_view>

namespace weir {

/// For "bash", "zsh" or "fish".
std::string_view completion_script(std::string_view shell);

}  // namespace weir
