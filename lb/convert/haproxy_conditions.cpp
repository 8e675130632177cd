#include "lb/convert/haproxy_conditions.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/convert/network_words.h"

namespace weir::convert::haproxy {

namespace {

constexpr unsigned long long kMostCounted = 1'000'000'000;
constexpr std::size_t kMostAlternatives = 64;

/// What a list of patterns is compared with, and how (chapter 7.1.3).
struct Test {
  std::string fetch, argument, match, file;
  std::vector<std::string> values;
};

Test test_of(const std::vector<std::string>& words) {
  Test out;
  out.fetch = words.front();
  if (const auto converter = out.fetch.find(",lower"); converter != std::string::npos)
    out.fetch.erase(converter, std::string_view(",lower").size());
  if (const auto open = out.fetch.find('('); open != std::string::npos && out.fetch.ends_with(')')) {
    out.argument = out.fetch.substr(open + 1, out.fetch.size() - open - 2);
    out.fetch.erase(open);
  }
  bool flags = true;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto& word = words[i];
    if (flags && word == "--")
      flags = false;
    else if (flags && (word == "-i" || word == "-n"))
      continue;
    else if (flags && word == "-m" && i + 1 < words.size())
      out.match = words[++i];
    else if (flags && word == "-f" && i + 1 < words.size())
      out.file = words[++i];
    else
      out.values.push_back(word);
  }
  return out;
}

struct Read {
  Term term;
  std::string why_not;
};

Read source(const Test& test) {
  Read out;
  out.term.of = Term::Of::Source;
  out.term.file = test.file;
  if (!test.match.empty() && test.match != "ip")
    out.why_not = fmt::format("src -m {} has no equal", test.match);
  for (const auto& value : test.values) {
    const auto network = network_of(value);
    if (!network) out.why_not = fmt::format("{} is no network", value);
    if (network) out.term.networks.push_back(*network);
  }
  if (!test.file.empty() && !test.values.empty())
    out.why_not = "networks and a file in one condition: write the networks into the file";
  return out;
}

Read server_name(const Test& test) {
  Read out;
  out.term.of = Term::Of::Name;
  if (test.match == "found") {
    out.term.values = {"*"};
    return out;
  }
  if (!test.file.empty()) out.why_not = "sni takes no file: write its names there";
  if (test.values.empty() && test.file.empty()) out.why_not = "it asks for no name";
  for (const auto& value : test.values) {
    const bool exact = test.match.empty() || test.match == "str";
    const auto name = exact ? value : "*" + value;
    if ((!exact && test.match != "end") || (!exact && !value.starts_with('.')) || name == "*" ||
        (exact && value.starts_with('*')))
      out.why_not = fmt::format("sni is a whole name, or \"*.\" and its end: write those that {} {} is for",
                                test.match.empty() ? "it" : "-m " + test.match, value);
    else if (!is_server_name(name))
      out.why_not = fmt::format("{} is no name of a TLS server", value);
    out.term.values.push_back(name);
  }
  return out;
}

Read protocol(const Test& test) {
  Read out;
  out.term.of = Term::Of::Protocol;
  out.term.values = test.values;
  out.term.remark = "there the whole list that a client offers is compared, here each protocol of it";
  const bool compares = test.match.empty() || test.match == "str" || test.match == "sub";
  constexpr std::size_t kMostProtocol = 255;
  const bool plain = std::ranges::all_of(test.values, [](const std::string& value) {
    return !value.empty() && value.size() <= kMostProtocol && value.find(',') == std::string::npos;
  });
  if (!compares || !plain || test.values.empty() || !test.file.empty())
    out.why_not = "alpn is one whole protocol of those that a client offers";
  return out;
}

/// "src_conn_cur", "sc0_conn_cur", "sc_conn_cur(0)": what the section's table has counted of a client.
Read counter(const Test& test) {
  Read out;
  out.term.of = Term::Of::Counter;
  out.term.counter = test.fetch.ends_with("conn_cur") ? "conn_cur" : "conn_rate";
  const bool by_source = test.fetch.starts_with("src_");
  const auto comma = test.argument.find(',');
  if (by_source)
    out.term.table = test.argument;
  else if (comma != std::string::npos)
    out.term.table = test.argument.substr(comma + 1);
  const auto number = test.values.size() == 2 ? number_in(test.values[1], 0, kMostCounted) : std::nullopt;
  if (!number || (test.values[0] != "gt" && test.values[0] != "ge") ||
      (*number == 0 && test.values[0] == "ge"))
    out.why_not = "sessions_per_client and new_sessions_per_client are a limit: more than (gt, ge) a number";
  else
    out.term.number = test.values[0] == "gt" ? *number : *number - 1;
  return out;
}

bool is_counter(const std::string& fetch) {
  const bool counts = fetch.ends_with("_conn_cur") || fetch.ends_with("_conn_rate");
  return counts && (fetch.starts_with("src_") || fetch.starts_with("sc"));
}

Read term_of(const std::vector<std::string>& words) {
  if (words.empty()) return {{}, "the condition is empty"};
  const Test test = test_of(words);
  if (test.fetch == "src") return source(test);
  if (test.fetch == "req.ssl_sni" || test.fetch == "req_ssl_sni") return server_name(test);
  if (test.fetch == "req.ssl_alpn") return protocol(test);
  if (is_counter(test.fetch)) return counter(test);
  Read out;
  if (test.fetch == "req.ssl_hello_type" || test.fetch == "req_ssl_hello_type")
    out.term.of = Term::Of::Hello;
  else if (test.fetch != "always_true" && test.fetch != "wait_end")
    out.why_not = fmt::format(
        "Weir asks for the client's address, and for the name (sni) and the protocols (alpn) "
        "of its first TLS message, not for {}",
        test.fetch);
  return out;
}

std::vector<std::vector<Term>> both(const std::vector<std::vector<Term>>& first,
                                    const std::vector<std::vector<Term>>& second) {
  std::vector<std::vector<Term>> out;
  for (const auto& one : first)
    for (const auto& other : second) {
      out.push_back(one);
      out.back().insert(out.back().end(), other.begin(), other.end());
    }
  return out;
}

/// None of several things fits: all of them negated.
std::vector<Term> none_of(std::vector<Term> any) {
  for (Term& term : any) term.negated = !term.negated;
  return any;
}

}  // namespace

bool Condition::always() const {
  const Term* term = only();
  return understood() && ((any.size() == 1 && any[0].empty()) ||
                          (term != nullptr && term->of == Term::Of::Always && !term->negated));
}

const Term* Condition::only() const {
  return understood() && any.size() == 1 && any[0].size() == 1 ? any[0].data() : nullptr;
}

void Conditions::define(const Line& line) {
  lines_.push_back(line);
  Named& named = names_[line.word(1)];
  const Read read = term_of(line.from(2));
  if (!read.why_not.empty()) named.why_not = fmt::format("acl {}: {}", line.word(1), read.why_not);
  // Lists of the same kind are one list.
  for (Term& term : named.any)
    if (term.of == read.term.of && term.of != Term::Of::Counter && term.file.empty() &&
        read.term.file.empty()) {
      term.networks.insert(term.networks.end(), read.term.networks.begin(), read.term.networks.end());
      term.values.insert(term.values.end(), read.term.values.begin(), read.term.values.end());
      return;
    }
  named.any.push_back(read.term);
}

Conditions::Named Conditions::named(const std::string& name) const {
  if (const auto found = names_.find(name); found != names_.end()) return found->second;
  if (name == "TRUE" || name == "WAIT_END") return {{Term{}}, ""};
  if (name == "LOCALHOST") return {{term_of({"src", "127.0.0.1/8", "::1"}).term}, ""};
  return {{}, fmt::format("there is no acl {} in this section that Weir has an equal of", name)};
}

Condition Conditions::read(const Line& line, std::size_t at) const {
  Condition out;
  out.any = {{}};
  if (at >= line.words.size()) return out;
  const bool unless = line.word(at) == "unless";
  if (!unless && line.word(at) != "if") {
    out.why_not = fmt::format("{} has no equal", line.word(at));
    return out;
  }
  std::vector<std::vector<Term>> done, now{{}};
  for (std::size_t i = at + 1; i < line.words.size() && out.understood(); ++i) {
    std::string word = line.words[i];
    if (word == "||" || word == "or") {
      done.insert(done.end(), now.begin(), now.end());
      now = {{}};
      continue;
    }
    bool negated = false;
    for (; word.starts_with('!'); word.erase(0, 1)) negated = !negated;
    if (word.empty() && i + 1 < line.words.size()) word = line.words[++i];
    Named item;
    if (word == "{") {
      const auto begin = line.words.begin() + static_cast<std::ptrdiff_t>(i) + 1;
      const auto end = std::find(begin, line.words.end(), "}");
      const Read read = term_of({begin, end});
      item = {{read.term}, read.why_not};
      i = static_cast<std::size_t>(end - line.words.begin());
    } else {
      item = named(word);
      out.names.push_back(word);
    }
    out.why_not = item.why_not;
    std::vector<std::vector<Term>> alternatives;
    if (negated)
      alternatives = {none_of(item.any)};
    else
      for (const Term& term : item.any) alternatives.push_back({term});
    now = both(now, alternatives);
    if (now.size() > kMostAlternatives) out.why_not = "it has too many alternatives";
  }
  done.insert(done.end(), now.begin(), now.end());
  out.any = done;
  if (!unless || !out.understood()) return out;
  // None of several single terms is all of them negated; of a list it would be any of them.
  std::vector<Term> terms;
  for (const auto& all : out.any)
    if (all.size() == 1)
      terms.push_back(all[0]);
    else
      out.why_not = "\"unless\" with several conditions at once";
  out.any = {none_of(terms)};
  return out;
}

}  // namespace weir::convert::haproxy
