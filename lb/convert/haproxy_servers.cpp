// HAProxy's servers as backends.
#include "lb/convert/haproxy_servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "lb/base/address.h"
#include "lb/convert/network_words.h"

namespace weir::convert::haproxy {

namespace {

/// Of TLS, which Weir does not speak: with an argument or without.
bool is_of_tls_with_argument(std::string_view word) {
  return is_in({"sni", "verify", "verifyhost", "ca-file", "crt", "crl-file", "alpn", "npn", "ciphers",
                "ciphersuites", "ssl-min-ver", "ssl-max-ver", "check-sni", "check-alpn", "curves", "sigalgs"},
               word);
}
bool is_of_tls(std::string_view word) {
  return is_in(
      {"ssl", "no-ssl", "allow-0rtt", "no-ssl-reuse", "ssl-reuse", "tls-tickets", "no-tls-tickets",
       "force-tlsv12", "force-tlsv13", "no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13"},
      word);
}

std::string_view why_not(std::string_view word) {
  if (word == "maxqueue") return "pool.queue is how many may wait, for the whole pool";
  if (word == "agent-inter") return "the agent is asked every interval of [pool.backend.health]";
  if (word == "agent-addr" || word == "agent-send")
    return "the agent is asked at the backend's own address, and nothing is sent to it";
  if (is_in({"observe", "error-limit", "on-error"}, word))
    return "a failed connect brings a probe forward in Weir by itself; eject_after is for probe = \"none\"";
  if (word == "track")
    return "Weir probes each backend by itself: [pool.backend.health], with address for another's";
  if (word == "downinter") return "interval is for a backend that is down, too";
  if (word == "check-send-proxy") return "[pool.health] send_proxy is for probes of the backend's own port";
  return kNoEqual;
}

}  // namespace

std::string source_of(const Line& line, std::size_t at, std::string& why) {
  std::string text = line.word(at);
  if (const auto colon = text.find(':');
      colon != std::string::npos && text.find(':', colon + 1) == std::string::npos) {
    why = "source takes no port";
    text.erase(colon);
  }
  const auto address = network_of(text);
  if (line.word(at + 1) == "usesrc") why = "backends see Weir's address: send_proxy tells them the client's";
  if (address && !address->is_unix() && text.find('/') == std::string::npos) {
    const bool any = std::ranges::all_of(address->first(), [](std::uint8_t byte) { return byte == 0; });
    return any ? "" : address->to_string();
  }
  why = "source is an IP address of this host";
  return "";
}

void Servers::add(const Line& line, Table& notes) {
  Server server;
  server.line = line;
  const bool template_line = line.words[0] == "server-template", dispatch = line.words[0] == "dispatch";
  const std::size_t at = template_line ? 3 : dispatch ? 1 : 2;
  const auto address = server_address_of(line.word(at));
  if (!address) return comments_.add(notes, line, "left out: an address with a port is needed");
  server.backend.table.set("name", quoted_toml(name_of(dispatch ? "dispatch" : line.word(1))));
  server.backend.table.set("address", quoted_toml(*address));
  server.backend.probed = false;
  if (template_line)
    comments_.add(server.backend.table, line,
                  "all addresses of a name are one backend in Weir, and the first that "
                  "answers is used");
  for (const Line& defaults : defaults_) read(defaults, 1, server, notes);
  read(line, at + 1, server, server.backend.table);
  servers_.push_back(std::move(server));
}

void Servers::read(const Line& line, std::size_t i, Server& server, Table& notes) const {
  for (; i < line.words.size(); ++i)
    if (!read_health(line, i, server, notes) && !read_pools(line, i, server, notes))
      read_rest(line, i, server, notes);
}

void Servers::set_number(const Line& line, std::size_t& i, Table& to, const std::string& key,
                         unsigned long long most, Table& notes) const {
  const auto word = line.words[i], value = line.word(++i);
  if (number_in(value, 1, most))
    to.set(key, value);
  else
    notes.note(fmt::format("{}: {} is 1 to {}", comments_.place(line, word + " " + value), key, most));
}

bool Servers::read_health(const Line& line, std::size_t& i, Server& server, Table& notes) const {
  constexpr unsigned long long kMostInARow = 10'000, kMostPort = 65'535;
  const auto& word = line.words[i];
  Table& health = server.backend.health;
  if (word == "check" || word == "no-check") {
    server.backend.probed = word == "check";
  } else if (word == "inter" || word == "fastinter") {
    const auto value = duration_of(line.word(++i));
    if (value) health.set(word == "inter" ? "interval" : "fast_interval", *value);
    if (!value) notes.note(fmt::format("{}: a time is needed", comments_.place(line, word)));
  } else if (word == "rise" || word == "fall") {
    set_number(line, i, health, word, kMostInARow, notes);
  } else if (word == "port") {
    set_number(line, i, health, "port", kMostPort, notes);
  } else if (word == "agent-check" || word == "no-agent-check") {
    server.agent = word == "agent-check";
  } else if (word == "agent-port") {
    server.agent_port = line.word(++i);
  } else if (word == "addr") {
    server.check_address = line.word(++i);
  } else if (word == "check-ssl" || word == "no-check-ssl") {
    server.says_check_tls = true;
    server.check_tls = word == "check-ssl";
  } else {
    return false;
  }
  return true;
}

bool Servers::read_pools(const Line& line, std::size_t& i, Server& server, Table& notes) const {
  const auto& word = line.words[i];
  if (word == "send-proxy" || word == "send-proxy-v2") {
    server.send_proxy = quoted_toml(word == "send-proxy" ? "v1" : "v2");
  } else if (word == "no-send-proxy" || word == "no-send-proxy-v2") {
    server.send_proxy.clear();
  } else if (word == "slowstart") {
    server.slow_start = duration_of(line.word(++i)).value_or("");
  } else if (word == "on-marked-down") {
    server.closes = line.word(++i) == "shutdown-sessions";
  } else if (word == "source") {
    std::string why;
    server.source = source_of(line, i + 1, why);
    const bool more = line.word(i + 2) == "usesrc" || line.word(i + 2) == "interface";
    if (more && why.empty()) why = "interface has no equal";
    if (!why.empty())
      notes.note(fmt::format("{}: {}", comments_.place(line, "source " + line.word(i + 1)), why));
    i += more ? 3 : 1;
  } else {
    return false;
  }
  return true;
}

void Servers::read_rest(const Line& line, std::size_t& i, Server& server, Table& notes) const {
  constexpr unsigned long long kMostWeight = 256, kMostSessions = 1'000'000'000;
  const auto& word = line.words[i];
  Table& table = server.backend.table;
  if (word == "weight" && line.word(i + 1) == "0") {
    table.set("admin", quoted_toml("drained"));
    ++i;
  } else if (word == "weight") {
    set_number(line, i, table, "weight", kMostWeight, notes);
  } else if (word == "maxconn") {
    if (line.word(i + 1) == "0")
      ++i;
    else
      set_number(line, i, table, "max_sessions", kMostSessions, notes);
  } else if (word == "backup") {
    table.set("backup", "true");
  } else if (word == "disabled") {
    table.set("admin", quoted_toml("disabled"));
  } else if (is_in({"resolvers", "init-addr", "id"}, word)) {
    ++i;  // Weir follows names by itself
  } else if (is_of_tls(word) || is_of_tls_with_argument(word)) {
    if (word == "ssl") server.tls = true;
    if (word == "no-ssl") server.tls = false;
    const auto said = is_of_tls(word) ? word : word + " " + line.word(++i);
    notes.note(fmt::format("{}: Weir does not speak TLS, it passes on what the client sends",
                           comments_.place(line, said)));
  } else if (is_in({"maxqueue",
                    "minconn",
                    "downinter",
                    "cookie",
                    "track",
                    "observe",
                    "on-error",
                    "error-limit",
                    "agent-inter",
                    "agent-addr",
                    "agent-send",
                    "resolve-prefer",
                    "resolve-net",
                    "resolve-opts",
                    "namespace",
                    "tcp-ut",
                    "pool-max-conn",
                    "on-marked-up",
                    "proto",
                    "check-proto",
                    "shard",
                    "socks4",
                    "proxy-v2-options",
                    "set-proxy-v2-tlv-fmt",
                    "redir",
                    "log-proto",
                    "max-reuse"},
                   word)) {
    const auto said = word + " " + line.word(++i);
    notes.note(fmt::format("{}: {}", comments_.place(line, said), why_not(word)));
  } else if (!is_in({"enabled", "non-stick", "stick", "no-backup"}, word)) {
    notes.note(fmt::format("{}: {}", comments_.place(line, word), why_not(word)));
  }
}

bool Servers::is_checked_over_tls(const Server& server) {
  return server.says_check_tls ? server.check_tls : server.tls;
}

void Servers::ask_over_tls(Server& server, const std::string& probe) const {
  Table& health = server.backend.health;
  if (probe == "\"http\"") {
    health.set("https", "true");
  } else if (probe.empty() || probe == "\"tcp\"") {
    health.set("probe", quoted_toml("tls"));
    health.set("verify", "false");
  } else if (probe != "\"tls\"" && probe != "\"exec\"") {
    server.backend.table.note(
        fmt::format("{}: it is checked over TLS there; Weir's probe of that kind speaks plainly: "
                    "[pool.backend.health] probe = \"tls\" is a handshake",
                    comments_.place(server.line, server.line.word(1))));
  }
}

bool Servers::checked_over_tls() const {
  bool any = false;
  for (const Server& one : servers_) {
    if (!one.backend.probed) continue;
    any = true;
    if (!is_checked_over_tls(one)) return false;
  }
  return any;
}

bool Servers::limited() const {
  return std::ranges::any_of(servers_,
                             [](const Server& one) { return one.backend.table.has("max_sessions"); });
}

void Servers::settle_health(Server& server, bool has_timeout) const {
  Table& health = server.backend.health;
  Table& notes = server.backend.table;
  if (server.agent && number_in(server.agent_port, 1, 65'535))
    health.set("agent_port", server.agent_port);
  else if (server.agent || !server.agent_port.empty())
    notes.note(fmt::format("{}: agent_port needs both: agent-check, and a port",
                           comments_.place(server.line, "agent-check")));
  if (!server.backend.probed) return;
  // HAProxy gives a check as long as the next one is away, and confirms a verdict no faster than it asks.
  constexpr unsigned long long kInterval = 2'000;
  const auto interval = health.has("interval") ? health.value("interval") : duration_toml(kInterval);
  if (!has_timeout) health.set("timeout", interval);
  if (!health.has("fast_interval")) health.set("fast_interval", interval);
  if (server.check_address.empty()) return;
  const auto own = server.backend.table.value("address");
  const auto port = health.has("port") ? health.value("port")
                                       : own.substr(own.rfind(':') + 1, own.size() - own.rfind(':') - 2);
  const bool v6 = server.check_address.find(':') != std::string::npos;
  const auto address = fmt::format("{}{}{}:{}", v6 ? "[" : "", server.check_address, v6 ? "]" : "", port);
  if (!Address::parse_ip_port(address)) {
    notes.note(fmt::format("{}: address is an IP address, and no name",
                           comments_.place(server.line, "addr " + server.check_address)));
    return;
  }
  health.set("address", quoted_toml(address));
  health.erase("port");
}

void Servers::write(Pool& pool, bool has_timeout, bool all_backups) const {
  const bool pool_tls = checked_over_tls();
  std::vector<Backend> backends;
  for (Server server : servers_) {
    settle_health(server, has_timeout);
    if (server.backend.probed && !pool_tls && is_checked_over_tls(server))
      ask_over_tls(server, pool.health.value("probe"));
    backends.push_back(std::move(server.backend));
  }
  write_common(pool, backends, all_backups);
  std::ranges::move(backends, std::back_inserter(pool.backends));
}

void Servers::write_common(Pool& pool, std::vector<Backend>& backends, bool all_backups) const {
  const auto of_all = [&](const std::string& key, std::string_view theirs, auto value) {
    const auto first = std::ranges::find_if(servers_, [&](const Server& one) { return !value(one).empty(); });
    if (first == servers_.end()) return;
    pool.table.set(key, value(*first));
    const bool same =
        std::ranges::all_of(servers_, [&](const Server& one) { return value(one) == value(*first); });
    for (std::size_t i = 0; i < servers_.size() && !same; ++i)
      if (!value(servers_[i]).empty())
        backends[i].table.note(fmt::format(
            "{}: of this server alone there; here {} is of the whole pool",
            comments_.place(servers_[i].line, value(servers_[i]) == "\"v2\"" ? "send-proxy-v2" : theirs),
            key));
  };
  of_all("send_proxy", "send-proxy", [](const Server& one) { return one.send_proxy; });
  of_all("slow_start", "slowstart", [](const Server& one) { return one.slow_start; });
  of_all("source", "source",
         [](const Server& one) { return one.source.empty() ? "" : quoted_toml(one.source); });
  const auto closing = std::ranges::count_if(servers_, &Server::closes);
  if (closing > 0 && closing == std::ssize(servers_)) pool.table.set("on_backend_down", quoted_toml("close"));
  for (std::size_t i = 0; i < servers_.size() && closing < std::ssize(servers_); ++i)
    if (servers_[i].closes)
      backends[i].table.note(
          fmt::format("{}: left out: of this server alone there; on_backend_down is of the whole pool",
                      comments_.place(servers_[i].line, "on-marked-down shutdown-sessions")));
  const auto backups =
      std::ranges::count_if(servers_, [](const Server& one) { return one.backend.table.has("backup"); });
  if (backups > 1 && !all_backups)
    pool.table.note(fmt::format("{}: {}: the first backup that is up serves alone there, here all of them do",
                                comments_.file(), pool.name));
}

}  // namespace weir::convert::haproxy
