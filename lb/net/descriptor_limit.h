#pragma once

#include <cstdint>

namespace weir {

/// The soft limit on open files, which somebody else may change while this process runs (prlimit).
std::uint64_t descriptor_limit();
/// The hard limit on open files.
std::uint64_t hard_descriptor_limit();
/// Raises the soft limit on open files to the hard one and returns it.
std::uint64_t raise_descriptor_limit();

/// The soft limit this process was started with, for its children to have: programs that close or select()
/// all they may have do not bear a million. Before the first raise_descriptor_limit() that of now. Any
/// thread.
std::uint64_t first_descriptor_limit();
/// An older process, which had raised it, started this one: its first limit is this one's.
void set_first_descriptor_limit(std::uint64_t limit);

}  // namespace weir
