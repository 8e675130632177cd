#pragma once

#include <cstdint>
#include <optional>

#include "lb/base/state.h"

namespace weir {

/// What is known of one side of a session that relays. Every fact is lasting, but for `in_hand`.
struct SideFacts {
  bool finished : 1 = false;  ///< its last byte has been read, and a clean end after it
  bool whole : 1 = false;    ///< finished, and it was its FIN that ended it: no reset of its came before that
  bool failed : 1 = false;   ///< reading from it has ended in an error
  bool lost : 1 = false;     ///< it takes nothing any more: it has reset, or a write to it has failed
  bool in_hand : 1 = false;  ///< bytes of its have been read that the other side's kernel has yet to take
  bool passed_on : 1 = false;  ///< the other side has been told of its FIN

  /// It takes nothing any more.
  bool is_gone() const { return lost || failed; }
  /// Its last byte has been read, and there was more to come.
  bool was_cut() const { return failed || (finished && !whole); }
  bool is_drained() const { return finished && !in_hand; }
};

struct EndingFacts {
  SideFacts client;
  SideFacts backend;
  bool hearing_out : 1 = false;  ///< HearClientOut has been done: the client's bytes are read and dropped
};

/// What is to be done about a session whose pumps stand still.
enum class Act : std::uint8_t {
  Wait,           ///< for the next event
  FinToBackend,   ///< the client has finished and the backend has every byte
  FinToClient,    ///< the other way round
  ResetBackend,   ///< the client is gone: hand over what came before, then reset the backend
  ResetClient,    ///< the backend was cut off: hand over what came before, then reset the client
  HearClientOut,  ///< the backend is lost and has answered in full: it is done with, the client is not
  EndDone,
  EndClientReset,
  EndBackendReset
};

/// The next act, and one alone: ask again after it, unless it is Wait. Pure; the only place where endings are
/// decided. Both sides are treated alike with one exception, HearClientOut: a finished answer is what the
/// client came for, a finished request is nothing to a backend whose client is gone.
inline Act next_act(const EndingFacts& facts) {
  const SideFacts& client = facts.client;
  const SideFacts& backend = facts.backend;
  if (client.was_cut() || (client.lost && client.finished))
    return backend.is_gone() || facts.hearing_out ? Act::EndClientReset : Act::ResetBackend;
  if (backend.was_cut()) return client.is_gone() ? Act::EndBackendReset : Act::ResetClient;
  if (backend.lost && backend.finished && !facts.hearing_out) return Act::HearClientOut;
  // Each has been lost to a write: what the other one had said goes nowhere, and nobody reads it any more.
  if (client.lost && backend.lost && !facts.hearing_out) return Act::EndClientReset;
  // What a client says while it is heard out goes nowhere.
  const bool client_drained = facts.hearing_out ? client.finished : client.is_drained();
  if (client_drained && backend.is_drained()) return Act::EndDone;
  if (client_drained && !facts.hearing_out && !client.passed_on && !backend.lost) return Act::FinToBackend;
  if (backend.is_drained() && !backend.passed_on && !client.lost) return Act::FinToClient;
  return Act::Wait;
}

/// Of an act that ends the session, or begins to: the word for the log.
std::optional<End> end_of(Act act);

}  // namespace weir
