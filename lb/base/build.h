#pragma once

#include <array>
#include <string_view>

namespace weir {

/// What the build knows of this program: which Weir it is, and where an installation of it lies. One source
/// file has these words, so that another commit or prefix compiles nothing else anew. Constants: for any
/// thread, at any time.
struct Build {
  std::string_view version;      ///< "0.2.0"
  std::string_view commit;       ///< as git describes it; "" = nobody knows
  std::string_view date;         ///< of the version: "2026-11-30"
  std::string_view config_file;  ///< what is read where no other is named; absolute
};
extern const Build kBuild;

/// What `weir version` names.
inline constexpr std::array<std::string_view, 4> kFeatures{"splice", "ipv6", "unix sockets", "https probes"};

}  // namespace weir
