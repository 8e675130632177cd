#pragma once

#include <cstdint>
#include <string>

#include "lb/balance/backend.h"

namespace weir {

/// What a backend's own agent has said of it (pool.health.agent_port), all its words so far together: apart
/// from the operator's word and the probes'. A value.
struct AgentState {
  enum class Word : std::uint8_t { Ready, Drain, Maint };

  Word word = Word::Ready;
  bool down = false;
  std::string why;                     ///< of `down`, in its words; may be empty
  std::uint32_t weight_percent = 100;  ///< of the weight in force, 0 to 100
  std::uint32_t max_sessions = 0;      ///< 0 = it has said none
  /// Why it could not be asked, or understood, the last time; its older words stay. "" = it was.
  std::string trouble;

  /// As far as it is asked, the backend may get new sessions.
  bool serves() const { return word == Word::Ready && !down && weight_percent > 0; }
  /// "drain, 50 %, maxconn:30", "down: disk full"; "" = nothing that matters.
  std::string in_words() const;

  friend bool operator==(const AgentState&, const AgentState&) = default;
};

/// What an agent's answers have come to, whenever that is new.
struct AgentReport {
  BackendId id = 0;
  AgentState state;
};

}  // namespace weir
