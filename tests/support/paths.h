#pragma once

#include <filesystem>
#include <string>

// Where this build and its sources are. Only paths.cpp is compiled with these paths in its command, so that
// another clone's tests come out of the compiler's cache.

namespace weir::test {

std::filesystem::path source_path(const std::string& below);
std::filesystem::path binary_path(const std::string& below);

}  // namespace weir::test
