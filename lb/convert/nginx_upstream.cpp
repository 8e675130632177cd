// nginx's upstreams, and what the servers that lead to them say of them.
#include <fmt/format.h>

#include <algorithm>

#include "lb/base/address.h"
#include "lb/convert/network_words.h"
#include "lb/convert/nginx_reader.h"

namespace weir::convert::nginx {

namespace {

struct Parameter {
  std::string key, value;
};
Parameter parameter_of(const std::string& word) {
  const auto equal = std::min(word.find('='), word.size());
  return {word.substr(0, equal), word.substr(std::min(equal + 1, word.size()))};
}

}  // namespace

bool Reader::Terms::operator==(const Terms& other) const {
  return table.keys() == other.table.keys() && health.keys() == other.health.keys();
}

void Reader::upstream(Pool& pool, const Directive& of) {
  for (const Directive& one : of.block) {
    const auto key = one.word(0);
    if (key == "server")
      backend(pool, one);
    else if (key == "least_conn")
      pool.table.set("balance", quoted_toml("least_connections"));
    else if (key == "random")
      pool.table.set("balance", quoted_toml("random_two"));
    else if (key == "least_time")
      pool.table.set("balance", quoted_toml("least_time"));
    else if (key == "hash" && (one.word(1) == "$remote_addr" || one.word(1) == "$binary_remote_addr"))
      pool.table.set("balance", quoted_toml("source_hash"));
    else if (key == "hash")
      note(pool.table, one, "round_robin is used: source_hash is by the client's address alone");
    else if (key == "include")
      note(pool.table, one, "that file is not read: its servers are backends of this pool");
    else if (key != "zone")
      note(pool.table, one, kNoEqual);
  }
  const bool zone = std::ranges::any_of(of.block, [](const Directive& one) { return one.word(0) == "zone"; });
  const bool limited =
      std::ranges::any_of(pool.backends, [](const Backend& one) { return one.table.has("max_sessions"); });
  if (!limited) return;
  pool.table.set("queue", "0");  // nobody waits there
  if (!zone) note(pool.table, of, "without \"zone\" max_conns is of each worker there, here of all together");
}

void Reader::backend(Pool& pool, const Directive& of) {
  const auto address = server_address_of(of.word(1));
  if (!address) return note(pool.table, of, "left out: an address with a port is needed");
  Backend out;
  out.probed = false;  // but by its sessions
  if (address->starts_with("unix:")) out.table.set("name", quoted_toml(name_of(address->substr(5))));
  out.table.set("address", quoted_toml(*address));
  // nginx's own.
  out.health.set("eject_after", "1");
  out.health.set("eject_for", quoted_toml("10s"));
  for (std::size_t i = 2; i < of.words.size(); ++i) parameter(pool, out, of, of.words[i]);
  out.health.set("eject_for_at_most", out.health.value("eject_for"));
  pool.backends.push_back(std::move(out));
}

void Reader::parameter(Pool& pool, Backend& backend, const Directive& of, const std::string& word) {
  constexpr unsigned long long kMostWeight = 256, kMostSessions = 1'000'000'000, kMostFails = 10'000;
  const auto [key, value] = parameter_of(word);
  const auto say = [&](std::string_view why) {
    backend.table.note(fmt::format("{}:{}: {}: {}", name_, of.line, word, why));
  };
  if (key == "weight" && number_in(value, 1, kMostWeight)) {
    backend.table.set("weight", value);
  } else if (key == "max_conns" && number_in(value, 0, kMostSessions)) {
    if (value != "0") backend.table.set("max_sessions", value);
  } else if (key == "max_fails" && number_in(value, 0, kMostFails)) {
    backend.health.set("eject_after", value);
  } else if (key == "fail_timeout" && duration_of(value)) {
    backend.health.set("eject_for", *duration_of(value));
  } else if (key == "backup") {
    backend.table.set("backup", "true");
  } else if (key == "down") {
    backend.table.set("admin", quoted_toml("disabled"));
  } else if (key == "drain") {
    backend.table.set("admin", quoted_toml("drained"));
  } else if (key == "slow_start" && duration_of(value)) {
    if (pool.table.has("slow_start") ? pool.table.value("slow_start") != *duration_of(value)
                                     : !pool.backends.empty())
      say("of this server alone there; here slow_start is of the whole pool");
    pool.table.set("slow_start", *duration_of(value));
  } else if (key == "weight") {
    say("weight is 1 to 256");
  } else if (key == "service") {
    say("Weir asks for addresses, not for services: write host and port");
  } else if (key != "resolve") {
    say(kNoEqual);
  }
}

Reader::Terms Reader::terms_of(const Directives& all) {
  Terms out;
  out.table.set("connect_timeout", duration_toml(60'000));  // nginx's own
  for (const Directive& one : all)
    if (one.word(0) == "health_check")
      health_check(out, one, all);
    else
      term(out, one);
  return out;
}

void Reader::term(Terms& terms, const Directive& one) {
  constexpr unsigned long long kMostAttempts = 1'000;
  const auto key = one.word(0), value = one.word(1);
  const auto time = duration_of(value);
  const auto rate = rate_of(value);
  Table& table = terms.table;
  if (key == "proxy_connect_timeout" && time) {
    table.set("connect_timeout", *time);
  } else if (key == "proxy_timeout" && time) {
    table.set("idle_timeout", *time);
  } else if (key == "proxy_protocol") {
    if (value == "on") table.set("send_proxy", quoted_toml("v1"));
  } else if (key == "proxy_download_rate" && rate) {
    table.set("rate_to_client", quoted_toml(*rate));
  } else if (key == "proxy_upload_rate" && rate) {
    table.set("rate_to_backend", quoted_toml(*rate));
  } else if (key == "proxy_next_upstream") {
    if (value == "off") table.set("connect_attempts", "1");
  } else if (key == "proxy_next_upstream_tries" && number_in(value, 0, kMostAttempts)) {
    if (value != "0" && table.value("connect_attempts") != "1") table.set("connect_attempts", value);
  } else if (key == "proxy_bind") {
    const auto address = network_of(value);
    const bool plain = address && !address->is_unix() && value.find('/') == std::string::npos;
    if (plain) table.set("source", quoted_toml(value));
    if (one.words.size() > 2 || (!plain && value != "off"))
      note(table, one, "source is an address of this host: send_proxy tells backends the client's");
  } else if (key == "proxy_ssl") {
    if (value == "on") note(table, one, "Weir does not speak TLS: it passes on what the client sends");
  } else if (key.starts_with("proxy_ssl_")) {
    note(table, one, "Weir does not speak TLS");
  } else if (key == "proxy_session_drop") {
    if (value == "on") table.set("on_backend_down", quoted_toml("close"));
  } else if (key.starts_with("proxy_") && key != "proxy_pass" && key != "proxy_half_close" &&
             key != "proxy_socket_keepalive" && key != "proxy_buffer_size" &&
             key != "proxy_protocol_timeout") {
    note(table, one, kNoEqual);
  }
}

void Reader::health_check(Terms& terms, const Directive& one, const Directives& all) {
  constexpr unsigned long long kMostInARow = 10'000, kMostPort = 65'535;
  Table& health = terms.health;
  terms.probed = true;
  health.set("probe", quoted_toml("tcp"));
  // nginx's own.
  health.set("interval", quoted_toml("5s"));
  health.set("timeout", quoted_toml("5s"));
  health.set("rise", "1");
  health.set("fall", "1");
  for (const Directive& other : all)
    if (other.word(0) == "health_check_timeout" && duration_of(other.word(1)))
      health.set("timeout", *duration_of(other.word(1)));
  for (std::size_t i = 1; i < one.words.size(); ++i) {
    const auto [key, value] = parameter_of(one.words[i]);
    if (key == "interval" && duration_of(value))
      health.set("interval", *duration_of(value));
    else if ((key == "passes" || key == "fails") && number_in(value, 1, kMostInARow))
      health.set(key == "passes" ? "rise" : "fall", value);
    else if (key == "port" && number_in(value, 1, kMostPort))
      health.set("port", value);
    else if (key == "match" && matches_.contains(value))
      match(terms, matches_.at(value));
    else if (one.words[i] == "udp")
      note(terms.table, one, "the probe is a TCP connect: Weir is for TCP");
    else
      note(terms.table, one, fmt::format("{}: {}", one.words[i], kNoEqual));
  }
  health.set("fast_interval", health.value("interval"));
}

void Reader::match(Terms& terms, const Directive& of) {
  std::string send, expect;
  for (const Directive& one : of.block)
    if (one.word(0) == "send")
      send = one.word(1);
    else if (one.word(0) == "expect" && one.words.size() == 2)
      expect = one.word(1);
    else
      note(terms.table, one, "left out: expect is a text, and no expression");
  if (expect.empty()) {
    if (!send.empty())
      note(terms.table, of, "the probe is a connect: without a text in expect Weir sends nothing");
    return;
  }
  // nginx writes bytes as Weir does, \xHH.
  const bool has_bytes = send.find("\\x") != std::string::npos || expect.find("\\x") != std::string::npos;
  const auto written = [&](const std::string& text) {
    const bool literal = has_bytes && text.find_first_of("'\r\n\t") == std::string::npos;
    return literal ? "'" + text + "'" : quoted_toml(text);
  };
  terms.health.set("probe", quoted_toml("expect"));
  if (!send.empty()) terms.health.set("send", written(send));
  terms.health.set("expect", written(expect));
}

std::string Reader::pool_of(const std::string& target, const Terms& terms, std::size_t line) {
  const auto found = std::ranges::find_if(
      written_, [&](const Written& one) { return one.target == target && one.terms == terms; });
  if (found != written_.end()) return found->pool;
  const auto named = upstreams_.find(target);
  if (named == upstreams_.end() && !server_address_of(target)) return "";
  Pool pool{name_of(target), {}, {}, {}};
  while (draft_.pool(pool.name) != nullptr) pool.name += fmt::format("-{}", line);
  if (named != upstreams_.end())
    upstream(pool, named->second);
  else
    backend(pool, {line, {"server", target}, {}, "proxy_pass " + target, false});
  constexpr std::size_t kAttempts = 3;  // Weir's own; nginx tries each server once
  for (const auto& [key, value] : terms.table.keys()) pool.table.set(key, value);
  if (pool.backends.size() > kAttempts && !terms.table.has("connect_attempts"))
    pool.table.set("connect_attempts", std::to_string(std::min<std::size_t>(pool.backends.size(), 1'000)));
  for (const auto& [key, value] : terms.health.keys()) pool.health.set(key, value);
  for (Backend& one : pool.backends) {
    if (!terms.probed) continue;
    one.probed = true;
    one.health = Table();  // a failed connect brings a probe forward
  }
  written_.push_back({target, pool.name, terms});
  draft_.pools.push_back(std::move(pool));
  return written_.back().pool;
}

void Reader::write_unused() {
  for (const auto& [name, one] : upstreams_) {
    if (std::ranges::find(written_, name, &Written::target) != written_.end()) continue;
    if (for_udp_.contains(name))
      note(draft_.root, one, "left out, for only a server for UDP uses it");
    else
      pool_of(name, terms_of({}), one.line);
  }
}

}  // namespace weir::convert::nginx
