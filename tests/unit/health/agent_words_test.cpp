#include "health/agent_words.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

/// What `line` makes of a state in which nothing has been said, or of `before`.
std::string said(std::string_view line, AgentState before = {}) {
  const auto taken = take_agent_words(line, before);
  return taken ? before.in_words() : "! " + taken.error().message;
}

AgentState state_of(std::string_view line) {
  AgentState out;
  REQUIRE(take_agent_words(line, out));
  return out;
}

}  // namespace

TEST_CASE("an agent speaks in HAProxy's words, in any case, apart by blanks or commas") {
  CHECK(said("75%") == "75 %");
  CHECK(said("drain") == "drain");
  CHECK(said("MAINT,50%\tmaxconn:30") == "maint, 50 %, maxconn:30");
  CHECK(said("up ready 100%") == "");
  CHECK(said("down") == "down");
  CHECK(said("failed") == "down");
  CHECK(said("Stopped # the disk is full, 0%") == "down: the disk is full, 0%");
  CHECK(said("  up  # 50%") == "");
  CHECK(said("100%, up") == "");
}

TEST_CASE("what a line does not speak of stays as it was") {
  const AgentState all = state_of("down # x");
  CHECK(said("40%", all) == "down: x, 40 %");
  CHECK(said("ready", all) == "down: x");
  CHECK(said("up", all) == "");
  CHECK(said("down", all) == "down");  // for another reason, which it does not tell
  const AgentState drained = state_of("drain maxconn:5");
  CHECK(said("up", drained) == "drain, maxconn:5");
  CHECK(said("maxconn:0", drained) == "drain");
  CHECK(said("ready", drained) == "maxconn:5");
}

TEST_CASE("weights beyond the whole are the whole, and none at all keeps new sessions away") {
  CHECK(said("250%") == "");
  CHECK(said("99999999999999999999%") == "");
  CHECK_FALSE(state_of("0%").serves());
  CHECK(state_of("1%").serves());
  CHECK_FALSE(state_of("drain").serves());
  CHECK_FALSE(state_of("maint").serves());
  CHECK_FALSE(state_of("down").serves());
  CHECK(state_of("maxconn:1").serves());
  CHECK(state_of("maxconn:99999999999").max_sessions == kMaxSessions);
}

TEST_CASE("words of others are passed over, and a line without any of an agent's changes nothing") {
  CHECK(said("hello 50% world") == "50 %");
  for (const char* line : {"", "   ", "# down", "%", "-5%", "5 %", "5.5%", "maxconn:", "maxconn:-1",
                           "maxconn:1x", "HTTP/1.1 200 OK", "\x16\x03\x01"}) {
    CAPTURE(line);
    CHECK_THAT(said(line, state_of("drain")), Catch::Contains("no word of which is an agent's"));
  }
  AgentState state = state_of("drain");
  const AgentState before = state;
  CHECK_FALSE(take_agent_words("nonsense", state));
  CHECK(state == before);
}

TEST_CASE("why is one line, printable and short, whatever an agent sends") {
  const AgentState state = state_of("down #\x1b[31m" + std::string(1'000, 'x'));
  CHECK(state.why.size() <= 220);
  CHECK(state.why.find('\x1b') == std::string::npos);
}
