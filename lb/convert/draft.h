#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/base/error.h"

namespace weir::convert {

// A configuration of Weir's while it is made out of another one: text in, text out.

/// A string as TOML writes it.
std::string quoted_toml(std::string_view text);
/// `["a", "b"]`
std::string list_toml(const std::vector<std::string>& items);
/// "90s" out of 90000, in the largest unit that keeps it whole.
std::string duration_toml(unsigned long long millis);
/// What Weir takes for a name, other characters being "_".
std::string name_of(std::string_view text);
/// A network as Weir takes it: host bits are an error there, and a bare address is one.
bool is_network(std::string_view text);

/// The keys of one table, in their order, and what is said above it.
class Table {
 public:
  /// `value` in TOML. The last word counts.
  void set(const std::string& key, std::string value);
  bool has(std::string_view key) const;
  std::string value(std::string_view key) const;  ///< "" = none
  void erase(std::string_view key);
  void note(std::string text) { notes_.push_back(std::move(text)); }
  bool empty() const { return keys_.empty() && notes_.empty(); }
  const std::vector<std::pair<std::string, std::string>>& keys() const { return keys_; }
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

struct Listener {
  std::string name;
  Table table;
  std::vector<std::string> bind;
  std::vector<Table> routes;
};

struct Draft {
  Table root;
  std::vector<Listener> listeners;
  std::vector<Pool> pools;

  /// What all backends of a pool have the same of their own probes becomes the pool's; who is not probed says
  /// so.
  void settle();
  std::string toml() const;
};

/// Of the files they read, these know each line's number.
Draft from_haproxy(std::string_view text, std::string_view name);
Draft from_nginx(std::string_view text, std::string_view name);
/// JSON documents one behind the other; an error where one is none.
Result<Draft> from_nlb(std::string_view text, std::string_view name);

}  // namespace weir::convert
