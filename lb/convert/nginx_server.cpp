// nginx's server blocks as listeners.
#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/access.h"
#include "lb/convert/network_words.h"
#include "lb/convert/nginx_reader.h"

namespace weir::convert::nginx {

namespace {

bool is_in(std::initializer_list<std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

/// Read elsewhere, or without a meaning for Weir.
bool is_known(const std::string& key) {
  return key.starts_with("proxy_") ||
         is_in({"listen", "allow", "deny", "limit_conn", "set_real_ip_from", "ssl_preread", "preread_timeout",
                "preread_buffer_size", "tcp_nodelay", "health_check", "health_check_timeout"},
               key);
}

/// "10000-10010"
bool is_range(const std::string& address) {
  const auto port = address.substr(address.rfind(':') + 1);
  return !address.starts_with("unix:") && port.find('-') != std::string::npos;
}

}  // namespace

void Reader::leave_out(const Directive& of, const std::string& why) {
  draft_.root.note(fmt::format("{}:{}: the server at line {} is left out: {}", name_, of.line, of.line, why));
}

std::string Reader::free_name(std::string name, std::size_t line) const {
  while (std::ranges::find(draft_.listeners, name, &Listener::name) != draft_.listeners.end())
    name += fmt::format("-{}", line);
  return name;
}

Reader::Door Reader::door_of(const Directives& all, Table& notes) {
  Door out;
  for (const Directive& one : all) {
    if (one.word(0) != "listen") continue;
    const bool udp = std::ranges::find(one.words, "udp") != one.words.end();
    const bool proxy = std::ranges::find(one.words, "proxy_protocol") != one.words.end();
    (udp ? out.udp : out.tcp) = true;
    if (is_range(one.word(1))) out.why_not = fmt::format("{}: a listener has single ports", one.written);
    if (udp) continue;
    auto& addresses = proxy ? out.proxy : out.plain;
    if (const auto address = bind_of(one.word(1)))
      addresses.push_back(*address);
    else
      note(notes, one, "left out: an IP address with one port is needed");
    for (std::size_t i = 2; i < one.words.size(); ++i) {
      const auto& word = one.words[i];
      if (word == "ssl")
        note(notes, one, "Weir does not speak TLS: it passes it on, and the servers answer it");
      else if (word == "ipv6only=off" && one.word(1).starts_with("[::]:"))
        addresses.push_back("0.0.0.0:" + one.word(1).substr(5));
      else if (!is_in({"proxy_protocol", "reuseport", "deferred", "bind", "default_server", "ipv6only=on"},
                      word) &&
               !word.starts_with("backlog=") && !word.starts_with("fastopen="))
        note(notes, one, fmt::format("{}: {}", word, kNoEqual));
    }
  }
  return out;
}

void Reader::rules(Listener& listener, const Directives& all) {
  Access access;
  for (const Directive& one : all) {
    if (one.word(0) != "allow" && one.word(0) != "deny") continue;
    const auto verdict = one.word(0) == "allow" ? Verdict::Allow : Verdict::Deny;
    const auto network = network_of(one.word(1) == "unix:" ? "unix" : one.word(1));
    if (one.word(1) == "all")
      access.rest(verdict, one.line);
    else if (network)
      access.add(verdict, *network, one.line, fmt::format("{}:{}: {}", name_, one.line, one.written));
    else
      note(listener.table, one, "left out: it is no network");
  }
  access.write(listener.table, listener.on_unix());
}

void Reader::limit(Listener& listener, const Directive& one) {
  constexpr unsigned long long kMost = 1'000'000'000;
  const auto zone = zones_.find(one.word(1));
  const auto key = zone != zones_.end() ? zone->second.word(1) : "";
  if ((key != "$binary_remote_addr" && key != "$remote_addr") || !number_in(one.word(2), 1, kMost))
    return note(listener.table, one,
                "left out: sessions_per_client is by the client's address, max_connections of "
                "the whole listener");
  if (!zones_used_.insert(one.word(1)).second)
    note(listener.table, one,
         "counted together with the other servers of that zone there, here of this listener alone");
  listener.table.set("sessions_per_client", one.word(2));
  listener.table.set("client_prefix", "[32, 128]");
}

void Reader::proxy_from(Listener& listener, const Directives& all, bool takes_header) {
  std::vector<std::string> networks;
  std::string timeout = duration_toml(30'000);  // nginx's own
  const Directive* listen = nullptr;
  for (const Directive& one : all) {
    if (one.word(0) == "proxy_protocol_timeout" && duration_of(one.word(1)))
      timeout = *duration_of(one.word(1));
    if (one.word(0) == "listen" && std::ranges::find(one.words, "proxy_protocol") != one.words.end())
      listen = &one;
    if (one.word(0) != "set_real_ip_from") continue;
    const auto network = network_of(one.word(1) == "unix:" ? "unix" : one.word(1));
    if (!takes_header)
      note(listener.table, one, "left out: this listener takes no PROXY header (proxy_from)");
    else if (network)
      networks.push_back(network->to_string());
    else
      note(listener.table, one, "left out: it is no network");
  }
  if (!takes_header) return;
  if (networks.empty() && listen != nullptr) {
    networks = {"0.0.0.0/0", "::/0"};
    note(listener.table, *listen,
         "proxy_from should name the balancer in front alone; without set_real_ip_from rules and "
         "limits are for that balancer's address there, for the client's here");
  } else if (listen != nullptr) {
    note(listener.table, *listen,
         "those in proxy_from alone may connect here; others may there, and announce nobody");
  }
  listener.table.set("proxy_from", list_toml(networks));
  if (!listener.table.has("header_timeout")) listener.table.set("header_timeout", timeout);
}

void Reader::server(const Directive& of, const Directives& outer) {
  const Directives all = in_force(outer, of.block);
  Listener listener;
  const Door door = door_of(all, listener.table);
  const Directive* passes = nullptr;
  std::string why_not = door.why_not;
  for (const Directive& one : all) {
    if (one.word(0) == "proxy_pass") passes = &one;
    if (one.word(0) == "return") why_not = fmt::format("{}: Weir answers nobody by itself", one.written);
  }
  if (door.udp && !door.tcp) {
    if (passes != nullptr) for_udp_.insert(passes->word(1));
    return leave_out(of, "it is for UDP: Weir is for TCP");
  }
  if (passes == nullptr && why_not.empty()) why_not = "it has no proxy_pass";
  if (!why_not.empty()) return leave_out(of, why_not);
  if (door.udp) note(listener.table, of, "its UDP side is left out: Weir is for TCP");
  const Terms terms = terms_of(all);
  if (!pass(listener, *passes, terms))
    return leave_out(
        of, fmt::format("{}: a pool is an upstream or an address; routes are by $ssl_preread_server_name, "
                        "$ssl_preread_alpn_protocols and $remote_addr, through map or geo",
                        passes->written));
  for (const auto& text : terms.table.notes()) listener.table.note(text);
  for (const Directive& one : all) {
    if (one.word(0) == "limit_conn") limit(listener, one);
    if (one.word(0) == "preread_timeout" && duration_of(one.word(1)))
      listener.table.set("header_timeout", *duration_of(one.word(1)));
    if (one.word(0) == "include")
      note(listener.table, one, "that file is not read: convert it by itself, or put its text here");
    else if (one.word(0).starts_with("ssl_") && one.word(0) != "ssl_preread")
      note(listener.table, one, "Weir does not speak TLS: it passes it on, and the servers answer it");
    else if (!is_known(one.word(0)))
      note(listener.table, one, one.word(0).ends_with("_log") ? "[log] daemon and access" : kNoEqual);
  }
  const bool reads_hello = std::ranges::any_of(
      listener.routes, [](const Route& one) { return !one.names.empty() || !one.protocols.empty(); });
  if (reads_hello && !listener.table.has("header_timeout"))
    listener.table.set("header_timeout", duration_toml(30'000));  // nginx's own
  const bool both = !door.plain.empty() && !door.proxy.empty();
  for (const auto* addresses : {&door.plain, &door.proxy}) {
    if (addresses->empty() &&
        (both || !door.plain.empty() || !door.proxy.empty() || addresses == &door.proxy))
      continue;
    Listener out = listener;
    out.bind = *addresses;
    out.name = free_name(listener.name, of.line);
    rules(out, all);
    proxy_from(out, all, addresses == &door.proxy);
    if (both && out.table.has("sessions_per_client"))
      out.table.note(fmt::format("{}: {}: sessions_per_client is for each of its listeners by itself here",
                                 name_, out.name));
    draft_.listeners.push_back(std::move(out));
  }
}

}  // namespace weir::convert::nginx
