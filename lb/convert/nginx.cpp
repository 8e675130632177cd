// nginx's stream block.
#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/nginx_reader.h"

namespace weir::convert {
namespace nginx {

namespace {

/// Of several with one name, each level has all of its own or all of the outer one's.
std::string group_of(const std::string& key) {
  return key == "allow" || key == "deny" ? "access" : key;
}

bool is_logs(const std::string& key) {
  return key == "access_log" || key == "error_log" || key == "log_format" || key == "open_log_file_cache";
}

}  // namespace

Reader::Reader(std::string_view text, std::string_view name) : name_(name) {
  for (const Directive& one : directives_of(text))
    if (one.word(0) == "stream")
      stream(one);
    else
      outside(one);
}

void Reader::note(Table& at, const Directive& one, std::string_view why) {
  (one.inherited ? draft_.root : at).note(fmt::format("{}:{}: {}: {}", name_, one.line, one.written, why));
}

void Reader::outside(const Directive& one) {
  constexpr unsigned long long kMostWorkers = 1024;
  const auto key = one.word(0);
  if (key == "worker_processes" && number_in(one.word(1), 1, kMostWorkers)) {
    draft_.root.set("workers", one.word(1));
  } else if (key == "worker_processes" && one.word(1) == "auto") {
    return;
  } else if (key == "events") {
    for (const Directive& inner : one.block)
      note(draft_.root, inner,
           inner.word(0) == "worker_connections"
               ? "max_connections is of the whole process, and counts sessions"
               : kNoEqual);
  } else if (key == "http" || key == "mail") {
    note(draft_.root, one, "Weir passes on bytes; only the stream block is converted");
  } else if (key == "include") {
    note(draft_.root, one, "that file is not read: convert it by itself, or put its text here");
  } else if (key == "user" || key == "pid" || key == "daemon" || key == "worker_rlimit_nofile") {
    note(draft_.root, one, "the service manager does that (weir.service)");
  } else {
    note(draft_.root, one, is_logs(key) ? "[log] daemon and access" : kNoEqual);
  }
}

void Reader::collect(const Directive& one) {
  const auto key = one.word(0);
  if (key == "upstream")
    upstreams_[one.word(1)] = one;
  else if (key == "map")
    variables_[one.word(2)] = one;
  else if (key == "geo")
    variables_[one.words.back()] = one;
  else if (key == "match")
    matches_[one.word(1)] = one;
  else if (key == "limit_conn_zone")
    for (const auto& word : one.words)
      if (word.starts_with("zone=")) zones_[word.substr(5, word.find(':') - 5)] = one;
}

void Reader::stream(const Directive& of) {
  Directives outer;
  for (Directive one : of.block) {
    const auto key = one.word(0);
    collect(one);
    one.inherited = true;
    if (key == "include")
      note(draft_.root, one, "that file is not read: convert it by itself, or put its text here");
    else if (key == "split_clients")
      note(draft_.root, one, "weight of backends in one pool is how a part of the clients is sent elsewhere");
    else if (is_logs(key))
      note(draft_.root, one, "[log] daemon and access");
    else if (key == "resolver" || key == "resolver_timeout")
      note(draft_.root, one, "Weir follows names by /etc/resolv.conf");
    else if (key != "server" && key != "upstream" && key != "map" && key != "geo" && key != "match" &&
             key != "limit_conn_zone")
      outer.push_back(one);
  }
  for (const Directive& one : of.block)
    if (one.word(0) == "server") server(one, outer);
  for (const auto& [zone, one] : zones_)
    if (!zones_used_.contains(zone)) note(draft_.root, one, "left out: no limit that is converted uses it");
  for (const auto& [variable, one] : variables_)
    if (!variables_used_.contains(variable))
      note(draft_.root, one, "left out: no server that is converted leads by it");
  write_unused();
}

Reader::Directives Reader::in_force(const Directives& outer, const Directives& own) {
  Directives out;
  for (const Directive& one : outer) {
    const bool replaced = std::ranges::any_of(
        own, [&](const Directive& other) { return group_of(other.word(0)) == group_of(one.word(0)); });
    if (!replaced) out.push_back(one);
  }
  out.insert(out.end(), own.begin(), own.end());
  return out;
}

}  // namespace nginx

Draft from_nginx(std::string_view text, std::string_view name) {
  return nginx::Reader(text, name).take();
}

}  // namespace weir::convert
