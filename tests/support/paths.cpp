#include "tests/support/paths.h"

namespace weir::test {

std::filesystem::path source_path(const std::string& below) {
  return std::filesystem::path(WEIR_SOURCE_DIR) / below;
}

std::filesystem::path binary_path(const std::string& below) {
  return std::filesystem::path(WEIR_BINARY_DIR) / below;
}

}  // namespace weir::test
