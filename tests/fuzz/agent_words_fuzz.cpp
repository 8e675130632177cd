// What a backend's agent says, line after line.
#include "health/agent_words.h"

#include <algorithm>

#include "lb/base/state.h"
#include "tests/fuzz/input.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Exact all(data, size);
  AgentState state;
  std::string_view rest = text_of(all.bytes());
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const AgentState before = state;
    const bool taken = take_agent_words(rest.substr(0, end), state).has_value();
    WEIR_CHECK(taken || state == before);
    WEIR_CHECK(state.weight_percent <= 100 && state.max_sessions <= kMaxSessions);
    WEIR_CHECK(state.why.size() < 1'000 && state.why.find('\n') == std::string::npos);
    WEIR_CHECK(state.down || state.why.empty());
    // What has been said is said again without a difference.
    AgentState again = state;
    if (taken && take_agent_words(rest.substr(0, end), again)) WEIR_CHECK(again == state);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return 0;
}
