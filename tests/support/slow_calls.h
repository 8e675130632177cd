#pragma once

#include <string>
#include <utility>
#include <vector>

namespace weir::test {

/// The environment of a Weir with the system calls of tests/preload/slow_calls.cpp, and `more`, which says
/// when they are slow.
std::vector<std::pair<std::string, std::string>> with_slow_calls(
    std::vector<std::pair<std::string, std::string>> more = {});

}  // namespace weir::test
