// HAProxy's sections, and what its frontends ask for.
#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/haproxy_reader.h"

namespace weir::convert {
namespace haproxy {

namespace {

bool is_silent(const std::string& key) {
  // Read elsewhere, or what Weir does anyway.
  return key == "mode" || key == "acl" || key == "log" || key == "description";
}

void add_bind(Listener& listener, std::string address) {
  if (std::ranges::find(listener.bind, address) == listener.bind.end())
    listener.bind.push_back(std::move(address));
}

void append_acl(Acl& acl, const std::vector<std::string>& words) {
  if (words.empty()) return;
  const auto& fetch = words[0];
  bool ends = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "-m" && i + 1 < words.size()) {
      ends = words[++i] == "end";
    } else if (words[i] == "-i" || words[i] == "--") {
      continue;
    } else if (fetch == "src") {
      acl.networks.push_back(words[i]);
      acl.whole = acl.whole && is_network(words[i]);
    } else if (fetch.starts_with("req_ssl_sni") || fetch.starts_with("req.ssl_sni")) {
      acl.names.push_back(ends && words[i].starts_with('.') ? "*" + words[i] : words[i]);
    } else {
      acl.whole = false;
    }
  }
}

}  // namespace

Reader::Reader(std::string_view text, std::string_view name) : name_(name) {
  std::vector<Line> defaults;
  for (const Section& section : sections_of(text)) {
    const auto& kind = section.head.words[0];
    if (kind == "global") {
      for (const Line& line : section.lines) global(line);
    } else if (kind == "defaults") {
      defaults = section.lines;
    } else if (kind == "frontend" || kind == "backend" || kind == "listen") {
      proxy(section, defaults);
    } else {
      draft_.root.note(fmt::format("{}:{}: section {}: Weir has nothing like it{}", name_,
                                   section.head.number, section.head.text(),
                                   kind == "resolvers" ? "; it follows names by itself" : ""));
    }
  }
}

void Reader::none(Table& at, const Line& line, std::string_view instead) const {
  at.note(fmt::format("{}:{}: {}: {}", name_, line.number, line.text(), instead));
}

void Reader::global(const Line& line) {
  const auto& key = line.words[0];
  if (key == "maxconn" && line.word(1).find_first_not_of("0123456789") == std::string::npos &&
      line.word(1) != "0")
    draft_.root.set("max_connections", line.word(1));
  else if (key == "nbthread")
    draft_.root.set("workers", line.word(1));
  else if (key == "daemon" || key == "user" || key == "group" || key == "chroot" || key == "pidfile")
    none(draft_.root, line, "the service manager does that (weir.service)");
  else if (key == "log")
    none(draft_.root, line, "[log] access and daemon = \"syslog:\"");
  else if (key == "stats")
    none(draft_.root, line, "[admin] socket, and weir status");
  else
    none(draft_.root, line);
}

void Reader::proxy(const Section& section, const std::vector<Line>& defaults) {
  const auto& kind = section.head.words[0];
  const auto name = name_of(section.head.word(1));
  Listener listener{name, {}, {}, {}};
  Pool pool{name, {}, {}, {}};
  Proxy now;
  if (kind != "backend") now.listener = &listener;
  if (kind != "frontend") now.pool = &pool;
  Table& first = now.listener != nullptr ? listener.table : pool.table;
  std::vector<Line> lines = defaults;
  lines.insert(lines.end(), section.lines.begin(), section.lines.end());
  const auto own = section.lines.empty() ? 0 : section.lines.front().number;
  std::string mode = "tcp";
  for (const Line& line : lines) {
    if (line.words[0] == "mode") mode = line.word(1);
    if (line.words[0] == "acl") add_acl(now, line);
  }
  if (mode != "tcp")
    first.note(
        fmt::format("{}:{}: mode {}: Weir passes on bytes and does not look into them; what follows is "
                    "the section as mode tcp",
                    name_, section.head.number, mode));
  for (const Line& line : lines) {
    // What is said of all sections is no fault of this one.
    inherited_ = line.number < own || own == 0;
    if (now.listener != nullptr && of_listener(now, line)) continue;
    if (now.pool != nullptr && of_pool(now, line)) continue;
    if (!inherited_ && !is_silent(line.words[0])) none(first, line);
  }
  if (now.listener != nullptr) {
    if (now.pool != nullptr) listener.table.set("pool", quoted_toml(name));
    draft_.listeners.push_back(std::move(listener));
  }
  if (now.pool == nullptr) return;
  if (!now.serves)
    pool.table.note(fmt::format("{}:{}: {} has no server that Weir could use", name_, section.head.number,
                                section.head.text()));
  draft_.pools.push_back(std::move(pool));
}

void Reader::add_acl(Proxy& now, const Line& line) {
  auto& acl = now.acls[line.word(1)];
  append_acl(acl,
             {line.words.begin() + std::min<std::ptrdiff_t>(2, std::ssize(line.words)), line.words.end()});
}

std::optional<Acl> Reader::condition_of(const Proxy& now, const Line& line, std::size_t at, bool& negated) {
  if (at >= line.words.size() || (line.words[at] != "if" && line.words[at] != "unless")) return std::nullopt;
  negated = line.words[at] == "unless";
  std::vector<std::string> rest(line.words.begin() + static_cast<std::ptrdiff_t>(at) + 1, line.words.end());
  if (!rest.empty() && rest[0].starts_with('!')) {
    negated = !negated;
    rest[0].erase(0, 1);
    if (rest[0].empty()) rest.erase(rest.begin());
  }
  if (rest.size() == 1) {
    const auto found = now.acls.find(rest[0]);
    return found != now.acls.end() && found->second.whole ? std::optional(found->second) : std::nullopt;
  }
  if (rest.size() < 3 || rest.front() != "{" || rest.back() != "}") return std::nullopt;
  Acl acl;
  append_acl(acl, {rest.begin() + 1, rest.end() - 1});
  return acl.whole ? std::optional(acl) : std::nullopt;
}

void Reader::bind(Proxy& now, const Line& line) {
  Table& table = now.listener->table;
  std::string all = line.word(1);
  for (std::size_t begin = 0; begin <= all.size();) {
    const auto end = std::min(all.find(',', begin), all.size());
    const auto address = address_of(all.substr(begin, end - begin), "0.0.0.0");
    if (address)
      add_bind(*now.listener, *address);
    else
      none(table, line, "an address with one port is needed");
    begin = end + 1;
  }
  for (std::size_t i = 2; i < line.words.size(); ++i) {
    const auto& word = line.words[i];
    if (word == "accept-proxy") {
      table.set("proxy_from", list_toml({"0.0.0.0/0", "::/0"}));
      none(table, line, "proxy_from should name the balancer in front alone");
    } else if (word == "mode") {
      auto mode = line.word(++i);
      if (mode.size() == 3) mode.insert(0, "0");
      table.set("mode", quoted_toml(mode));
    } else if (word == "user" || word == "group") {
      table.set(word == "user" ? "owner" : "group", quoted_toml(line.word(++i)));
    } else if (word == "maxconn") {
      table.set("max_connections", line.word(++i));
    } else if (word == "ssl" || word == "crt" || word == "alpn" || word == "ca-file" || word == "verify" ||
               word == "ciphers" || word == "ssl-min-ver") {
      none(table, line, "Weir does not speak TLS: it passes it on, and the servers answer it");
      break;
    } else if (word == "name" || word == "backlog" || word == "id" || word == "process" || word == "thread") {
      ++i;
    } else if (word != "v4v6" && word != "defer-accept" && word != "tfo" && word != "v6only") {
      none(table, line, fmt::format("{} has no equal", word));
    }
    if (word == "v4v6" && !now.listener->bind.empty() && now.listener->bind.back().starts_with("[::]"))
      add_bind(*now.listener, "0.0.0.0" + now.listener->bind.back().substr(4));
  }
}

bool Reader::of_listener(Proxy& now, const Line& line) {
  const auto& key = line.words[0];
  Table& table = now.listener->table;
  bool negated = false;
  if (key == "bind") {
    bind(now, line);
  } else if (key == "maxconn") {
    table.set("max_connections", line.word(1));
  } else if (key == "default_backend") {
    table.set("pool", quoted_toml(name_of(line.word(1))));
  } else if (key == "use_backend") {
    const auto acl = condition_of(now, line, 2, negated);
    if (!acl || negated || (acl->networks.empty() == acl->names.empty())) {
      none(table, line, "a route is by one list of names (sni) or of networks (client)");
      return true;
    }
    Table route;
    if (!acl->names.empty()) route.set("sni", list_toml(acl->names));
    if (!acl->networks.empty()) route.set("client", list_toml(acl->networks));
    route.set("pool", quoted_toml(name_of(line.word(1))));
    now.listener->routes.push_back(std::move(route));
  } else if (key == "tcp-request") {
    if (line.word(1) == "inspect-delay") {
      if (const auto delay = duration_of(line.word(2))) table.set("header_timeout", *delay);
      return true;
    }
    const auto acl = condition_of(now, line, 3, negated);
    if (line.word(2) == "accept" && (!acl || acl->networks.empty()) &&
        line.text().find("ssl_hello") != std::string::npos)
      return true;  // Weir waits for the names by itself
    if (!acl || acl->networks.empty() || (line.word(2) != "reject" && line.word(2) != "accept"))
      none(table, line, "allow and deny are by networks");
    else
      table.set((line.word(2) == "reject") != negated ? "deny" : "allow", list_toml(acl->networks));
  } else if (now.pool == nullptr && key == "timeout" && !inherited_) {
    none(table, line, "idle_timeout and half_close_timeout are a pool's");
  } else {
    return now.pool == nullptr && key == "option" && is_usual_option(line.word(1));
  }
  return true;
}

}  // namespace haproxy

Draft from_haproxy(std::string_view text, std::string_view name) {
  return haproxy::Reader(text, name).take();
}

}  // namespace weir::convert
