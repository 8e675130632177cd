#include "lb/convert/draft.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::convert {

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

void Table::note(const std::string& text) {
  if (std::ranges::find(notes_, text) == notes_.end()) notes_.push_back(text);
}

std::string Table::toml(std::string_view header) const {
  std::string out;
  for (const auto& note : notes_) out += "# " + comment_of(note) + "\n";
  if (!header.empty()) out += fmt::format("{}\n", header);
  std::size_t widest = 0;
  for (const auto& [key, value] : keys_) widest = std::max(widest, key.size());
  for (const auto& [key, value] : keys_) out += fmt::format("{:<{}} = {}\n", key, widest, value);
  return out;
}

bool Listener::on_unix() const {
  return std::ranges::any_of(bind, [](const std::string& address) { return address.starts_with("unix:"); });
}

Pool* Draft::pool(std::string_view name) {
  const auto found = std::ranges::find(pools, name, &Pool::name);
  return found != pools.end() ? &*found : nullptr;
}

namespace {

std::string toml_of(const Route& route) {
  Table table;
  for (const auto& note : route.notes) table.note(note);
  if (!route.names.empty()) table.set("sni", list_toml(route.names));
  if (!route.protocols.empty()) table.set("alpn", list_toml(route.protocols));
  if (!route.clients.empty()) table.set("client", list_toml(route.clients));
  table.set("pool", quoted_toml(route.pool));
  return table.toml("[[listener.route]]");
}

/// With these lines first, behind the header.
std::string led_by(std::string text, std::string_view header, const std::string& lines) {
  const auto at = text.find(fmt::format("{}\n", header)) + header.size() + 1;
  return text.insert(at, lines);
}

std::string toml_of(const Listener& listener) {
  Table table;
  for (const auto& note : listener.table.notes()) table.note(note);
  if (!listener.pool.empty()) table.set("pool", quoted_toml(listener.pool));
  for (const auto& [key, value] : listener.table.keys()) table.set(key, value);
  const auto bind = listener.bind.size() == 1 ? quoted_toml(listener.bind[0]) : list_toml(listener.bind);
  std::string out = led_by(table.toml("[[listener]]"), "[[listener]]",
                           fmt::format("name = {}\nbind = {}\n", quoted_toml(listener.name), bind));
  for (const Route& route : listener.routes) out += "\n" + toml_of(route);
  return out;
}

std::string toml_of(const Pool& pool) {
  std::string out =
      led_by(pool.table.toml("[[pool]]"), "[[pool]]", fmt::format("name = {}\n", quoted_toml(pool.name)));
  if (!pool.health.empty()) out += "\n" + pool.health.toml("[pool.health]");
  for (const Backend& backend : pool.backends) {
    out += "\n" + backend.table.toml("[[pool.backend]]");
    if (!backend.health.empty()) out += backend.health.toml("[pool.backend.health]");
  }
  return out;
}

}  // namespace

std::string Draft::toml() const {
  std::string out = root.toml("");
  for (const Listener& listener : listeners) out += "\n" + toml_of(listener);
  for (const Pool& pool : pools) out += "\n" + toml_of(pool);
  return out;
}

}  // namespace weir::convert
