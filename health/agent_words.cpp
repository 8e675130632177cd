#include "health/agent_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>

#include "health/server_words.h"
#include "lb/base/state.h"

namespace weir {
namespace {

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::optional<std::uint32_t> whole_number(std::string_view text, std::uint32_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return most;
  if (error != std::errc()) return std::nullopt;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, most));
}

/// False: it is none of an agent's words.
bool take_word(const std::string& word, AgentState& state) {
  if (word == "ready" || word == "drain" || word == "maint") {
    state.word = word == "ready"   ? AgentState::Word::Ready
                 : word == "drain" ? AgentState::Word::Drain
                                   : AgentState::Word::Maint;
    return true;
  }
  if (word == "up" || word == "down" || word == "failed" || word == "stopped") {
    state.down = word != "up";
    state.why.clear();
    return true;
  }
  if (word.ends_with('%')) {
    const auto percent = whole_number(std::string_view(word).substr(0, word.size() - 1), 100);
    state.weight_percent = percent.value_or(state.weight_percent);
    return percent.has_value();
  }
  constexpr std::string_view kMost = "maxconn:";
  if (!word.starts_with(kMost)) return false;
  const auto most = whole_number(std::string_view(word).substr(kMost.size()), kMaxSessions);
  state.max_sessions = most.value_or(state.max_sessions);
  return most.has_value();
}

}  // namespace

Result<void> take_agent_words(std::string_view line, AgentState& state) {
  constexpr std::string_view kBetween = " \t,\r\n";
  const auto hash = std::min(line.find('#'), line.size());
  AgentState next = state;
  bool understood = false, said_down = false;
  for (std::string_view rest = line.substr(0, hash); !rest.empty();) {
    const auto begin = std::min(rest.find_first_not_of(kBetween), rest.size());
    rest.remove_prefix(begin);
    const auto end = std::min(rest.find_first_of(kBetween), rest.size());
    const std::string word = lowered(rest.substr(0, end));
    rest.remove_prefix(end);
    if (word.empty() || !take_word(word, next)) continue;
    understood = true;
    said_down = said_down || word == "down" || word == "failed" || word == "stopped";
  }
  if (!understood) return fail("it said " + shown_start(line) + ", no word of which is an agent's");
  if (said_down && next.down && hash < line.size()) {
    auto why = line.substr(hash + 1);
    why.remove_prefix(std::min(why.find_first_not_of(" \t"), why.size()));
    next.why = server_words(why);
  }
  state = std::move(next);
  return {};
}

}  // namespace weir
