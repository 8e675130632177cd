#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace weir::test {

/// What the admin API at the unix socket `socket` says to GET /v1/`what`: the body that the CLI would print
/// with -o json, without a process for each look. Throws when it gets anything but 200 and JSON.
nlohmann::json get_json(const std::string& socket, const std::string& what);

}  // namespace weir::test
