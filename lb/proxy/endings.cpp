#include "lb/proxy/endings.h"

namespace weir {
namespace {

/// It takes nothing any more.
bool is_gone(const SideFacts& side) {
  return side.lost || side.failed;
}

/// Its last byte has been read, and there was more to come.
bool was_cut(const SideFacts& side) {
  return side.failed || (side.finished && !side.whole);
}

bool is_drained(const SideFacts& side) {
  return side.finished && !side.in_hand;
}

}  // namespace

Act next_act(const EndingFacts& facts) {
  const SideFacts& client = facts.client;
  const SideFacts& backend = facts.backend;
  if (was_cut(client) || (client.lost && client.finished))
    return is_gone(backend) || facts.hearing_out ? Act::EndClientReset : Act::ResetBackend;
  if (was_cut(backend)) return is_gone(client) ? Act::EndBackendReset : Act::ResetClient;
  if (backend.lost && backend.finished && !facts.hearing_out) return Act::HearClientOut;
  // What a client says while it is heard out goes nowhere.
  const bool client_drained = facts.hearing_out ? client.finished : is_drained(client);
  if (client_drained && is_drained(backend)) return Act::EndDone;
  if (client_drained && !facts.hearing_out && !client.passed_on && !backend.lost) return Act::FinToBackend;
  if (is_drained(backend) && !backend.passed_on && !client.lost) return Act::FinToClient;
  return Act::Wait;
}

std::optional<End> end_of(Act act) {
  switch (act) {
    case Act::ResetBackend:
    case Act::EndClientReset:
      return End::ClientReset;
    case Act::ResetClient:
    case Act::EndBackendReset:
      return End::BackendReset;
    case Act::EndDone:
      return End::Done;
    default:
      return std::nullopt;
  }
}

}  // namespace weir
