#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/base/error.h"
#include "lb/convert/toml_words.h"

namespace weir::convert {

// A configuration of Weir's while it is made out of another one: text in, text out.

/// The keys of one table, in their order, and what is said above it.
class Table {
 public:
  /// `value` in TOML. The last word counts.
  void set(const std::string& key, std::string value);
  bool has(std::string_view key) const;
  std::string value(std::string_view key) const;  ///< "" = none
  void erase(std::string_view key);
  /// A comment; what has been said already is not said again.
  void note(const std::string& text);
  bool empty() const { return keys_.empty() && notes_.empty(); }
  const std::vector<std::pair<std::string, std::string>>& keys() const { return keys_; }
  const std::vector<std::string>& notes() const { return notes_; }
  /// `header`: "[[pool]]"; "" = the top level.
  std::string toml(std::string_view header) const;

 private:
  std::vector<std::pair<std::string, std::string>> keys_;
  std::vector<std::string> notes_;
};

struct Backend {
  Table table, health;
  bool probed = true;
};

struct Pool {
  std::string name;
  Table table, health;
  std::vector<Backend> backends;
};

/// Who takes it: all of what is given must fit.
struct Route {
  std::vector<std::string> names, protocols, clients;
  std::string pool;
  std::vector<std::string> notes;
};

struct Listener {
  std::string name;
  Table table;
  std::vector<std::string> bind;
  std::string pool;  ///< whom no route takes; "" = these are refused
  std::vector<Route> routes;

  bool on_unix() const;
};

struct Draft {
  Table root;
  std::vector<Listener> listeners;
  std::vector<Pool> pools;

  Pool* pool(std::string_view name);
  /// What all backends of a pool have the same of their own probes becomes the pool's; who is not probed says
  /// so. What cannot stand in a file of Weir's (a pool without backends, a route to no pool, an address
  /// twice) becomes a comment; `file` is the other's, for these.
  void settle(std::string_view file);
  std::string toml() const;

 private:
  void drop_loops(std::string_view file);
  void drop_empty_pools(std::string_view file);
  void drop_rates_of_unix_sockets(std::string_view file);
  void drop_ways_to_nowhere(std::string_view file);
  void drop_overlapping_addresses(std::string_view file);
  void drop_listeners_without_use(std::string_view file);
};

/// Of the files they read, these know each line's number.
Draft from_haproxy(std::string_view text, std::string_view name);
Draft from_nginx(std::string_view text, std::string_view name);
/// JSON documents one behind the other; an error where one is none.
Result<Draft> from_nlb(std::string_view text, std::string_view name);

}  // namespace weir::convert
