// What HAProxy's frontends ask for.
#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/haproxy_reader.h"

namespace weir::convert::haproxy {

namespace {

constexpr unsigned long long kMostSessions = 1'000'000'000;

/// Of TLS, with an argument.
bool is_of_tls_with_argument(std::string_view word) {
  return is_in(
      {"crt", "alpn", "npn", "ca-file", "ca-verify-file", "verify", "ciphers", "ciphersuites", "ssl-min-ver",
       "ssl-max-ver", "crl-file", "curves", "ecdhe", "crt-list", "ca-sign-file", "tls-ticket-keys"},
      word);
}

void add_new(std::vector<std::string>& to, const std::string& address) {
  if (std::ranges::find(to, address) == to.end()) to.push_back(address);
}

bool is_file_mode(const std::string& text) {
  const auto digits = text.size() == 4 && text[0] == '0' ? text.substr(1) : text;
  return digits.size() == 3 && digits.find_first_not_of("01234567") == std::string::npos;
}

/// Of the file of a unix socket.
void set_rights(const std::string& mode, const std::string& owner, const std::string& group, Listener& to) {
  const bool has_file =
      std::ranges::any_of(to.bind, [](const std::string& one) { return one.starts_with("unix:/"); });
  if (!has_file) return;
  if (!mode.empty()) to.table.set("mode", quoted_toml(mode.size() == 3 ? "0" + mode : mode));
  if (!owner.empty()) to.table.set("owner", quoted_toml(owner));
  if (!group.empty()) to.table.set("group", quoted_toml(group));
}

/// What a route asks for; nothing where it would have to ask for two of a kind, or for none of something.
std::optional<Route> route_of(const std::vector<Term>& all) {
  Route out;
  for (const Term& term : all) {
    if (term.of == Term::Of::Always && !term.negated) continue;
    if (term.of == Term::Of::Hello && !term.negated) continue;
    auto& to = term.of == Term::Of::Name       ? out.names
               : term.of == Term::Of::Protocol ? out.protocols
                                               : out.clients;
    const bool is_asked_for = term.of == Term::Of::Source || &to != &out.clients;
    if (term.negated || !to.empty() || !term.file.empty() || !is_asked_for) return std::nullopt;
    to = term.values;
    for (const Network& network : term.networks) to.push_back(network.to_string());
    if (to.empty()) return std::nullopt;
    if (!term.remark.empty()) out.notes.push_back(term.remark);
  }
  return out;
}

}  // namespace

void Reader::bind(Proxy& now, const Line& line) {
  Table& table = now.listener.table;
  Door door;
  door.line = line.number;
  bool only_v6 = false, tls = false;
  for (std::size_t i = 2; i < line.words.size(); ++i) {
    const auto& word = line.words[i];
    if (word == "accept-proxy") {
      door.proxy = true;
      comments_.add(table, line, "proxy_from should name the balancer in front alone");
    } else if (word == "mode") {
      door.mode = line.word(++i);
      if (is_file_mode(door.mode)) continue;
      comments_.add(table, line, fmt::format("mode {}: mode is octal, like \"0660\"", door.mode));
      door.mode.clear();
    } else if (is_in({"user", "uid"}, word)) {
      door.owner = line.word(++i);
    } else if (is_in({"group", "gid"}, word)) {
      door.group = line.word(++i);
    } else if (word == "maxconn" && number_in(line.word(i + 1), 1, kMostSessions)) {
      door.most = line.word(++i);
    } else if (word == "ssl" || is_of_tls_with_argument(word)) {
      tls = true;
      if (word != "ssl") ++i;
    } else if (word == "v6only") {
      only_v6 = true;
    } else if (is_in({"name", "backlog", "id", "process", "thread", "nice", "shards"}, word)) {
      ++i;
    } else if (is_in({"interface", "mss", "tcp-ut", "namespace", "proto", "level", "maxconn",
                      "severity-output"},
                     word)) {
      comments_.add(table, line, fmt::format("{} {} has no equal", word, line.word(i + 1)));
      ++i;
    } else if (!is_in({"v4v6", "defer-accept", "tfo"}, word)) {
      comments_.add(table, line, fmt::format("{} has no equal", word));
    }
  }
  if (tls) comments_.add(table, line, "Weir does not speak TLS: it passes it on, and the servers answer it");
  const std::string all = line.word(1);
  for (std::size_t begin = 0; begin <= all.size();) {
    const auto end = std::min(all.find(',', begin), all.size());
    const auto text = all.substr(begin, end - begin);
    const auto addresses = binds_of(text, only_v6);
    if (addresses.empty())
      comments_.add(table, line, fmt::format("{} is left out: an IP address with a port is needed", text));
    for (const auto& address : addresses) add_new(door.addresses, address);
    begin = end + 1;
  }
  const auto same = std::ranges::find_if(now.doors, [&](const Door& other) {
    return other.proxy == door.proxy && other.mode == door.mode && other.owner == door.owner &&
           other.group == door.group && other.most == door.most && door.most.empty();
  });
  if (same == now.doors.end()) return now.doors.push_back(std::move(door));
  for (const auto& address : door.addresses) add_new(same->addresses, address);
}

void Reader::use_backend(Proxy& now, const Line& line) {
  Table& table = now.listener.table;
  if (now.always)
    return comments_.add(table, line, fmt::format("left out: line {} decides before it", now.always->number));
  if (line.word(1).find('%') != std::string::npos)
    return comments_.add(table, line, "left out: a route names its pool");
  const Condition condition = now.conditions.read(line, 2);
  const auto pool = name_of(line.word(1));
  if (condition.always()) {
    now.always = line;
    now.listener.pool = pool;
    return;
  }
  std::vector<Route> routes;
  if (!condition.understood())
    return comments_.add(table, line, fmt::format("left out: {}", condition.why_not));
  for (const auto& all : condition.any) {
    auto route = route_of(all);
    if (!route || (route->names.empty() && route->protocols.empty() && route->clients.empty()))
      return comments_.add(table, line,
                           "left out: a route is by names (sni), protocols (alpn) and networks (client), "
                           "of which all that are given must fit, and none by what does not");
    for (auto& note : route->notes) note = fmt::format("{}: {}", comments_.place(line), note);
    route->pool = pool;
    routes.push_back(std::move(*route));
  }
  now.names_in_use.insert(condition.names.begin(), condition.names.end());
  now.listener.routes.insert(now.listener.routes.end(), routes.begin(), routes.end());
}

bool Reader::of_listener(Proxy& now, const Line& line) {
  const auto& key = line.words[0];
  Table& table = now.listener.table;
  if (key == "bind") {
    bind(now, line);
  } else if (key == "maxconn" && number_in(line.word(1), 1, kMostSessions)) {
    table.set("max_connections", line.word(1));
  } else if (key == "default_backend") {
    if (!now.always) now.listener.pool = name_of(line.word(1));
  } else if (key == "use_backend") {
    use_backend(now, line);
  } else if (key == "tcp-request") {
    now.rules.add(line, now.conditions);
  } else if (key == "rate-limit" && line.word(1) == "sessions" && number_in(line.word(2), 1, 9'999'999)) {
    table.set("new_sessions", quoted_toml(line.word(2) + "/s"));
  } else {
    return false;
  }
  return true;
}

void Reader::finish_listener(Proxy& now) {
  Listener& whole = now.listener;
  if (now.serves && whole.pool.empty() && !now.servers.empty()) whole.pool = whole.name;
  if (now.doors.empty()) now.doors.emplace_back();
  for (const Door& door : now.doors) {
    Listener out = whole;
    const bool first = &door == &now.doors.front();
    if (!first) out.name += fmt::format("-{}", door.line);
    out.bind = door.addresses;
    Table& table = out.table;
    now.rules.write(table, out.on_unix());
    if (table.has("burst") && table.has("new_sessions"))
      table.note(fmt::format("{}: {}: burst is for both rates", name_, whole.name));
    if (door.proxy) table.set("proxy_from", list_toml({"0.0.0.0/0", "::/0"}));
    set_rights(door.mode, door.owner, door.group, out);
    if (const auto own = number_in(door.most, 1, kMostSessions)) {
      const auto others = number_in(table.value("max_connections"), 1, kMostSessions);
      table.set("max_connections", std::to_string(std::min(*own, others.value_or(*own))));
    }
    if (first && now.doors.size() > 1) {
      for (const char* key :
           {"max_connections", "new_sessions", "sessions_per_client", "new_sessions_per_client"})
        if (table.has(key))
          table.note(
              fmt::format("{}: {}: {} is for each of its listeners by itself here", name_, whole.name, key));
    } else if (!first) {
      Table keys;  // what is left out is said at the first
      for (const auto& [key, value] : table.keys()) keys.set(key, value);
      table = keys;
    }
    if (door.proxy && now.rules.asks_before_header())
      table.note(fmt::format(
          "{}:{}: accept-proxy: \"tcp-request connection\" is for the balancer in front there; here allow "
          "and deny are for the client that it announces, and proxy_from for the balancer",
          name_, door.line));
    listener_times_[out.name] = now.times;
    draft_.listeners.push_back(std::move(out));
  }
}

}  // namespace weir::convert::haproxy
