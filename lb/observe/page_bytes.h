#pragma once

#include <string_view>

namespace weir {

/// The dashboard, lb/observe/page/dist/index.html, as gzip has compressed it when Weir was built. Lives as
/// long as the program.
std::string_view page_gzip();

}  // namespace weir
