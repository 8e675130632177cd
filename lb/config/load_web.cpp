#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "lb/admit/routes.h"
#include "lb/base/file.h"
#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::uint64_t kMostTokenFileBytes = 4096;
/// Fewer are guessed.
constexpr std::size_t kLeastTokenBytes = 16;

void read_binds(const TableReader& reader, Draft& draft) {
  std::vector<std::string> binds;
  std::vector<Place> places;
  if (!reader.any_strings("bind", binds, places)) return;
  for (std::size_t i = 0; i < binds.size(); ++i) {
    if (binds[i].empty() && binds.size() == 1) continue;
    auto address = parse_bind(binds[i]);
    if (!address) {
      reader.findings().fault(places[i], value_fault(reader.path("bind"), binds[i], address.error().message));
      continue;
    }
    draft.config->web.bind.push_back(*address);
    draft.web_bind.push_back(places[i]);
  }
}

void read_hosts(const TableReader& reader, std::vector<std::string>& hosts) {
  std::vector<std::string> names;
  std::vector<Place> places;
  if (!reader.any_strings("hosts", names, places)) return;
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto pattern = parse_name_pattern(names[i]);
    if (pattern)
      hosts.push_back(std::move(*pattern));
    else
      reader.findings().fault(places[i],
                              value_fault(reader.path("hosts"), names[i], pattern.error().message));
  }
}

/// What is wrong with it, or "".
std::string token_problem(std::string_view token) {
  if (token.empty()) return "is empty: its first line must be the token";
  if (token.size() < kLeastTokenBytes)
    return fmt::format(
        "has a token of {} bytes: one of fewer than {} is guessed (openssl rand -hex 32 makes one)",
        token.size(), kLeastTokenBytes);
  if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; }))
    return "has a token with a character that HTTP cannot carry: allowed is ASCII without blanks";
  return "";
}

void read_token(const TableReader& reader, WebConfig& web) {
  if (!reader.string("token_file", web.token_file) || web.token_file.empty()) return;
  const auto wrong = [&](std::string_view why) { reader.wrong("token_file", web.token_file, why); };
  if (!web.token_file.starts_with('/')) return wrong("must be an absolute path");
  const auto text = read_file(web.token_file, kMostTokenFileBytes, reader.findings().options().patience);
  if (!text) return wrong(text.error().message);
  std::string token = text->substr(0, text->find('\n'));
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (const std::string problem = token_problem(token); !problem.empty()) return wrong(problem);
  web.token = std::move(token);
  struct stat status {};
  if (::stat(web.token_file.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
      (status.st_mode & S_IROTH) != 0)
    reader.findings().warn(reader.place("token_file"), value_fault(reader.path("token_file"), web.token_file,
                                                                   "everybody on this host can read it"));
}

}  // namespace

void read_web(Findings& findings, const toml::table& table, Draft& draft) {
  const TableReader reader(findings, table, web_keys());
  read_binds(reader, draft);
  read_hosts(reader, draft.config->web.hosts);
  read_token(reader, draft.config->web);
  for (const char* key : {"hosts", "token_file"})
    if (reader.has(key) && !reader.has("bind"))
      findings.warn(reader.place(key),
                    fmt::format("{} has no effect: there is no web.bind", reader.path(key)));
}

}  // namespace weir
