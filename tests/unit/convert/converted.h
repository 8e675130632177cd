#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "lb/convert/convert.h"

namespace weir::test {

/// What is made of another balancer's configuration called "f.cfg".
inline std::string converted(std::string_view text, Foreign kind = Foreign::Guess,
                             std::string_view name = "f.cfg") {
  const auto out = convert_config(text, name, kind);
  if (!out) FAIL(out.error().message);
  return *out;
}

inline bool has_line(const std::string& text, std::string_view line) {
  return ("\n" + text).find("\n" + std::string(line) + "\n") != std::string::npos;
}

/// Each of them is a whole line, whatever spaces stand before its "=".
inline void check_lines(const std::string& text, std::initializer_list<std::string_view> lines) {
  std::string narrow;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] != ' ' || text.substr(i, 2) != "  ") narrow += text[i];
  INFO(text);
  for (const std::string_view line : lines) {
    INFO("the line: " << line);
    CHECK(has_line(narrow, line));
  }
}

/// "f.cfg" with that text in a section that serves.
inline std::string haproxy_frontend(std::string_view lines) {
  return converted(
      "defaults\n timeout client 1m\n timeout server 1m\nfrontend f\n bind :80\n default_backend b\n" +
      std::string(lines) + "backend b\n server s 10.0.0.9:80\n");
}
inline std::string haproxy_backend(std::string_view lines) {
  return converted("defaults\n timeout client 1m\n timeout server 1m\nlisten b\n bind :80\n" +
                   std::string(lines));
}

}  // namespace weir::test
