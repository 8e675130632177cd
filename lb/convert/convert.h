#pragma once

#include <string>
#include <string_view>

#include "lb/base/error.h"

namespace weir {

/// Whose configuration it is. Guess goes by the text.
enum class Foreign { Guess, Haproxy, Nginx, Nlb };

/// Weir's TOML for another balancer's configuration: HAProxy's (sections of mode http as the bytes that they
/// are), nginx's stream block, or what the AWS CLI says of a Network Load Balancer: the JSON of
/// describe-target-groups, of describe-target-health of each group in their order, and, as far as they are
/// there, of describe-listeners, describe-load-balancers and describe-target-group-attributes (in that order,
/// too), one behind the other. What has no equal is a comment where it would stand, with its line and why,
/// or what to do instead. `name`: of the file, for these comments. Pure; an error says why nothing could be
/// read.
Result<std::string> convert_config(std::string_view text, std::string_view name, Foreign kind);

}  // namespace weir
