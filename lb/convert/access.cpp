#include "lb/convert/access.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::convert {

namespace {

const std::vector<std::string> kEverybody{"0.0.0.0/0", "::/0"};

void append_new(std::vector<std::string>& to, const std::string& text) {
  if (std::ranges::find(to, text) == to.end()) to.push_back(text);
}

}  // namespace

void Access::add(Verdict verdict, const Network& network, std::size_t line, std::string said, bool exempts) {
  if (ended_)
    notes_.push_back(fmt::format("{}: left out: line {} decides before it", said, end_line_));
  else
    rules_.push_back({verdict, network, line, std::move(said), exempts});
}

void Access::add_file(Verdict verdict, std::string path, std::string said) {
  std::string& to = verdict == Verdict::Allow ? allow_file_ : deny_file_;
  if (ended_)
    notes_.push_back(fmt::format("{}: left out: line {} decides before it", said, end_line_));
  else if (!path.starts_with('/'))
    notes_.push_back(fmt::format("{}: left out: {}_file needs an absolute path", said,
                                 verdict == Verdict::Allow ? "allow" : "deny"));
  else if (!to.empty())
    notes_.push_back(fmt::format("{}: left out: there is one {}_file: put its networks there", said,
                                 verdict == Verdict::Allow ? "allow" : "deny"));
  else
    to = std::move(path);
}

void Access::rest(Verdict verdict, std::size_t line) {
  if (ended_) return;
  others_ = verdict;
  ended_ = true;
  end_line_ = line;
}

bool Access::allows() const {
  return !allow_file_.empty() ||
         std::ranges::any_of(rules_, [](const Rule& rule) { return rule.verdict == Verdict::Allow; });
}

const Access::Rule* Access::decided_before(const Rule& rule) const {
  for (const Rule& earlier : rules_) {
    if (&earlier == &rule) return nullptr;
    if (earlier.verdict != rule.verdict && earlier.network.contains(rule.network)) return &earlier;
  }
  return nullptr;
}

void Access::write(Table& to, bool on_unix) const {
  std::vector<std::string> allow, deny;
  for (const auto& note : notes_) to.note(note);
  const bool denies = !deny_file_.empty() || others_ == Verdict::Deny ||
                      std::ranges::any_of(rules_, [](const Rule& r) { return r.verdict == Verdict::Deny; });
  for (const Rule& rule : rules_) {
    if (const Rule* earlier = decided_before(rule))
      to.note(fmt::format(
          "{}: {} is left out: {} at line {} decides before it; in Weir the longest network would", rule.said,
          rule.network.to_string(), earlier->network.to_string(), earlier->line));
    else if (rule.verdict == Verdict::Deny)
      append_new(deny, rule.network.to_string());
    else if (denies)
      append_new(allow, rule.network.to_string());
    else if (!rule.exempts)
      to.note(
          fmt::format("{}: left out: it only ends the rules there and shuts nobody out; in Weir a network in "
                      "allow shuts out all others",
                      rule.said));
  }
  const bool allow_file = !allow_file_.empty() && denies;
  if (!allow_file_.empty() && !denies)
    to.note(
        fmt::format("{}: left out: it only ends the rules there and shuts nobody out; in Weir allow_file "
                    "shuts out all others",
                    allow_file_));
  if ((!deny_file_.empty() && (allow_file || !allow.empty())) || (allow_file && !deny.empty()))
    to.note(
        "where a network of the file and one of the other list overlap, the first line decided there, "
        "and here the longest network does");
  if (others_ == Verdict::Allow && (!allow.empty() || allow_file))
    for (const auto& network : kEverybody) append_new(allow, network);
  if (others_ == Verdict::Deny && allow.empty() && !allow_file) deny = kEverybody;
  const bool unix_allowed = std::ranges::find(allow, "unix") != allow.end();
  if (others_ == Verdict::Deny && on_unix && !unix_allowed) append_new(deny, "unix");
  if (!allow.empty()) to.set("allow", list_toml(allow));
  if (!deny.empty()) to.set("deny", list_toml(deny));
  if (allow_file) to.set("allow_file", quoted_toml(allow_file_));
  if (!deny_file_.empty()) to.set("deny_file", quoted_toml(deny_file_));
}

}  // namespace weir::convert
