// HAProxy's sections.
#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/haproxy_reader.h"

namespace weir::convert {
namespace haproxy {

namespace {

/// What Weir does by itself, or has nothing to do with.
bool is_usual_option(const std::string& name) {
  constexpr std::string_view kUsual[] = {"tcpka",
                                         "clitcpka",
                                         "srvtcpka",
                                         "tcplog",
                                         "dontlognull",
                                         "redispatch",
                                         "log-health-checks",
                                         "splice-auto",
                                         "splice-request",
                                         "splice-response",
                                         "dontlog-normal",
                                         "log-separate-errors",
                                         "tcp-smart-accept",
                                         "tcp-smart-connect",
                                         "nolinger",
                                         "contstats",
                                         "logasap"};
  return std::ranges::find(kUsual, name) != std::end(kUsual);
}

std::string name_behind_from(const Line& head) {
  for (std::size_t i = 1; i + 1 < head.words.size(); ++i)
    if (head.words[i] == "from") return head.words[i + 1];
  return "";
}

unsigned long long smaller_but_zero(unsigned long long one, unsigned long long other) {
  if (one == 0 || other == 0) return std::max(one, other);
  return std::min(one, other);
}

}  // namespace

Reader::Reader(std::string_view text, std::string_view name) : name_(name), comments_(name_, draft_.root) {
  const std::vector<Section> sections = sections_of(text);
  collect_tables(sections);
  for (const Section& section : sections) {
    const auto kind = section.head.word(0);
    if (kind.empty() || kind == "global") {
      for (const Line& line : section.lines) global(line);
    } else if (kind == "defaults") {
      const auto own_name = section.head.word(1) == "from" ? "" : section.head.word(1);
      auto lines = name_behind_from(section.head).empty() ? std::vector<Line>() : defaults_of(section);
      lines.insert(lines.end(), section.lines.begin(), section.lines.end());
      for (Line& line : lines) line.inherited = true;
      defaults_[""] = lines;
      defaults_[own_name] = std::move(lines);
    } else if (kind == "frontend" || kind == "backend" || kind == "listen") {
      proxy(section);
    } else {
      comments_.add(draft_.root, section.head,
                    fmt::format("Weir has no such section{}",
                                kind == "resolvers" ? "; it follows names by itself" : ""));
    }
  }
  for (const auto& [number, line] : inherited_)
    if (!line.second) comments_.add(draft_.root, line.first, kNoEqual);
  finish_times();
}

void Reader::collect_tables(const std::vector<Section>& sections) {
  for (const Section& section : sections)
    for (const Line& line : section.lines) {
      if (line.words[0] == "stick-table") tables_[section.head.word(1)] = stick_table_of(line);
      for (std::size_t i = 1; i + 1 < line.words.size(); ++i)
        if (line.words[i] == "table") tables_in_use_.insert(line.words[i + 1]);
    }
}

std::vector<Line> Reader::defaults_of(const Section& section) const {
  const auto found = defaults_.find(name_behind_from(section.head));
  return found != defaults_.end() ? found->second : std::vector<Line>();
}

void Reader::global(const Line& line) {
  constexpr unsigned long long kMostSessions = 1'000'000'000, kMostWorkers = 1024;
  const auto& key = line.words[0];
  if (key == "maxconn" && number_in(line.word(1), 1, kMostSessions))
    draft_.root.set("max_connections", line.word(1));
  else if (key == "nbthread" && number_in(line.word(1), 1, kMostWorkers))
    draft_.root.set("workers", line.word(1));
  else if (key == "daemon" || key == "user" || key == "group" || key == "chroot" || key == "pidfile" ||
           key == "master-worker")
    comments_.add(draft_.root, line, "the service manager does that (weir.service)");
  else if (key == "log")
    comments_.add(draft_.root, line, "[log] access and daemon = \"syslog:\"");
  else if (key == "external-check" || key == "insecure-fork-wanted")
    comments_.add(draft_.root, line, "probe = \"exec\" needs no leave");
  else if (key == "stats")
    comments_.add(draft_.root, line, "[admin] socket, and weir status");
  else
    comments_.add(draft_.root, line, kNoEqual);
}

void Reader::proxy(const Section& section) {
  const auto& kind = section.head.words[0];
  const auto written_name = section.head.word(1);
  const auto last_word = [&](std::string_view word, std::string_view other) {
    std::string out;
    for (const Line& line : section.lines)
      if (line.words[0] == word || line.words[0] == other) out = line.words[0];
    return out;
  };
  if (last_word("disabled", "enabled") == "disabled")
    return comments_.add(draft_.root, section.head, "left out, for the section is disabled");
  Proxy now(comments_, tables_, written_name);
  now.listens = kind != "backend";
  now.serves = kind != "frontend";
  now.listener.name = now.pool.name = name_of(written_name);
  std::vector<Line> lines = defaults_of(section);
  lines.insert(lines.end(), section.lines.begin(), section.lines.end());
  std::string mode = "tcp";
  for (const Line& line : lines) {
    if (line.words[0] == "mode") mode = line.word(1);
    if (line.words[0] == "acl") now.conditions.define(line);
  }
  if (mode != "tcp")
    now.first().note(
        fmt::format("{}:{}: mode {}: Weir passes on bytes and does not look into them; what follows is "
                    "the section as mode tcp",
                    name_, section.head.number, mode));
  for (const Line& line : lines) read_line(now, line);
  say_unused(now, written_name);
  if (now.serves) finish_pool(now, section);
  if (now.listens) finish_listener(now);
}

void Reader::say_unused(Proxy& now, const std::string& section) {
  for (const Line& line : now.stick_tables)
    if (!now.rules.counts() && !tables_in_use_.contains(section))
      comments_.add(now.first(), line,
                    "Weir counts by itself for sessions_per_client and new_sessions_per_client, "
                    "and source_hash needs no table");
  now.rules.add_names_in_use(now.names_in_use);
  for (const Line& line : now.conditions.lines())
    if (!line.inherited && !now.names_in_use.contains(line.word(1)))
      comments_.add(now.first(), line, "left out: nothing that is converted asks for it");
}

void Reader::read_line(Proxy& now, const Line& line) {
  if (line.has_variables)
    return comments_.add(now.first(), line,
                         "left out: it has a variable of the environment; Weir takes ${NAME} in its file");
  if (line.words[0].starts_with('.'))
    return comments_.add(draft_.root, line,
                         "such conditions are not followed: all lines between them are read");
  bool used = any_section(now, line);
  used = used || (now.listens && of_listener(now, line));
  used = used || (now.serves && of_pool(now, line));
  if (line.inherited) {
    auto& seen = inherited_.try_emplace(line.number, line, false).first->second;
    seen.second = seen.second || used;
  } else if (!used) {
    const auto action = line.word(1);
    const bool lets_in =
        line.words[0] == "http-request" && (action == "deny" || action == "reject" || action == "allow" ||
                                            action == "tarpit" || action == "silent-drop");
    comments_.add(now.first(), line,
                  lets_in ? "who may come in is allow and deny of a listener, by networks" : kNoEqual);
  }
}

bool Reader::any_section(Proxy& now, const Line& line) {
  const auto& key = line.words[0];
  if (key == "mode" || key == "acl" || key == "log" || key == "description" || key == "enabled") return true;
  if (key == "timeout") return timeout(now, line);
  if (key == "stats") {
    comments_.add(now.first(), line, "the statistics page: see [web] bind");
    return true;
  }
  if (key == "stick-table") {
    now.stick_tables.push_back(line);
    return true;
  }
  return (key == "option" && is_usual_option(line.word(1))) ||
         (key == "no" && line.word(1) == "option" && is_usual_option(line.word(2)));
}

bool Reader::timeout(Proxy& now, const Line& line) {
  const auto which = line.word(1);
  if (which.starts_with("http-") || which == "tarpit" || which == "client-hs") return true;
  const auto time = millis_of(line.word(2)).value_or(0);
  if (!duration_of(line.word(2))) {
    comments_.add(now.first(), line, "a time of zero or without end has no equal");
    return true;
  }
  if (which == "client")
    now.times.client = time;
  else if (which == "server")
    now.times.server = time;
  else if (which == "tunnel")
    now.times.tunnel = time;
  else if (which == "client-fin")
    now.times.client_fin = time;
  else if (which == "server-fin")
    now.times.server_fin = time;
  else if (which == "connect")
    now.pool.table.set("connect_timeout", duration_toml(time));
  else if (which == "queue")
    now.queue_timeout = duration_toml(time);
  else if (which == "check")
    now.probe.set_timeout(line);
  else
    return false;
  return true;
}

void Reader::finish_times() {
  for (Pool& pool : draft_.pools) {
    Times times = pool_times_[pool.name];
    std::set<unsigned long long> clients, fins;
    for (const Listener& listener : draft_.listeners) {
      const bool leads = listener.pool == pool.name ||
                         std::ranges::find(listener.routes, pool.name, &Route::pool) != listener.routes.end();
      if (!leads) continue;
      clients.insert(listener_times_[listener.name].client);
      fins.insert(listener_times_[listener.name].client_fin);
    }
    if (clients.size() > 1)
      pool.table.note(
          fmt::format("{}: {}: \"timeout client\" differs among those that lead here; idle_timeout is "
                      "the pool's",
                      name_, pool.name));
    if (!clients.empty()) times.client = 0;
    for (const auto client : clients) times.client = smaller_but_zero(client, times.client);
    for (const auto fin : fins) times.client_fin = smaller_but_zero(fin, times.client_fin);
    const auto idle = times.tunnel > 0 ? times.tunnel : smaller_but_zero(times.client, times.server);
    const auto fin = smaller_but_zero(times.client_fin, times.server_fin);
    if (idle > 0)
      pool.table.set("idle_timeout", duration_toml(idle));
    else
      pool.table.note(
          fmt::format("{}: {}: without \"timeout client\" and \"timeout server\" a session may be silent for "
                      "ever there; here for idle_timeout, 10m",
                      name_, pool.name));
    if (fin > 0) pool.table.set("half_close_timeout", duration_toml(fin));
  }
}

}  // namespace haproxy

Draft from_haproxy(std::string_view text, std::string_view name) {
  return haproxy::Reader(text, name).take();
}

}  // namespace weir::convert
