#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace weir::fuzz {

/// Runs one session's Relay between two sockets that are not real: what a client and a backend do (pieces,
/// ends, resets, silence), what the kernel does (full buffers, short writes, interruptions, shortages, events
/// that are told late) and when, is all chosen by `script`. The program's calls are wrapped
/// (session_machine.cmake).
///
/// Nothing: every byte has come through unchanged, once and in order; no FIN has overtaken one; it has ended
/// once, in a way that the two sides account for; it has not stalled; nothing is left. Else what was broken.
std::optional<std::string> run_session_machine(std::span<const std::uint8_t> script);

}  // namespace weir::fuzz
