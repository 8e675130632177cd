#pragma once

#include <string>
#include <vector>

#include "lb/convert/haproxy_words.h"

namespace weir::convert::haproxy {

/// The "server" lines of one section, and what they have in common.
class Servers {
 public:
  explicit Servers(const Comments& comments) : comments_(comments) {}

  /// "default-server": for those behind it.
  void add_defaults(const Line& line) { defaults_.push_back(line); }
  /// "server", "server-template" or "dispatch"; `notes`: for what no backend is there to say it at.
  void add(const Line& line, Table& notes);
  /// The backends, and those of their words that are a pool's in Weir. `has_timeout`: checks have one of
  /// their own; `all_backups`: they serve together.
  void write(Pool& pool, bool has_timeout, bool all_backups) const;

  bool empty() const { return servers_.empty(); }
  /// Whether all that are checked are asked over TLS.
  bool checked_over_tls() const;
  bool limited() const;

 private:
  struct Server {
    Line line;
    Backend backend;
    std::string send_proxy, slow_start, source;
    bool closes = false;
    bool agent = false, tls = false, check_tls = false, says_check_tls = false;
    std::string agent_port, check_address;
  };
  /// Takes the words from number `i` on; comments go to `notes`.
  void read(const Line& line, std::size_t i, Server& server, Table& notes) const;
  bool read_health(const Line& line, std::size_t& i, Server& server, Table& notes) const;
  bool read_pools(const Line& line, std::size_t& i, Server& server, Table& notes) const;
  void read_rest(const Line& line, std::size_t& i, Server& server, Table& notes) const;
  void set_number(const Line& line, std::size_t& i, Table& to, const std::string& key,
                  unsigned long long most, Table& notes) const;
  static bool is_checked_over_tls(const Server& server);
  void ask_over_tls(Server& server, const std::string& probe) const;
  void settle_health(Server& server, bool has_timeout) const;
  void write_common(Pool& pool, std::vector<Backend>& backends, bool all_backups) const;

  const Comments& comments_;
  std::vector<Line> defaults_;
  std::vector<Server> servers_;
};

/// The address of "source IP", without its port; "" for none, `why` saying what is left out.
std::string source_of(const Line& line, std::size_t at, std::string& why);

}  // namespace weir::convert::haproxy
