#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/convert/draft.h"

namespace weir::convert::haproxy {

// The words of HAProxy's configuration (chapters 2.2, 2.5 and 11 of its manual). Pure.

struct Line {
  std::size_t number = 0;
  std::vector<std::string> words;
  std::string written;         ///< as it stands in the file, without its comment
  bool inherited = false;      ///< out of a "defaults" section
  bool has_variables = false;  ///< of the environment, which HAProxy puts in in double quotes

  std::string word(std::size_t i) const { return i < words.size() ? words[i] : ""; }
  /// Those from number `i` on.
  std::vector<std::string> from(std::size_t i) const;
};

struct Section {
  Line head;
  std::vector<Line> lines;
};

bool is_in(std::initializer_list<std::string_view> words, std::string_view word);

/// What stands before the first section is one without a head.
std::vector<Section> sections_of(std::string_view text);

/// Where comments go, and what they begin with.
class Comments {
 public:
  Comments(std::string file, Table& root) : file_(std::move(file)), root_(root) {}
  /// Above `at`; what "defaults" say, once for the whole file.
  void add(Table& at, const Line& line, std::string_view why) const;
  /// "file:line: the line as written"
  std::string place(const Line& line) const;
  /// "file:line: some of its words"
  std::string place(const Line& line, std::string_view words) const;
  const std::string& file() const { return file_; }
  Table& root() const { return root_; }

 private:
  std::string file_;
  Table& root_;
};

inline constexpr std::string_view kNoEqual = "it has no equal";

/// A time in milliseconds, which is its unit where none is given.
std::optional<unsigned long long> millis_of(const std::string& text);
/// A time as TOML; nothing for what is none, or is zero, which Weir has no equal of.
std::optional<std::string> duration_of(const std::string& text);
/// Addresses to bind as Weir's, each port of a range by itself; one "[::]" serves IPv4, too, and is two,
/// unless `only_v6`. Empty where it is not an IP address with a port or a hundred, or a unix socket.
std::vector<std::string> binds_of(const std::string& text, bool only_v6);
/// An address of "server" as Weir's; nothing where there is not one port.
std::optional<std::string> server_address_of(const std::string& text);

}  // namespace weir::convert::haproxy
