#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace weir {

/// What /etc/passwd calls a user, else "uid 1007". No other source of names is asked: one of them may be a
/// server that does not answer.
std::string user_name(uid_t uid);

/// What useradd(8) takes for one: letters, digits, "_", "-", "." and 32 of them at most.
bool is_user_name(std::string_view text);

}  // namespace weir
