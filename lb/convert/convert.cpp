#include "lb/convert/convert.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/draft.h"

namespace weir {

namespace {

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  return line.substr(0, line.find_last_not_of(kBlank) + 1);
}

/// What a line of the file says of whose it is.
Foreign guess_line(std::string_view line) {
  line = trimmed(line.substr(0, line.find('#')));
  const auto word = line.substr(0, line.find_first_of(" \t{"));
  if (word == "stream" && (line == word || trimmed(line.substr(word.size())).starts_with('{')))
    return Foreign::Nginx;
  const bool is_head = word == "frontend" || word == "backend" || word == "listen" || word == "defaults";
  return is_head && line.find('{') == line.npos && !line.ends_with(';') ? Foreign::Haproxy : Foreign::Guess;
}

Foreign guess(std::string_view text) {
  if (const auto first = text.find_first_not_of(" \t\r\n"); first != text.npos && text[first] == '{')
    return Foreign::Nlb;
  Foreign out = Foreign::Guess;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const Foreign kind = guess_line(line);
    if (kind == Foreign::Nginx) return kind;
    if (kind != Foreign::Guess) out = kind;
  }
  return out;
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
  if (draft->listeners.empty() && draft->pools.empty()) {
    const auto& notes = draft->root.notes();
    return fail(fmt::format("{}: there is no {} in it{}", name, what_is_missing(kind),
                            notes.empty() ? "" : fmt::format(" ({})", convert::comment_of(notes.front()))));
  }
  draft->settle(name);
  if (draft->listeners.empty())
    draft->root.note(
        fmt::format("{}: no listener came of it: write a [[listener]] with name, bind and pool", name));
  return draft->toml();
}

}  // namespace weir
