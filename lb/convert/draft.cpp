#include "lb/convert/draft.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lb/base/address.h"

namespace weir::convert {

std::string quoted_toml(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    else if (text.substr(i).starts_with("${"))
      out += "$$";  // it would be a variable
    else
      out += c;
  }
  return out + "\"";
}

std::string list_toml(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? ", " : "") + quoted_toml(item);
  return out + "]";
}

std::string duration_toml(unsigned long long millis) {
  constexpr std::array<std::pair<unsigned long long, std::string_view>, 3> kUnits{
      {{3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}}};
  for (const auto& [size, unit] : kUnits)
    if (millis > 0 && millis % size == 0) return fmt::format("\"{}{}\"", millis / size, unit);
  return fmt::format("\"{}ms\"", millis);
}

std::string name_of(std::string_view text) {
  constexpr std::size_t kMostName = 128;
  std::string out(text.substr(0, kMostName));
  for (char& c : out)
    if (std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:[]-").find(c) ==
        std::string_view::npos)
      c = '_';
  return out.empty() ? "unnamed" : out;
}

bool is_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto host = text.substr(0, slash);
  const bool v6 = host.find(':') != std::string_view::npos;
  if (!Address::parse_ip_port(fmt::format("{}{}{}:1", v6 ? "[" : "", host, v6 ? "]" : ""))) return false;
  const auto bits = slash == std::string_view::npos ? "0" : text.substr(slash + 1);
  return !bits.empty() && bits.size() <= 3 && bits.find_first_not_of("0123456789") == std::string_view::npos;
}

void Table::set(const std::string& key, std::string value) {
  const auto found = std::ranges::find(keys_, key, &std::pair<std::string, std::string>::first);
  if (found != keys_.end())
    found->second = std::move(value);
  else
    keys_.emplace_back(key, std::move(value));
}

bool Table::has(std::string_view key) const {
  return std::ranges::find(keys_, key, &std::pair<std::string, std::string>::first) != keys_.end();
}

std::string Table::value(std::string_view key) const {
  const auto found = std::ranges::find(keys_, key, &std::pair<std::string, std::string>::first);
  return found != keys_.end() ? found->second : "";
}

void Table::erase(std::string_view key) {
  std::erase_if(keys_, [&](const auto& one) { return one.first == key; });
}

std::string Table::toml(std::string_view header) const {
  std::string out;
  for (const auto& note : notes_) {
    std::string line;
    for (const char c : note) line += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c;
    out += "# " + line + "\n";
  }
  if (!header.empty()) out += fmt::format("{}\n", header);
  std::size_t widest = 0;
  for (const auto& [key, value] : keys_) widest = std::max(widest, key.size());
  for (const auto& [key, value] : keys_) out += fmt::format("{:<{}} = {}\n", key, widest, value);
  return out;
}

void Draft::settle() {
  for (Pool& pool : pools) {
    if (pool.backends.empty()) continue;
    const bool any = std::ranges::any_of(pool.backends, &Backend::probed);
    if (!any && !pool.health.has("eject_after")) pool.health = {};
    if (!any) pool.health.set("probe", quoted_toml("none"));
    for (Backend& one : pool.backends) {
      if (one.probed) continue;
      one.health = {};
      if (any) one.health.set("probe", quoted_toml("none"));
    }
    const auto first = pool.backends.front().health.keys();
    for (const auto& [key, value] : first) {
      const bool same = std::ranges::all_of(
          pool.backends, [&, k = key, v = value](const Backend& one) { return one.health.value(k) == v; });
      if (!same) continue;
      pool.health.set(key, value);
      for (Backend& one : pool.backends) one.health.erase(key);
    }
  }
}

std::string Draft::toml() const {
  std::string out = root.toml("");
  for (const Listener& listener : listeners) {
    Table table = listener.table;
    std::string text = table.toml("[[listener]]");
    // The name and the addresses come first.
    const auto at = text.find("[[listener]]\n") + std::string_view("[[listener]]\n").size();
    text.insert(at, fmt::format("name = {}\nbind = {}\n", quoted_toml(listener.name),
                                listener.bind.size() == 1 ? quoted_toml(listener.bind[0])
                                                          : list_toml(listener.bind)));
    out += "\n" + text;
    for (const Table& route : listener.routes) out += "\n" + route.toml("[[listener.route]]");
  }
  for (const Pool& pool : pools) {
    std::string text = pool.table.toml("[[pool]]");
    const auto at = text.find("[[pool]]\n") + std::string_view("[[pool]]\n").size();
    text.insert(at, fmt::format("name = {}\n", quoted_toml(pool.name)));
    out += "\n" + text;
    if (!pool.health.empty()) out += "\n" + pool.health.toml("[pool.health]");
    for (const Backend& backend : pool.backends) {
      out += "\n" + backend.table.toml("[[pool.backend]]");
      if (!backend.health.empty()) out += backend.health.toml("[pool.backend.health]");
    }
  }
  return out;
}

}  // namespace weir::convert
