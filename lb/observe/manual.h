#pragma once

#include <string>
#include <string_view>

namespace weir {

/// weir-metrics(7) in roff: every metric that is scraped, its kind, its labels and what it counts.
std::string metrics_manual(std::string_view version, std::string_view date);

}  // namespace weir
