#include "lb/config/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lb/base/nearest.h"
#include "lb/config/foreign_words.h"

namespace weir {
namespace {

constexpr std::string_view kProbeKinds[] = {"tcp",   "http", "expect", "postgres", "mysql",
                                            "redis", "smtp", "tls",    "exec",     "none"};

}  // namespace

const TableKeys* find_table(std::string_view path) {
  for (const TableKeys& other : all_tables())
    if (other.path == path) return &other;
  return nullptr;
}

const TableKeys* table_below(const TableKeys& table, std::string_view key) {
  return find_table(table.path.empty() ? std::string(key) : fmt::format("{}.{}", table.path, key));
}

std::string unknown_key_message(const TableKeys& table, std::string_view key) {
  const std::string_view dot = table.path.empty() ? "" : ".";
  const std::string unknown = fmt::format("unknown key \"{}{}{}\"", table.path, dot, key.substr(0, 128));
  const std::string_view own = own_word_for_key(key);
  if (!own.empty()) return fmt::format("{}: Weir's word for it is {}", unknown, own);
  const std::string_view best = nearest(key, table.keys);
  if (is_near(key, best)) return fmt::format("{}: did you mean \"{}\"?", unknown, best);
  for (const TableKeys& other : all_tables()) {
    const bool elsewhere = std::find(other.keys.begin(), other.keys.end(), key) != other.keys.end();
    if (elsewhere)
      return fmt::format("{}: it belongs to {}; the nearest key here is \"{}\"", unknown, other.header, best);
  }
  return fmt::format("{}: the nearest key here is \"{}\" (known: {})", unknown, best,
                     fmt::join(table.keys, ", "));
}

std::span<const std::string_view> probe_kinds_of(std::string_view key) {
  for (const Key& known : health_keys().rows)
    if (known.name == key) return known.probes.kinds();
  return {};
}

bool knows_probe_kind(std::string_view kind) {
  return std::find(std::begin(kProbeKinds), std::end(kProbeKinds), kind) != std::end(kProbeKinds);
}

}  // namespace weir
