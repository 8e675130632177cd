// What HAProxy's backends ask for.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lb/convert/haproxy_reader.h"

namespace weir::convert::haproxy {

void Reader::balance(Proxy& now, const Line& line) {
  static const std::map<std::string, std::string> kEqual{
      {"roundrobin", "round_robin"},      {"static-rr", "round_robin"},
      {"leastconn", "least_connections"}, {"first", "first"},
      {"source", "source_hash"},          {"random", "random_two"}};
  const auto algorithm = line.word(1).substr(0, line.word(1).find('('));
  const auto found = kEqual.find(algorithm);
  if (found != kEqual.end())
    now.pool.table.set("balance", quoted_toml(found->second));
  else
    comments_.add(now.pool.table, line, "round_robin is used: what a client asks for is not looked into");
}

void Reader::bound(Proxy& now, const Line& line) {
  constexpr unsigned long long kLeast = 105, kMost = 1'000;
  const auto factor = number_in(line.word(1), 0, kMost);
  if (factor && *factor >= kLeast)
    now.hash_bound = fmt::format("{}.{:02}", *factor / 100, *factor % 100);
  else if (!factor || *factor != 0)
    comments_.add(now.pool.table, line, "left out: hash_bound is 1.05 to 10");
  if (now.hash_bound.ends_with('0')) now.hash_bound.pop_back();
}

bool Reader::option(Proxy& now, const Line& line) {
  if (line.word(1) == "allbackups") {
    now.all_backups = true;
    return true;
  }
  return now.probe.option(line);
}

bool Reader::of_pool(Proxy& now, const Line& line) {
  const auto& key = line.words[0];
  Table& table = now.pool.table;
  if (key == "server" || key == "server-template" || key == "dispatch") {
    now.servers.add(line, table);
  } else if (key == "default-server") {
    now.servers.add_defaults(line);
  } else if (key == "balance") {
    balance(now, line);
  } else if (key == "retries") {
    constexpr unsigned long long kMostRetries = 999;
    if (const auto retries = number_in(line.word(1), 0, kMostRetries))
      table.set("connect_attempts", std::to_string(*retries + 1));
    else
      comments_.add(table, line, "left out: connect_attempts is 1 to 1000");
  } else if (key == "option") {
    return option(now, line);
  } else if (key == "tcp-check" || key == "http-check" || key == "external-check") {
    now.probe.rule(line);
  } else if (key == "hash-type") {
    if (line.words.size() > 3)
      comments_.add(table, line, "source_hash has a hash of its own, and a consistent one");
  } else if (key == "hash-balance-factor") {
    bound(now, line);
  } else if (key == "source") {
    std::string why;
    const auto source = source_of(line, 1, why);
    if (!source.empty()) table.set("source", quoted_toml(source));
    if (why.empty() && line.words.size() > 2) why = "source is an address alone";
    if (!why.empty()) comments_.add(table, line, why);
  } else if (key == "stick" && line.word(1) == "on" && line.word(2) == "src") {
    comments_.add(table, line, "source_hash keeps a client at its server without a table");
    table.set("balance", quoted_toml("source_hash"));
  } else if (key == "tcp-request") {
    comments_.add(table, line, "left out: who may come in is a listener's, not a pool's");
  } else {
    return false;
  }
  return true;
}

void Reader::finish_pool(Proxy& now, const Section& section) {
  Pool& pool = now.pool;
  pool.health = now.probe.health(pool.table, now.servers.checked_over_tls());
  now.servers.write(pool, now.probe.has_timeout(), now.all_backups);
  if (now.servers.limited()) {
    // There the queue has no end, and lasts as long as a connect.
    pool.table.set("queue", "1000000");
    const auto timeout = now.queue_timeout.empty() ? pool.table.value("connect_timeout") : now.queue_timeout;
    if (!timeout.empty()) pool.table.set("queue_timeout", timeout);
  }
  if (!now.hash_bound.empty() && pool.table.value("balance") == "\"source_hash\"")
    pool.table.set("hash_bound", now.hash_bound);
  else if (!now.hash_bound.empty())
    pool.table.note(fmt::format("{}: {}: hash-balance-factor is left out: hash_bound bounds source_hash",
                                name_, pool.name));
  pool_times_[pool.name] = now.times;
  if (now.listens && now.servers.empty()) {
    for (const auto& note : pool.table.notes()) now.listener.table.note(note);
    return;
  }
  if (now.servers.empty())
    pool.table.note(fmt::format("{}:{}: {} has no server that Weir could use", name_, section.head.number,
                                section.head.written));
  draft_.pools.push_back(std::move(pool));
}

}  // namespace weir::convert::haproxy
