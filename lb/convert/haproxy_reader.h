#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lb/convert/draft.h"
#include "lb/convert/haproxy_conditions.h"
#include "lb/convert/haproxy_probe.h"
#include "lb/convert/haproxy_rules.h"
#include "lb/convert/haproxy_servers.h"
#include "lb/convert/haproxy_words.h"

namespace weir::convert::haproxy {

/// Makes a draft of the sections, one after the other.
class Reader {
 public:
  Reader(std::string_view text, std::string_view name);
  Draft take() { return std::move(draft_); }

 private:
  /// "timeout" lines in milliseconds; 0 = none.
  struct Times {
    unsigned long long client = 0, server = 0, tunnel = 0, client_fin = 0, server_fin = 0;
  };
  /// Of "bind" lines that ask for the same: one listener.
  struct Door {
    std::size_t line = 0;
    std::vector<std::string> addresses;
    bool proxy = false;
    std::string mode, owner, group, most;
  };
  struct Proxy {
    Proxy(const Comments& comments, const std::map<std::string, StickTable>& tables, const std::string& name)
        : rules(comments, tables, name), probe(comments), servers(comments) {}

    bool listens = false, serves = false, all_backups = false;
    Listener listener;
    Pool pool;
    std::vector<Door> doors;
    Conditions conditions;
    Rules rules;
    Probe probe;
    Servers servers;
    Times times;
    std::string queue_timeout, hash_bound;
    std::vector<Line> stick_tables;
    std::set<std::string> names_in_use;  ///< of conditions of routes that are written
    std::optional<Line> always;          ///< "use_backend" without a condition
    Table& first() { return listens ? listener.table : pool.table; }
  };

  void collect_tables(const std::vector<Section>& sections);
  std::vector<Line> defaults_of(const Section& section) const;
  void global(const Line& line);
  void proxy(const Section& section);
  void read_line(Proxy& now, const Line& line);
  void finish_pool(Proxy& now, const Section& section);
  void say_unused(Proxy& now, const std::string& section);
  void finish_times();
  /// Whether sections of that kind have such a line; what it says of Weir is written, or a comment.
  bool any_section(Proxy& now, const Line& line);
  bool timeout(Proxy& now, const Line& line);

  bool of_listener(Proxy& now, const Line& line);
  void bind(Proxy& now, const Line& line);
  void use_backend(Proxy& now, const Line& line);
  void finish_listener(Proxy& now);

  bool of_pool(Proxy& now, const Line& line);
  bool option(Proxy& now, const Line& line);
  void balance(Proxy& now, const Line& line);
  void bound(Proxy& now, const Line& line);

  const std::string name_;
  Draft draft_;
  const Comments comments_;
  std::map<std::string, StickTable> tables_;
  std::set<std::string> tables_in_use_;
  std::map<std::string, std::vector<Line>> defaults_;  ///< "" = of those without a name that are in force
  std::map<std::size_t, std::pair<Line, bool>> inherited_;  ///< whether any section had a use for the line
  std::map<std::string, Times> listener_times_, pool_times_;
};

}  // namespace weir::convert::haproxy
