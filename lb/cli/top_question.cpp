#include "lb/cli/top_question.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lb/cli/table.h"

namespace weir {

namespace {

constexpr std::uint64_t kHeaviest = 256;

std::string name_of(const AnswerJson& pool, const AnswerJson& backend) {
  return text(pool, "name") + "/" + text(backend, "name");
}

std::string left_text(const AnswerJson& pool, const AnswerJson& backend) {
  return fmt::format("{} has left its pool", name_of(pool, backend));
}

std::string sessions_on_it(const AnswerJson& backend) {
  return sessions_text(number(backend, "active")) + " on it";
}

struct Remaining {
  std::uint64_t eligible = 0, primaries = 0, all = 0;
};

/// The pool without this one.
Remaining without(const AnswerJson& pool, const AnswerJson& backend) {
  Remaining out;
  for (const auto& one : list(pool, "backends")) {
    if (flag(one, "removed")) continue;
    ++out.all;
    if (text(one, "name") == text(backend, "name") || !flag(one, "eligible")) continue;
    ++out.eligible;
    if (!flag(one, "backup")) ++out.primaries;
  }
  return out;
}

/// Of the pool's new sessions, in percent, by weight alone; `own`: this one's weight then.
double share(const AnswerJson& pool, const AnswerJson& backend, std::uint64_t own) {
  std::uint64_t sum = 0;
  for (const auto& one : list(pool, "backends")) {
    if (text(one, "name") == text(backend, "name"))
      sum += own;
    else if (flag(one, "eligible") && flag(one, "backup") == flag(backend, "backup"))
      sum += number(one, "weight");
  }
  return sum == 0 ? 0 : 100 * static_cast<double>(own) / static_cast<double>(sum);
}

}  // namespace

Question drain_question(const AnswerJson& pool, const AnswerJson& backend) {
  const auto name = name_of(pool, backend);
  if (flag(backend, "removed")) return {left_text(pool, backend)};
  if (text(backend, "admin") != "enabled")
    return {fmt::format("{} is {} already", name, text(backend, "admin"))};
  const Remaining left = without(pool, backend);
  auto out = fmt::format("drain {}? {} go on until they end; ", name, sessions_on_it(backend));
  if (flag(backend, "eligible") && left.eligible == 0)
    return {
        out + fmt::format("NOBODY is left to serve pool {}: Y drains it all the same", text(pool, "name")),
        true, true};
  out += fmt::format("{} of {} backends of {} remain eligible{}. y/n", left.eligible, left.all,
                     text(pool, "name"), left.eligible > 0 && left.primaries == 0 ? ", backups only" : "");
  return {out, true};
}

Question enable_question(const AnswerJson& pool, const AnswerJson& backend) {
  const auto name = name_of(pool, backend);
  if (flag(backend, "removed")) return {left_text(pool, backend)};
  if (text(backend, "admin") == "enabled") return {fmt::format("{} is enabled already", name)};
  const auto health = text(backend, "health");
  const Remaining left = without(pool, backend);
  // A disabled one has no health: it is probed first.
  const bool at_once = health == "up" && text(backend, "admin") == "drained";
  return {fmt::format("enable {}? it gets new sessions {}, beside {} eligible in {}. y/n", name,
                      at_once ? "at once" : fmt::format("when its health allows (now {})", health),
                      left.eligible, text(pool, "name")),
          true};
}

bool is_weight(const std::string& text) {
  if (text == "default") return true;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= kHeaviest;
}

Question weight_question(const AnswerJson& pool, const AnswerJson& backend, const std::string& weight) {
  const auto name = name_of(pool, backend);
  if (flag(backend, "removed")) return {left_text(pool, backend)};
  const auto now = number(backend, "weight");
  std::uint64_t then = number(backend, "configured_weight");
  if (weight != "default") std::from_chars(weight.data(), weight.data() + weight.size(), then);
  if (then == now && weight != "default") return {fmt::format("{} has weight {} already", name, now)};
  auto out = fmt::format("weight of {} from {} to {}{}? ", name, now, then,
                         weight == "default" ? ", the file's" : "");
  if (flag(backend, "eligible"))
    out += fmt::format("its share of {}'s new sessions goes from {:.0f}% to {:.0f}%; ", text(pool, "name"),
                       share(pool, backend, now), share(pool, backend, then));
  return {out + sessions_on_it(backend) + " stay. y/n", true};
}

}  // namespace weir
