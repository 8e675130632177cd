#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lb/config/keys.h"
#include "lb/config/load.h"
#include "lb/config/toml.h"

namespace weir {

/// Where something stands in the file; unknown for what is not there.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  explicit operator bool() const { return line != 0; }
  friend bool operator==(Place, Place) = default;
};

/// What one load has found so far, and what it was given. Lives as long as the load.
class Findings {
 public:
  explicit Findings(const LoadOptions& options) : options_(options) {}

  const LoadOptions& options() const { return options_; }
  void fault(Place place, std::string_view message);
  void warn(Place place, std::string_view message);
  Written& written() { return written_; }

  /// `: did you mean "x"?` or nothing. Only for the first few of a file, since thousands of names may each be
  /// compared with thousands.
  std::string suggest(std::string_view name, std::span<const std::string_view> candidates);

  /// Both lists in the file's order.
  LoadResult finish();

 private:
  /// Those that are kept: of many the first in the file.
  struct List {
    std::vector<Fault> kept;
    std::size_t count = 0;

    void add(Place place, std::string_view message);
    void sort();
    std::vector<Fault> finish(std::string_view noun);
  };

  const LoadOptions& options_;
  List faults_;
  List warnings_;
  Written written_;
  int suggestions_left_ = 50;
};

/// `text` in quotes, with its end cut off when it is long.
std::string shown(std::string_view text);

/// `key = value: what` — or `key: what` when `what` begins with the value itself, as errors of lb/base do.
std::string value_fault(std::string_view key, std::string_view value, std::string_view what);

enum class Zero { Allowed, Refused };

/// Reads the keys of one table with their types and ranges. Each read leaves its target alone and notes a
/// fault when the value is not what it must be; it answers whether a value was there and good.
class TableReader {
 public:
  /// Notes a fault for each key that the table may not have.
  TableReader(Findings& findings, const toml::table& table, const TableKeys& keys);

  Findings& findings() const { return findings_; }
  const TableKeys& keys() const { return keys_; }
  bool has(std::string_view key) const { return table_.contains(key); }
  Place place() const;
  /// Of the value; of the table when the key is missing.
  Place place(std::string_view key) const;
  std::string path(std::string_view key) const;

  template <std::unsigned_integral T>
  bool integer(std::string_view key, std::uint64_t least, std::uint64_t most, T& target) const {
    std::uint64_t value = 0;
    if (!read_integer(key, least, most < std::numeric_limits<T>::max() ? most : std::numeric_limits<T>::max(),
                      value))
      return false;
    target = static_cast<T>(value);
    return true;
  }
  bool boolean(std::string_view key, bool& target) const;
  /// 0, or a number from kLeastBound to kMostBound.
  bool bound(std::string_view key, double& target) const;
  bool string(std::string_view key, std::string& target) const;
  /// "500KB", bytes a second; "0" is 0.
  bool byte_rate(std::string_view key, std::uint64_t& target) const;
  /// "20/s", as parse_rate() reads it; kept as it is written. "" is none.
  bool rate(std::string_view key, std::string& target) const;
  /// A name that the kernel allows; "" is none.
  bool congestion_control(std::string_view key, std::string& target) const;
  bool duration(std::string_view key, Zero zero, Millis& target) const;
  /// "0660": permissions of a file.
  bool file_mode(std::string_view key, std::uint32_t& target) const;
  /// One of a few words; `target` is its index. `what` names them: "balancer".
  bool choice(std::string_view key, std::string_view what, std::span<const std::string_view> words,
              std::size_t& target) const;
  /// A string, or a list of strings; the places are those of the strings. Faulty elements are left out.
  bool strings(std::string_view key, std::vector<std::string>& target, std::vector<Place>& places) const;
  /// The same, and the list may be empty.
  bool any_strings(std::string_view key, std::vector<std::string>& target, std::vector<Place>& places) const;
  /// Two integers, each from 1 to its own most.
  bool two_integers(std::string_view key, std::array<std::uint8_t, 2> most,
                    std::array<std::uint8_t, 2>& target) const;
  /// A list of strings only.
  bool list(std::string_view key, std::vector<std::string>& target, std::vector<Place>& places) const;

  const toml::table* table(std::string_view key, std::string_view header) const;
  std::vector<const toml::table*> tables(std::string_view key, std::string_view header) const;

  /// A fault at the value of `key`, which was read as `value`.
  void wrong(std::string_view key, std::string_view value, std::string_view what) const;
  /// A fault at the table: `key` is missing.
  void missing(std::string_view key, std::string_view what) const;

 private:
  bool read_integer(std::string_view key, std::uint64_t least, std::uint64_t most,
                    std::uint64_t& target) const;
  bool read_string(std::string_view path, const toml::node& node, std::string_view allowed,
                   std::string& target) const;
  bool read_list(std::string_view key, const toml::array& array, std::vector<std::string>& target,
                 std::vector<Place>& places) const;
  void wrong_type(std::string_view path, const toml::node& node, std::string_view allowed) const;

  Findings& findings_;
  const toml::table& table_;
  const TableKeys& keys_;
};

Place place_of(const toml::node& node);

}  // namespace weir
