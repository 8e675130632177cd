#pragma once

#include <cstdint>

namespace weir {

/// The hard limit on open files.
std::uint64_t hard_descriptor_limit();
/// Raises the soft limit on open files to the hard one and returns it.
std::uint64_t raise_descriptor_limit();

}  // namespace weir
