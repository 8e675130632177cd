#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::convert::haproxy {

// The words of HAProxy's configuration (chapters 2.2, 2.5 and 11 of its manual). Pure.

struct Line {
  std::size_t number = 0;
  std::vector<std::string> words;

  std::string text() const { return fmt::format("{}", fmt::join(words, " ")); }
  std::string word(std::size_t i) const { return i < words.size() ? words[i] : ""; }
};

struct Section {
  Line head;
  std::vector<Line> lines;
};

std::vector<Section> sections_of(std::string_view text);

/// A time as TOML; nothing for what is none, or is zero, which Weir has no equal of.
std::optional<std::string> duration_of(const std::string& text);
/// An address of "server" or "bind" as Weir's: "unix@/path", "[::1]:80", "*:80", ":80"; `any`: the host of
/// the last two. Nothing where there is not one port.
std::optional<std::string> address_of(std::string text, const std::string& any);

}  // namespace weir::convert::haproxy
