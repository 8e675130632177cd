#include "lb/convert/convert.h"

#include <fmt/format.h>

#include <regex>

#include "lb/convert/draft.h"

namespace weir {

namespace {

bool has_line(std::string_view text, const char* pattern) {
  const std::regex line(pattern, std::regex::multiline);
  return std::regex_search(text.begin(), text.end(), line);
}

Foreign guess(std::string_view text) {
  if (const auto first = text.find_first_not_of(" \t\r\n"); first != text.npos && text[first] == '{')
    return Foreign::Nlb;
  if (has_line(text, R"(^\s*stream\s*\{)")) return Foreign::Nginx;
  if (has_line(text, R"(^\s*(frontend|backend|listen|defaults)\b[^{]*$)")) return Foreign::Haproxy;
  return Foreign::Guess;
}

Result<convert::Draft> read(std::string_view text, std::string_view name, Foreign kind) {
  switch (kind) {
    case Foreign::Haproxy:
      return convert::from_haproxy(text, name);
    case Foreign::Nlb:
      return convert::from_nlb(text, name);
    case Foreign::Nginx:
    case Foreign::Guess:
      break;
  }
  return convert::from_nginx(text, name);
}

std::string_view what_is_missing(Foreign kind) {
  if (kind == Foreign::Haproxy) return "frontend, backend or listen section";
  return kind == Foreign::Nlb ? "target group for TCP with a target (TargetGroups, TargetHealthDescriptions)"
                              : "server or upstream in a stream block";
}

}  // namespace

Result<std::string> convert_config(std::string_view text, std::string_view name, Foreign kind) {
  if (kind == Foreign::Guess) kind = guess(text);
  if (kind == Foreign::Guess)
    return fail(
        fmt::format("{}: neither HAProxy's sections (frontend, backend, listen) nor nginx's stream block are "
                    "in it, and it is "
                    "not AWS's JSON: name what it is with --from haproxy, nginx or nlb",
                    name));
  auto draft = read(text, name, kind);
  if (!draft) return tl::unexpected(draft.error());
  if (draft->listeners.empty() && draft->pools.empty())
    return fail(fmt::format("{}: there is no {} in it", name, what_is_missing(kind)));
  draft->settle();
  return draft->toml();
}

}  // namespace weir
