#include "lb/balance/agent_state.h"

#include <fmt/format.h>

namespace weir {

std::string AgentState::in_words() const {
  std::string out;
  const auto add = [&out](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
  if (down) add(why.empty() ? "down" : "down: " + why);
  if (word != Word::Ready) add(word == Word::Drain ? "drain" : "maint");
  if (weight_percent != 100) add(fmt::format("{} %", weight_percent));
  if (max_sessions != 0) add(fmt::format("maxconn:{}", max_sessions));
  return out;
}

}  // namespace weir
