// Where nginx's "proxy_pass" leads: an upstream, an address, or what a map says.
#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/network_words.h"
#include "lb/convert/nginx_reader.h"

namespace weir::convert::nginx {

namespace {

enum class Source { None, Name, Protocols, Client };

Source source_of(const Directive& of) {
  if (of.word(0) == "geo" && of.words.size() == 2) return Source::Client;
  const auto variable = of.word(1);
  if (variable == "$remote_addr") return Source::Client;
  if (of.word(0) == "geo") return Source::None;
  if (variable == "$ssl_preread_server_name") return Source::Name;
  return variable == "$ssl_preread_alpn_protocols" ? Source::Protocols : Source::None;
}

/// The protocol of an expression for one whole word, `~\bh2\b`; "" for another.
std::string whole_word_of(std::string_view expression) {
  constexpr std::string_view kBegin = "~\\b", kEnd = "\\b";
  if (!expression.starts_with(kBegin) || !expression.ends_with(kEnd) ||
      expression.size() <= kBegin.size() + kEnd.size())
    return "";
  const auto word = expression.substr(kBegin.size(), expression.size() - kBegin.size() - kEnd.size());
  return word.find_first_of("\\^$*+?()[]{}|") == word.npos ? std::string(word) : "";
}

constexpr std::size_t kLongest = 1'000;  ///< than any name, and any number of bits

}  // namespace

std::optional<Reader::Choice> Reader::choice(Table& notes, const Directive& map, const Directive& entry,
                                             bool hostnames) {
  Choice out;
  out.entry = &entry;
  const auto from = entry.word(0);
  const Source source = source_of(map);
  const auto refuse = [&](std::string_view why) {
    note(notes, entry, why);
    return std::nullopt;
  };
  if (source == Source::Client) {
    const auto network = network_of(from);
    const bool range = map.word(0) == "map" && from.find('/') != std::string::npos;
    if (!network || range) return refuse("left out: client is a network");
    out.rank = kLongest - network->bits();
    out.route.clients = {network->to_string()};
    return out;
  }
  if (source == Source::Protocols) {
    const auto word = whole_word_of(from);
    if (word.empty() && (from.starts_with('~') || from.find(',') != std::string::npos))
      return refuse("left out: alpn is one whole protocol of those that a client offers");
    out.rank = word.empty() ? 0 : 1;
    out.route.protocols = {word.empty() ? from : word};
    if (word.empty())
      out.route.notes.push_back(
          fmt::format("{}:{}: {}: there the whole list that a client offers is compared, here each "
                      "protocol of it",
                      name_, entry.line, entry.written));
    return out;
  }
  if (from.starts_with('~') || from.ends_with('*'))
    return refuse("left out: a name is whole, or \"*.\" and its end");
  const bool wild = from.starts_with('.') || from.starts_with("*.");
  if (wild && !hostnames)
    return refuse("left out: without \"hostnames\" it is a name of its own there, which no client asks for");
  const auto name = from.starts_with('.') ? "*" + from : from;
  if (!is_server_name(name)) return refuse("left out: it is no name of a TLS server");
  out.rank = wild ? kLongest - name.size() : 0;
  out.route.names = from.starts_with('.') ? std::vector{from.substr(1), name} : std::vector{name};
  return out;
}

void Reader::routes(Listener& listener, const Directive& map, const Terms& terms, std::size_t line) {
  const auto is_word = [&](std::string_view word) {
    return std::ranges::any_of(
        map.block, [&](const Directive& one) { return one.words.size() == 1 && one.word(0) == word; });
  };
  const bool hostnames = is_word("hostnames");
  std::vector<Choice> choices;
  const Directive* nobody = nullptr;
  std::string others;
  for (const Directive& entry : map.block) {
    const auto from = entry.word(0), to = entry.word(1);
    if (entry.words.size() == 1 && (from == "hostnames" || from == "volatile")) continue;
    if (entry.words.size() == 1 || from == "include" || from == "delete" || from == "proxy" ||
        (from == "default" && to.empty())) {
      if (from != "default") note(listener.table, entry, "left out: it is not read");
    } else if (from == "default") {
      others = to;
      listener.pool = pool_of(to, terms, line);
      if (listener.pool.empty())
        note(listener.table, entry, "left out: a pool is an upstream or an address; others are refused");
    } else if (from.empty()) {
      nobody = &entry;
    } else if (auto one = choice(listener.table, map, entry, hostnames)) {
      one->route.pool = pool_of(to, terms, line);
      if (one->route.pool.empty())
        note(listener.table, entry, "left out: a pool is an upstream or an address");
      else
        choices.push_back(std::move(*one));
    }
  }
  if (nobody != nullptr && nobody->word(1) != others)
    note(listener.table, *nobody, "left out: who asks for nothing takes the listener's pool");
  std::ranges::stable_sort(choices, {}, &Choice::rank);
  for (Choice& one : choices) listener.routes.push_back(std::move(one.route));
}

bool Reader::pass(Listener& listener, const Directive& one, const Terms& terms) {
  const auto to = one.word(1);
  if (const auto map = variables_.find(to); map != variables_.end()) {
    if (source_of(map->second) == Source::None) return false;
    variables_used_.insert(to);
    routes(listener, map->second, terms, one.line);
    listener.name = name_of(!listener.pool.empty()     ? listener.pool
                            : !listener.routes.empty() ? listener.routes.front().pool
                                                       : fmt::format("line-{}", one.line));
    return true;
  }
  if (to.find('$') != std::string::npos) return false;
  listener.pool = pool_of(to, terms, one.line);
  listener.name = listener.pool;
  return !listener.pool.empty();
}

}  // namespace weir::convert::nginx
