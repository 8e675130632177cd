// nginx's stream block.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lb/convert/draft.h"
#include "lb/convert/nginx_words.h"

namespace weir::convert {
namespace nginx {
namespace {

class Reader {
 public:
  Reader(std::string_view text, std::string_view name) : name_(name) {
    for (const Directive& one : directives_of(text)) {
      if (one.word(0) == "worker_processes") {
        if (one.word(1) != "auto") draft_.root.set("workers", one.word(1));
      } else if (one.word(0) == "http" || one.word(0) == "mail") {
        none(draft_.root, one, "Weir passes on bytes; only the stream block is converted");
      } else if (one.word(0) == "stream") {
        stream(one);
      }
    }
  }
  Draft take() { return std::move(draft_); }

 private:
  void none(Table& at, const Directive& one, std::string_view instead = "it has no equal") {
    at.note(fmt::format("{}:{}: {}: {}", name_, one.line, one.text(), instead));
  }

  void stream(const Directive& of) {
    std::vector<Directive> defaults;
    for (const Directive& one : of.block) {
      if (one.word(0) == "upstream")
        upstream(one);
      else if (one.word(0) == "map")
        maps_[one.word(2)] = one;
      else if (one.word(0) != "server")
        defaults.push_back(one);
    }
    for (const Directive& one : of.block)
      if (one.word(0) == "server") server(one, defaults);
    for (const Directive& one : defaults)
      if (!is_of_a_server(one.word(0))) none(draft_.root, one);
  }

  void upstream(const Directive& of) {
    Pool pool{name_of(of.word(1)), {}, {}, {}};
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
      else if (key == "hash" && one.word(1) == "$remote_addr")
        pool.table.set("balance", quoted_toml("source_hash"));
      else if (key != "zone")
        none(pool.table, one);
    }
    draft_.pools.push_back(std::move(pool));
  }

  void backend(Pool& pool, const Directive& of) {
    const auto address = address_of(of.word(1));
    if (!address) return none(pool.table, of, "an address with a port is needed");
    Backend out;
    out.probed = false;  // but passively, by max_fails
    if (address->starts_with("unix:")) out.table.set("name", quoted_toml(name_of(address->substr(5))));
    out.table.set("address", quoted_toml(*address));
    for (std::size_t i = 2; i < of.words.size(); ++i) {
      const auto& word = of.words[i];
      const auto equal = std::min(word.find('='), word.size());
      const auto key = word.substr(0, equal), value = word.substr(std::min(equal + 1, word.size()));
      if (key == "weight")
        out.table.set("weight", value);
      else if (key == "max_conns")
        out.table.set("max_sessions", value);
      else if (key == "max_fails")
        pool.health.set("eject_after", value);
      else if (key == "fail_timeout" && duration_of(value))
        pool.health.set("eject_for", *duration_of(value));
      else if (key == "backup")
        out.table.set("backup", "true");
      else if (key == "down")
        out.table.set("admin", quoted_toml("disabled"));
      else if (key == "slow_start" && duration_of(value))
        pool.table.set("slow_start", *duration_of(value));
      else if (key != "resolve")
        out.table.note(fmt::format("{}:{}: {}: it has no equal", name_, of.line, word));
    }
    pool.backends.push_back(std::move(out));
  }

  static bool is_of_a_server(const std::string& key) {
    return key.starts_with("proxy_") || key == "allow" || key == "deny" || key == "ssl_preread" ||
           key == "preread_timeout" || key == "tcp_nodelay" || key == "access_log" || key == "error_log" ||
           key == "log_format" || key == "resolver";
  }

  /// Its own when another server has said other things of it.
  Pool* pool_of(const std::string& name) {
    const auto found = std::ranges::find(draft_.pools, name, &Pool::name);
    return found != draft_.pools.end() ? &*found : nullptr;
  }

  void server(const Directive& of, const std::vector<Directive>& defaults) {
    Listener listener;
    std::vector<Directive> all = defaults;
    all.insert(all.end(), of.block.begin(), of.block.end());
    std::vector<std::string> pools, allow, deny;
    bool udp = false;
    for (const Directive& one : all) {
      const auto key = one.word(0);
      if (key == "listen")
        listen(listener, one, udp);
      else if (key == "allow" || key == "deny")
        network(listener, one, key == "allow" ? allow : deny);
      else if (key == "proxy_pass")
        pools = pass(listener, one);
      else if (key == "preread_timeout" && duration_of(one.word(1)))
        listener.table.set("header_timeout", *duration_of(one.word(1)));
      else if (!is_of_a_server(key))
        none(listener.table, one, key == "return" ? "Weir answers nobody by itself" : "it has no equal");
    }
    if (udp) {
      none(draft_.root, of, fmt::format("the server at line {} is for UDP: Weir is for TCP", of.line));
      return;
    }
    if (!allow.empty()) listener.table.set("allow", list_toml(allow));
    if (!deny.empty()) listener.table.set("deny", list_toml(deny));
    listener.name = name_of(pools.empty() ? fmt::format("line-{}", of.line) : pools.front());
    while (std::ranges::find(draft_.listeners, listener.name, &Listener::name) != draft_.listeners.end())
      listener.name += fmt::format("-{}", of.line);
    for (const auto& name : pools)
      if (Pool* pool = pool_of(name); pool != nullptr)
        for (const Directive& one : all) of_pool(*pool, one);
    draft_.listeners.push_back(std::move(listener));
  }

  void listen(Listener& listener, const Directive& of, bool& udp) {
    if (const auto address = address_of(of.word(1)))
      listener.bind.push_back(*address);
    else
      none(listener.table, of, "an address with a port is needed");
    for (std::size_t i = 2; i < of.words.size(); ++i) {
      const auto& word = of.words[i];
      if (word == "udp") udp = true;
      if (word == "proxy_protocol") {
        listener.table.set("proxy_from", list_toml({"0.0.0.0/0", "::/0"}));
        none(listener.table, of, "proxy_from should name the balancer in front alone");
      } else if (word == "ssl") {
        none(listener.table, of, "Weir does not speak TLS: it passes it on, and the servers answer it");
      } else if (word == "ipv6only=off" && of.word(1).starts_with("[::]:")) {
        listener.bind.push_back("0.0.0.0:" + of.word(1).substr(5));
      }
    }
  }

  void network(Listener& listener, const Directive& of, std::vector<std::string>& to) {
    // "all" is what allow means when it is not empty.
    if (of.word(1) == "all") {
      if (of.word(0) == "deny") return;
      return none(listener.table, of, "whoever no deny names is let in");
    }
    if (of.word(1) == "unix:")
      to.push_back("unix");
    else if (is_network(of.word(1)))
      to.push_back(of.word(1));
    else
      none(listener.table, of);
    if (to.size() == 1) none(listener.table, of, "in Weir the longest network decides, not the first");
  }

  /// The pools that serve it: an upstream, an address, or those of a map of names.
  std::vector<std::string> pass(Listener& listener, const Directive& of) {
    const auto to = of.word(1);
    if (const auto map = maps_.find(to);
        map != maps_.end() && map->second.word(1) == "$ssl_preread_server_name")
      return routes(listener, map->second);
    if (to.starts_with('$')) {
      none(listener.table, of, "routes are by the name of a TLS client ($ssl_preread_server_name)");
      return {};
    }
    const auto name = name_of(to);
    if (pool_of(name) == nullptr) {
      Pool pool{name, {}, {}, {}};
      backend(pool, {of.line, {"server", to}, {}});
      draft_.pools.push_back(std::move(pool));
    }
    listener.table.set("pool", quoted_toml(name));
    return {name};
  }

  std::vector<std::string> routes(Listener& listener, const Directive& map) {
    std::vector<std::string> out;
    for (const Directive& one : map.block) {
      const auto from = one.word(0), to = name_of(one.word(1));
      if (from == "hostnames" || from == "volatile") continue;
      if (from == "default") {
        listener.table.set("pool", quoted_toml(to));
      } else if (from.starts_with('~') || from.ends_with('*')) {
        none(listener.table, one, "a name is whole, or \"*.\" and its end");
        continue;
      } else {
        Table route;
        if (from.starts_with('.'))
          route.set("sni", list_toml({from.substr(1), "*" + from}));
        else
          route.set("sni", list_toml({from}));
        route.set("pool", quoted_toml(to));
        listener.routes.push_back(std::move(route));
      }
      if (std::ranges::find(out, to) == out.end()) out.push_back(to);
    }
    return out;
  }

  void of_pool(Pool& pool, const Directive& one) {
    const auto key = one.word(0), value = one.word(1);
    const auto time = duration_of(value);
    if (key == "proxy_connect_timeout" && time)
      pool.table.set("connect_timeout", *time);
    else if (key == "proxy_timeout" && time)
      pool.table.set("idle_timeout", *time);
    else if (key == "proxy_protocol" && value == "on")
      pool.table.set("send_proxy", quoted_toml("v1"));
    else if (key == "proxy_download_rate")
      pool.table.set("rate_to_client", quoted_toml(rate_of(value)));
    else if (key == "proxy_upload_rate")
      pool.table.set("rate_to_backend", quoted_toml(rate_of(value)));
    else if (key == "proxy_next_upstream" && value == "off")
      pool.table.set("connect_attempts", "1");
    else if (key == "proxy_next_upstream_tries" && value != "0")
      pool.table.set("connect_attempts", value);
    else if (key == "proxy_bind")
      pool.table.set("source", quoted_toml(value));
    else if (key == "proxy_ssl" && value == "on")
      none(pool.table, one, "Weir does not speak TLS: it passes on what the client sends");
    else if (key == "proxy_half_close" || key == "proxy_socket_keepalive" || key == "proxy_buffer_size")
      return;
  }

  const std::string name_;
  Draft draft_;
  std::map<std::string, Directive> maps_;
};

}  // namespace
}  // namespace nginx

Draft from_nginx(std::string_view text, std::string_view name) {
  return nginx::Reader(text, name).take();
}

}  // namespace weir::convert
