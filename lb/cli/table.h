#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

enum class Colour : std::uint8_t { None, Good, Warn, Bad, Faint };

struct Cell {
  std::string text;
  Colour colour = Colour::None;
  bool right = false;  ///< numbers
  int spare = 0;       ///< of a header: the column is left out where there is no room; 1 first. 0 = never
};

/// Text in columns two blanks apart, each as wide as its widest cell.
class TextTable {
 public:
  explicit TextTable(std::vector<Cell> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }

  struct Style {
    std::size_t width = 0;  ///< columns of the terminal: columns are cut to fit ("…"); 0 = no limit
    bool colour = false;
    std::size_t indent = 0;
  };
  std::string render(const Style& style) const;

 private:
  std::vector<std::size_t> columns(const Style& style) const;
  std::size_t least_width(const Style& style, std::size_t most_of_last) const;
  /// The same without the columns that are to be spared first.
  TextTable without(int spare) const;

  std::vector<std::vector<Cell>> rows_;
};

/// Columns of a terminal that UTF-8 text takes.
std::size_t columns_of(std::string_view text);
/// At most `columns`, the last one being "…" when something is cut. Control characters become "?".
std::string fitted(std::string_view text, std::size_t columns);

/// "3", "12.3k", "4.5M": at most five columns.
std::string short_number(std::uint64_t number);
/// "1 session", "37 sessions"
std::string sessions_text(std::uint64_t count);
/// "0 B", "1.2 KiB", …
std::string short_bytes(std::uint64_t bytes);
/// "0B", "1.2K", "34M": at most five columns.
std::string terse_bytes(std::uint64_t bytes);
/// "9s", "3m", "2h", "4d": at most four columns, up to 27 years.
std::string age(double seconds);
/// "0.3 s", "12 s", "5 m 3 s", "3 h 2 m", "4 d 1 h"
std::string short_duration(double seconds);

}  // namespace weir
