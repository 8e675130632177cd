#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::size_t kMaxSteps = 16;

/// `\xHH` is the byte HH. TOML has no such escape, and its others name characters, not bytes. Where there is
/// one every other backslash is most likely meant as an escape, too, and would go out as it stands: nothing.
std::optional<std::string> unescaped(std::string_view text) {
  if (text.find("\\x") == std::string_view::npos) return std::string(text);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1).starts_with('x') ? text.substr(i + 2, 2) : "";
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) return std::nullopt;
    out += static_cast<char>(byte);
    i += 3;
  }
  return out;
}

bool read_bytes(const TableReader& reader, std::string_view key, std::string& target) {
  std::string text;
  if (!reader.string(key, text)) return false;
  auto bytes = unescaped(text);
  if (!bytes) {
    reader.wrong(
        key, text,
        "beside \\xHH, a byte in two hexadecimal digits, there is no other escape here: a line's end is "
        "\\x0d\\x0a, a backslash \\x5c");
    return false;
  }
  target = std::move(*bytes);
  return true;
}

void read_step(const TableReader& reader, ExpectStep& step) {
  read_bytes(reader, "send", step.send);
  if (read_bytes(reader, "expect", step.expect) && step.expect.empty())
    reader.wrong("expect", step.expect, "must be what the answer contains, at least one character");
  if (read_bytes(reader, "reject", step.reject) && step.reject.empty())
    reader.wrong("reject", step.reject, "must be what the answer does not contain, at least one character");
}

void read_steps(const TableReader& reader, ProbeConfig& probe) {
  probe.steps.clear();
  const auto tables = reader.tables("steps", "steps = [{ send = \"…\", expect = \"…\" }, …]");
  for (const toml::table* table : tables) {
    const TableReader step(reader.findings(), *table, *table_below(reader.keys(), "steps"));
    read_step(step, probe.steps.emplace_back());
    if (!step.has("send") && !step.has("expect"))
      step.missing("expect", "a step sends something, or expects something, or both");
    else if (step.has("reject") && !step.has("expect"))
      step.missing("expect", "reject is looked for in what is read until expect is found");
  }
  const auto fault = [&](const std::string& what) {
    reader.findings().fault(reader.place("steps"), reader.path("steps") + what);
  };
  if (tables.size() > kMaxSteps)
    fault(fmt::format(" has {} steps, {} at most are allowed", tables.size(), kMaxSteps));
  else if (std::ranges::all_of(tables, [](const toml::table* table) { return !table->contains("expect"); }))
    fault(": one step at least must expect something, else the probe tells nothing");
  for (const std::string_view key : {"send", "expect", "reject"})
    if (reader.has(key))
      reader.findings().fault(
          reader.place(key),
          fmt::format("{} cannot stand beside steps: make it the first of them", reader.path(key)));
}

}  // namespace

void read_expect(const TableReader& reader, Needs needs, ProbeConfig& probe) {
  // One step, or several: what the pool has of the one is void where a backend has the other.
  const bool has_one = reader.has("send") || reader.has("expect") || reader.has("reject");
  const bool inherits_one = needs == Needs::Inherited && probe.steps.empty();
  ExpectStep only;
  if (!reader.has("steps")) only = {probe.send, probe.expect, probe.reject};
  read_step(reader, only);
  probe.send = std::move(only.send);
  probe.expect = std::move(only.expect);
  probe.reject = std::move(only.reject);
  if (has_one) probe.steps.clear();
  if (reader.has("steps"))
    read_steps(reader, probe);
  else if (probe.kind == "expect" && !reader.has("expect") &&
           (needs == Needs::Here || (has_one && !inherits_one)))
    reader.missing("expect", "an expect probe needs to know what the answer contains, or its steps");
}

}  // namespace weir
