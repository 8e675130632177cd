#include "lb/proxy/endings.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace weir;

namespace {

constexpr unsigned kSideBits = 6;
constexpr unsigned kCombinations = 1u << (2 * kSideBits + 1);

SideFacts side_of(unsigned bits) {
  SideFacts side;
  side.finished = (bits & 1) != 0;
  side.whole = (bits & 2) != 0;
  side.failed = (bits & 4) != 0;
  side.lost = (bits & 8) != 0;
  side.in_hand = (bits & 16) != 0;
  side.passed_on = (bits & 32) != 0;
  return side;
}

EndingFacts facts_of(unsigned bits) {
  EndingFacts facts;
  facts.client = side_of(bits);
  facts.backend = side_of(bits >> kSideBits);
  facts.hearing_out = (bits >> (2 * kSideBits)) != 0;
  return facts;
}

/// Calls `check` with every combination of facts.
template <class Check>
void for_all(Check check) {
  for (unsigned bits = 0; bits < kCombinations; ++bits) {
    const EndingFacts facts = facts_of(bits);
    INFO("combination " << bits);
    if (!check(facts, next_act(facts))) FAIL("does not hold");
  }
}

bool was_cut(const SideFacts& side) {
  return side.failed || (side.finished && !side.whole);
}
bool is_gone(const SideFacts& side) {
  return side.failed || side.lost;
}
bool ends(Act act) {
  return act == Act::EndDone || act == Act::EndClientReset || act == Act::EndBackendReset;
}
/// Nothing more is to be heard of it.
bool is_over(const SideFacts& side) {
  return side.finished || side.failed;
}

/// The facts after the act has been done, and nothing else has happened.
EndingFacts after(EndingFacts facts, Act act) {
  if (act == Act::FinToBackend) facts.client.passed_on = true;
  if (act == Act::FinToClient) facts.backend.passed_on = true;
  if (act == Act::HearClientOut) {
    facts.hearing_out = true;
    facts.client.in_hand = false;
  }
  return facts;
}

Act mirrored(Act act) {
  switch (act) {
    case Act::FinToBackend:
      return Act::FinToClient;
    case Act::FinToClient:
      return Act::FinToBackend;
    case Act::ResetBackend:
      return Act::ResetClient;
    case Act::ResetClient:
      return Act::ResetBackend;
    case Act::EndClientReset:
      return Act::EndBackendReset;
    case Act::EndBackendReset:
      return Act::EndClientReset;
    default:
      return act;
  }
}

SideFacts finished() {
  return {.finished = true, .whole = true};
}

}  // namespace

TEST_CASE("an answer that was cut off never ends cleanly for the client") {
  for_all([](const EndingFacts& facts, Act act) {
    return !was_cut(facts.backend) || (act != Act::FinToClient && act != Act::EndDone);
  });
}

TEST_CASE("a request that was cut off never ends cleanly for the backend") {
  for_all([](const EndingFacts& facts, Act act) {
    return !was_cut(facts.client) || (act != Act::FinToBackend && act != Act::EndDone);
  });
}

TEST_CASE("a FIN overtakes no byte, is passed on once, and only to a side that takes it") {
  for_all([](const EndingFacts& facts, Act act) {
    const bool fin = act == Act::FinToBackend || act == Act::FinToClient;
    const SideFacts& from = act == Act::FinToBackend ? facts.client : facts.backend;
    const SideFacts& to = act == Act::FinToBackend ? facts.backend : facts.client;
    return !fin || (from.finished && from.whole && !from.in_hand && !from.passed_on && !to.lost);
  });
}

TEST_CASE(
    "a session is done only when both sides have finished and nothing is left in hand for a side that is "
    "heard") {
  for_all([](const EndingFacts& facts, Act act) {
    if (act != Act::EndDone) return true;
    const bool delivered = !facts.backend.in_hand && (!facts.client.in_hand || facts.hearing_out);
    return facts.client.finished && facts.backend.finished && delivered;
  });
}

TEST_CASE("bytes in hand for a side that takes them are never dropped by an end at once") {
  for_all([](const EndingFacts& facts, Act act) {
    if (!ends(act)) return true;
    const bool to_client_dropped = facts.backend.in_hand && !is_gone(facts.client);
    const bool to_backend_dropped = facts.client.in_hand && !is_gone(facts.backend) && !facts.hearing_out;
    // The client that is gone has nothing to take; what it said before goes to the backend first.
    return act == Act::EndClientReset ? !to_backend_dropped : !to_client_dropped;
  });
}

TEST_CASE("a reset after delivery goes to a side that is still there, for the loss of the other one") {
  for_all([](const EndingFacts& facts, Act act) {
    if (act == Act::ResetBackend)
      return !is_gone(facts.backend) && !facts.hearing_out && (was_cut(facts.client) || facts.client.lost);
    if (act == Act::ResetClient) return !is_gone(facts.client) && was_cut(facts.backend);
    return true;
  });
}

TEST_CASE("the client is heard out only when the lost backend has answered in full, and once") {
  for_all([](const EndingFacts& facts, Act act) {
    const SideFacts& backend = facts.backend;
    return act != Act::HearClientOut ||
           (backend.lost && backend.finished && !was_cut(backend) && !facts.hearing_out);
  });
}

TEST_CASE("a whole answer still goes to a client that is there, whatever has become of the backend") {
  for_all([](const EndingFacts& facts, Act act) {
    const bool owed = facts.backend.finished && !was_cut(facts.backend) && facts.backend.in_hand &&
                      !is_gone(facts.client) && !was_cut(facts.client);
    return !owed || !(ends(act) || act == Act::ResetClient || act == Act::ResetBackend);
  });
}

TEST_CASE("acts come to an end: after three at most there is one to wait for, or the session is over") {
  for_all([](const EndingFacts& facts, Act act) {
    EndingFacts now = facts;
    int acts = 0;
    while (act != Act::Wait && !end_of(act)) {
      now = after(now, act);
      act = next_act(now);
      if (++acts > 3) return false;
    }
    return true;
  });
}

TEST_CASE("when both sides are over and nothing can be delivered any more, so is the session") {
  for_all([](const EndingFacts& facts, Act act) {
    const bool to_client_pending = facts.backend.in_hand && !is_gone(facts.client);
    const bool to_backend_pending = facts.client.in_hand && !is_gone(facts.backend) && !facts.hearing_out;
    if (!is_over(facts.client) || !is_over(facts.backend) || to_client_pending || to_backend_pending)
      return true;
    EndingFacts now = facts;
    while (act != Act::Wait && !end_of(act)) {
      now = after(now, act);
      act = next_act(now);
    }
    return end_of(act).has_value();
  });
}

TEST_CASE("when both sides are lost before either has been heard to its end, nobody is waited for") {
  for_all([](const EndingFacts& facts, Act act) {
    const bool both_lost = facts.client.lost && facts.backend.lost && !facts.hearing_out;
    return !both_lost || act != Act::Wait;
  });
  EndingFacts facts;
  facts.client.lost = facts.backend.lost = true;
  CHECK(next_act(facts) == Act::EndClientReset);
}

TEST_CASE("both sides are treated alike while neither is gone") {
  for_all([](const EndingFacts& facts, Act act) {
    if (is_gone(facts.client) || is_gone(facts.backend) || facts.hearing_out) return true;
    if (was_cut(facts.client) && was_cut(facts.backend)) return true;  // the client's word counts
    // One FIN after the other, each side's own: the order is nobody's affair.
    EndingFacts swapped = facts;
    std::swap(swapped.client, swapped.backend);
    const Act other = next_act(swapped);
    const bool both_fins = (act == Act::FinToBackend || act == Act::FinToClient) &&
                           (other == Act::FinToBackend || other == Act::FinToClient);
    return other == mirrored(act) || both_fins;
  });
}

TEST_CASE("sessions end as the README's table says") {
  EndingFacts facts;
  CHECK(next_act(facts) == Act::Wait);

  SECTION("both sides finish") {
    facts.client = facts.backend = finished();
    CHECK(next_act(facts) == Act::EndDone);
    facts.backend.in_hand = true;
    facts.client.passed_on = true;
    CHECK(next_act(facts) == Act::Wait);
  }
  SECTION("one side finishes") {
    facts.client = finished();
    facts.client.in_hand = true;
    CHECK(next_act(facts) == Act::Wait);
    facts.client.in_hand = false;
    CHECK(next_act(facts) == Act::FinToBackend);
    facts.client.passed_on = true;
    CHECK(next_act(facts) == Act::Wait);
  }
  SECTION("the client resets") {
    facts.client = {.failed = true, .lost = true, .in_hand = true};
    CHECK(next_act(facts) == Act::ResetBackend);
    CHECK(end_of(Act::ResetBackend) == End::ClientReset);
  }
  SECTION("the client takes nothing any more, and the rest of what it said is still to be read") {
    facts.client = {.lost = true, .in_hand = true};
    CHECK(next_act(facts) == Act::Wait);
  }
  SECTION("the backend resets before its FIN") {
    facts.backend = {.failed = true, .lost = true, .in_hand = true};
    CHECK(next_act(facts) == Act::ResetClient);
    CHECK(end_of(Act::ResetClient) == End::BackendReset);
    facts.client.lost = true;
    CHECK(next_act(facts) == Act::EndBackendReset);
  }
  SECTION("a failed write has taken the backend's reset with it, and its end looks like a FIN") {
    facts.backend = {.finished = true, .whole = false, .lost = true};
    CHECK(next_act(facts) == Act::ResetClient);
  }
  SECTION("the backend answers, sends FIN and then resets") {
    facts.backend = {.finished = true, .whole = true, .lost = true, .in_hand = true};
    CHECK(next_act(facts) == Act::HearClientOut);
    facts.hearing_out = true;
    CHECK(next_act(facts) == Act::Wait);
    facts.backend.in_hand = false;
    CHECK(next_act(facts) == Act::FinToClient);
    facts.backend.passed_on = true;
    CHECK(next_act(facts) == Act::Wait);
    facts.client = finished();
    CHECK(next_act(facts) == Act::EndDone);
    CHECK(end_of(Act::EndDone) == End::Done);
  }
}
