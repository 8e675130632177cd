// What HAProxy's backends and their servers ask for.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "lb/convert/haproxy_reader.h"

namespace weir::convert::haproxy {

bool Reader::timeout(Proxy& now, const Line& line) {
  const auto which = line.word(1);
  const auto time = duration_of(line.word(2));
  if (!time) {
    none(now.pool->table, line, "a time of zero or without end has no equal");
    return true;
  }
  if (which == "connect") {
    now.pool->table.set("connect_timeout", *time);
  } else if (which == "queue") {
    now.pool->table.set("queue_timeout", *time);
  } else if (which == "server" || which == "tunnel") {
    now.pool->table.set("idle_timeout", *time);
  } else if (which == "client") {
    if (!now.pool->table.has("idle_timeout")) now.pool->table.set("idle_timeout", *time);
  } else if (which == "client-fin" || which == "server-fin") {
    now.pool->table.set("half_close_timeout", *time);
  } else if (which == "check") {
    now.pool->health.set("timeout", *time);
  } else {
    return which == "http-request" || which == "http-keep-alive";
  }
  return true;
}

void Reader::balance(Proxy& now, const Line& line) {
  static const std::map<std::string, std::string> kEqual{
      {"roundrobin", "round_robin"},      {"static-rr", "round_robin"},
      {"leastconn", "least_connections"}, {"first", "first"},
      {"source", "source_hash"},          {"random", "random_two"}};
  const auto algorithm = line.word(1).substr(0, line.word(1).find('('));
  const auto found = kEqual.find(algorithm);
  if (found != kEqual.end())
    now.pool->table.set("balance", quoted_toml(found->second));
  else
    none(now.pool->table, line, "round_robin is used: what a client asks for is not looked into");
}

bool Reader::is_usual_option(const std::string& name) {
  constexpr std::string_view kUsual[] = {"tcpka",       "clitcpka",   "srvtcpka",    "tcplog",
                                         "dontlognull", "redispatch", "splice-auto", "log-health-checks"};
  return std::ranges::find(kUsual, name) != std::end(kUsual);
}

bool Reader::option(Proxy& now, const Line& line) {
  static const std::map<std::string, std::string> kProbes{
      {"redis-check", "redis"}, {"mysql-check", "mysql"}, {"pgsql-check", "postgres"}, {"smtpchk", "smtp"},
      {"httpchk", "http"},      {"ssl-hello-chk", "tls"}, {"tcp-check", "tcp"}};
  Table& health = now.pool->health;
  const auto which = line.word(1);
  const auto found = kProbes.find(which);
  if (found == kProbes.end()) return is_usual_option(which);
  health.set("probe", quoted_toml(found->second));
  if (which == "httpchk" && line.words.size() > 2) {
    const auto path = line.words.size() == 3 ? line.word(2) : line.word(3);
    if (path.starts_with('/')) health.set("path", quoted_toml(path));
  }
  if (const auto user = std::ranges::find(line.words, "user");
      user != line.words.end() && user + 1 != line.words.end() &&
      (which == "mysql-check" || which == "pgsql-check"))
    health.set("user", quoted_toml(*(user + 1)));
  return true;
}

bool Reader::of_pool(Proxy& now, const Line& line) {
  const auto& key = line.words[0];
  Table& health = now.pool->health;
  if (key == "server") {
    server(now, line);
  } else if (key == "default-server") {
    now.server_defaults.insert(now.server_defaults.end(), line.words.begin() + 1, line.words.end());
  } else if (key == "balance") {
    balance(now, line);
  } else if (key == "timeout") {
    return timeout(now, line);
  } else if (key == "retries") {
    unsigned retries = 0;
    const auto text = line.word(1);
    std::from_chars(text.data(), text.data() + text.size(), retries);
    now.pool->table.set("connect_attempts", std::to_string(std::min(retries, 999U) + 1));
  } else if (key == "option") {
    return option(now, line);
  } else if (key == "tcp-check" && (line.word(1) == "send" || line.word(1) == "expect")) {
    health.set("probe", quoted_toml("expect"));
    const bool sends = line.word(1) == "send";
    if (!sends && line.word(2) != "string" && line.word(2) != "rstring")
      none(now.pool->table, line, "expect is a text");
    else if (health.has(sends ? "send" : "expect"))
      none(now.pool->table, line, "several of them are [[pool.health.steps]]");
    else
      health.set(sends ? "send" : "expect", quoted_toml(line.word(sends ? 2 : 3)));
  } else if ((key == "tcp-check" && line.word(1) == "connect") || key == "hash-type") {
    return true;  // Weir connects, and its hash is consistent
  } else if (key == "http-check" && line.word(1) == "expect" && line.word(2) == "status") {
    health.set("status", quoted_toml(line.word(3)));
  } else if (key == "http-check" && line.word(1) == "send") {
    for (std::size_t i = 2; i + 1 < line.words.size(); ++i)
      if (line.words[i] == "uri") health.set("path", quoted_toml(line.words[i + 1]));
  } else if (key == "stick" && line.word(1) == "on" && line.word(2) == "src") {
    none(now.pool->table, line, "source_hash keeps a client at its server without a table");
    now.pool->table.set("balance", quoted_toml("source_hash"));
  } else {
    return false;
  }
  return true;
}

void Reader::server(Proxy& now, const Line& line) {
  Backend backend;
  const auto address = address_of(line.word(2), "");
  if (!address || address->starts_with(':')) {
    none(now.pool->table, line, "an address with a port is needed");
    return;
  }
  backend.table.set("name", quoted_toml(name_of(line.word(1))));
  backend.table.set("address", quoted_toml(*address));
  std::vector<std::string> words = now.server_defaults;
  words.insert(words.end(), line.words.begin() + std::min<std::ptrdiff_t>(3, std::ssize(line.words)),
               line.words.end());
  bool checked = false;
  static const std::map<std::string, std::string> kTimes{{"inter", "interval"},
                                                         {"fastinter", "fast_interval"}};
  static const std::map<std::string, std::string> kNumbers{
      {"rise", "rise"}, {"fall", "fall"}, {"port", "port"}, {"agent-port", "agent_port"}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    const auto next = [&] { return i + 1 < words.size() ? words[++i] : std::string(); };
    if (word == "check" || word == "no-check") {
      checked = word == "check";
    } else if (const auto time = kTimes.find(word); time != kTimes.end()) {
      if (const auto value = duration_of(next())) backend.health.set(time->second, *value);
    } else if (const auto number = kNumbers.find(word); number != kNumbers.end()) {
      backend.health.set(number->second, next());
    } else if (word == "weight") {
      const auto weight = next();
      if (weight == "0")
        backend.table.set("admin", quoted_toml("drained"));
      else
        backend.table.set("weight", weight);
    } else if (word == "maxconn") {
      backend.table.set("max_sessions", next());
    } else if (word == "backup") {
      backend.table.set("backup", "true");
    } else if (word == "disabled") {
      backend.table.set("admin", quoted_toml("disabled"));
    } else if (word == "send-proxy" || word == "send-proxy-v2") {
      now.pool->table.set("send_proxy", quoted_toml(word == "send-proxy" ? "v1" : "v2"));
    } else if (word == "slowstart") {
      if (const auto value = duration_of(next())) now.pool->table.set("slow_start", *value);
    } else if (word == "on-marked-down") {
      if (next() == "shutdown-sessions") now.pool->table.set("on_backend_down", quoted_toml("close"));
    } else if (word == "resolvers" || word == "init-addr" || word == "resolve-prefer" || word == "id" ||
               word == "maxqueue" || word == "minconn" || word == "downinter" || word == "cookie" ||
               word == "source" || word == "sni" || word == "verify" || word == "ca-file" || word == "crt" ||
               word == "alpn" || word == "track" || word == "observe" || word == "on-error" ||
               word == "error-limit" || word == "addr" || word == "agent-inter" || word == "agent-addr") {
      const auto value = next();
      if (word != "resolvers" && word != "init-addr" && word != "id")
        backend.table.note(fmt::format("{}:{}: {} {}: it has no equal", name_, line.number, word, value));
    } else if (word == "ssl") {
      backend.table.note(fmt::format(
          "{}:{}: ssl: Weir does not speak TLS, it passes on what the client sends", name_, line.number));
    } else if (word != "enabled") {
      backend.table.note(fmt::format("{}:{}: {}: it has no equal", name_, line.number, word));
    }
  }
  backend.probed = checked;
  now.serves = true;
  now.pool->backends.push_back(std::move(backend));
}

}  // namespace weir::convert::haproxy
