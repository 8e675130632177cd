// Who may come in: "tcp-request" in Weir's words.
#include "lb/convert/haproxy_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::convert::haproxy {

namespace {

constexpr std::string_view kNoTls =
    "what is no TLS is refused there; in Weir it goes to the listener's pool: leave that out, and a route "
    "with "
    "sni = [\"*\"] takes every name";

bool is_refusal(const std::string& action) {
  return action == "reject" || action == "silent-drop";
}

/// Every alternative is one list of networks.
bool is_by_networks(const Condition& condition) {
  return condition.understood() && !condition.any.empty() &&
         std::ranges::all_of(condition.any, [](const std::vector<Term>& all) {
           return all.size() == 1 && all[0].of == Term::Of::Source && !all[0].negated;
         });
}

bool is_hello(const Condition& condition, bool negated) {
  const Term* term = condition.only();
  return term != nullptr && term->of == Term::Of::Hello && term->negated == negated;
}

/// "reject unless": only those networks go on.
const Term* only_those_go_on(const Condition& condition) {
  const Term* term = condition.only();
  return term != nullptr && term->of == Term::Of::Source && term->negated ? term : nullptr;
}

/// More of something than a number, by whoever is not in some networks; else null.
const Term* limit_of(const Condition& condition) {
  if (!condition.understood() || condition.any.size() != 1) return nullptr;
  const Term* out = nullptr;
  for (const Term& term : condition.any[0]) {
    if (term.of == Term::Of::Counter && !term.negated && out == nullptr)
      out = &term;
    else if (term.of != Term::Of::Source || !term.negated || !term.file.empty())
      return nullptr;
  }
  return out;
}

std::string why_not(const Condition& condition, std::string_view otherwise) {
  return fmt::format("left out: {}", condition.understood() ? otherwise : condition.why_not);
}

void add_networks(Access& access, Verdict verdict, const Term& term, const Line& line,
                  const std::string& said, bool exempts) {
  if (!term.file.empty()) access.add_file(verdict, term.file, said);
  for (const Network& network : term.networks) access.add(verdict, network, line.number, said, exempts);
}

}  // namespace

StickTable stick_table_of(const Line& line) {
  StickTable out;
  for (std::size_t i = 1; i + 1 < line.words.size(); ++i) {
    if (line.words[i] != "store") continue;
    std::string_view list = line.words[i + 1];
    while (!list.empty()) {
      const auto one = list.substr(0, list.find(','));
      list.remove_prefix(std::min(one.size() + 1, list.size()));
      const auto open = one.find('(');
      const bool has_period = open != one.npos && one.ends_with(')');
      const auto period =
          has_period ? millis_of(std::string(one.substr(open + 1, one.size() - open - 2))) : std::nullopt;
      out[std::string(one.substr(0, open))] = period.value_or(0);
    }
  }
  return out;
}

void Rules::add(const Line& line, const Conditions& conditions) {
  const auto kind = line.word(1);
  if (kind == "inspect-delay") {
    if (const auto delay = duration_of(line.word(2)))
      header_timeout_ = *delay;
    else
      left_out_.emplace_back(line, "header_timeout is a time that ends");
    return;
  }
  if (kind != "connection" && kind != "session" && kind != "content") {
    left_out_.emplace_back(line, kNoEqual);
    return;
  }
  const Set set = kind == "connection" ? Connection : kind == "session" ? Session : Content;
  std::size_t at = 3;
  while (at < line.words.size() && line.word(at) != "if" && line.word(at) != "unless") ++at;
  Rule rule{line, line.word(2), conditions.read(line, at), ""};
  for (std::size_t i = 3; i + 1 < at; ++i)
    if (line.words[i] == "table") rule.track_table = line.words[i + 1];
  sets_[set].push_back(std::move(rule));
}

bool Rules::lets_in_by_name(const Lines& rules) {
  return std::ranges::any_of(rules, [](const Rule& rule) {
    return (rule.action == "accept" && is_by_networks(rule.condition)) ||
           (is_refusal(rule.action) && only_those_go_on(rule.condition) != nullptr);
  });
}

void Rules::write(Table& to, bool on_unix) const {
  if (!header_timeout_.empty()) to.set("header_timeout", header_timeout_);
  for (const auto& [line, why] : left_out_) comments_.add(to, line, why);
  Access access;
  const Lines* last = nullptr;
  for (const Lines& set : sets_)
    if (lets_in_by_name(set) && last == nullptr) last = &set;
  // All of the sets must let a client in: those that only refuse may as well come first.
  for (const Lines& set : sets_) {
    if (&set == last) continue;
    if (!lets_in_by_name(set)) {
      write_set(set, access, to);
      continue;
    }
    for (const Rule& rule : set)
      comments_.add(to, rule.line,
                    "left out: connection, session and content rules must all let a client in; "
                    "Weir has one list");
  }
  if (last != nullptr) write_set(*last, access, to);
  access.write(to, on_unix);
}

void Rules::write_set(const Lines& rules, Access& access, Table& to) const {
  const Rule* pending = nullptr;
  const Rule* ended = nullptr;
  bool tls = false;
  std::vector<std::string> accepted;
  for (const Rule& rule : rules) {
    const bool always = rule.condition.always();
    const bool refuses = is_refusal(rule.action);
    if (ended != nullptr) {
      comments_.add(to, rule.line, fmt::format("left out: line {} decides before it", ended->line.number));
    } else if (rule.action == "accept" && is_hello(rule.condition, false)) {
      tls = true;
    } else if (rule.action == "accept" && always) {
      ended = &rule;
    } else if (rule.action == "accept" && pending == nullptr) {
      const bool limit_follows =
          std::any_of(&rule, rules.data() + rules.size(), [&](const Rule& one) { return is_limit(one); });
      accept(rule, limit_follows, access, to);
      if (!is_by_networks(rule.condition)) continue;
      for (const auto& all : rule.condition.any)
        for (const Network& network : all[0].networks) accepted.push_back(network.to_string());
    } else if (refuses && (is_hello(rule.condition, true) || (always && tls))) {
      comments_.add(to, rule.line, kNoTls);
    } else if (refuses && pending == nullptr && only_those_go_on(rule.condition) != nullptr) {
      pending = &rule;
    } else if (refuses) {
      if (always) ended = &rule;
      reject(rule, accepted, access, to);
    } else if (rule.action.starts_with("track-sc")) {
      if (!counts() || rule.line.word(3) != "src")
        comments_.add(to, rule.line, "left out: nothing that is converted counts by it");
    } else if (rule.action == "expect-proxy") {
      comments_.add(to, rule.line,
                    "left out: in Weir those in proxy_from alone may connect, each with a header");
    } else {
      comments_.add(to, rule.line, fmt::format("left out: {} has no equal here", rule.action));
    }
  }
  if (pending == nullptr) return;
  add_networks(access, Verdict::Allow, *only_those_go_on(pending->condition), pending->line,
               comments_.place(pending->line), false);
  access.rest(Verdict::Deny, pending->line.number);
}

void Rules::accept(const Rule& rule, bool limit_follows, Access& access, Table& to) const {
  if (!is_by_networks(rule.condition))
    return comments_.add(to, rule.line,
                         why_not(rule.condition,
                                 "accept only ends the rules there and shuts nobody out; in Weir allow "
                                 "and deny are by the client's networks alone"));
  for (const auto& all : rule.condition.any) {
    add_networks(access, Verdict::Allow, all[0], rule.line, comments_.place(rule.line), limit_follows);
    if (limit_follows && !all[0].file.empty())
      comments_.add(
          to, rule.line,
          "the limits behind it do not concern them there; unlimited takes no file: write them there");
  }
}

void Rules::reject(const Rule& rule, const std::vector<std::string>& accepted, Access& access,
                   Table& to) const {
  if (rule.action == "silent-drop") comments_.add(to, rule.line, "who is denied gets a reset in Weir");
  if (rule.condition.always()) return access.rest(Verdict::Deny, rule.line.number);
  if (is_limit(rule)) return limit(rule, accepted, to);
  if (is_by_networks(rule.condition)) {
    for (const auto& all : rule.condition.any)
      add_networks(access, Verdict::Deny, all[0], rule.line, comments_.place(rule.line), false);
    return;
  }
  comments_.add(to, rule.line,
                why_not(rule.condition,
                        "deny is by the client's networks alone; a name that no route takes is "
                        "refused where the listener has no pool of its own"));
}

bool Rules::is_limit(const Rule& rule) const {
  const Term* term = limit_of(rule.condition);
  if (rule.action != "reject" || term == nullptr) return false;
  const auto table = tables_.find(table_of(rule, *term));
  const bool tracked = std::ranges::any_of(sets_, [](const Lines& set) {
    return std::ranges::any_of(set, [](const Rule& one) {
      return one.action.starts_with("track-sc") && one.line.word(3) == "src" && one.condition.always();
    });
  });
  return tracked && table != tables_.end() && table->second.contains(term->counter);
}

bool Rules::asks_before_header() const {
  return std::ranges::any_of(sets_[Connection], [](const Rule& rule) {
    return std::ranges::any_of(rule.condition.any, [](const std::vector<Term>& all) {
      return std::ranges::any_of(all, [](const Term& term) { return term.of == Term::Of::Source; });
    });
  });
}

void Rules::add_names_in_use(std::set<std::string>& to) const {
  for (const Lines& set : sets_)
    for (const Rule& rule : set) {
      const bool decides = rule.action == "accept" || is_refusal(rule.action);
      const bool is_made = is_by_networks(rule.condition) || only_those_go_on(rule.condition) != nullptr ||
                           is_limit(rule) || is_hello(rule.condition, false);
      if (decides && is_made) to.insert(rule.condition.names.begin(), rule.condition.names.end());
    }
}

bool Rules::counts() const {
  return std::ranges::any_of(sets_, [&](const Lines& set) {
    return std::ranges::any_of(set, [&](const Rule& rule) { return is_limit(rule); });
  });
}

const Rules::Rule* Rules::tracked_before(const Rule& rule) const {
  for (const Lines& set : sets_)
    for (const Rule& one : set) {
      if (&one == &rule) return nullptr;
      if (one.action.starts_with("track-sc")) return &one;
    }
  return nullptr;
}

std::string Rules::table_of(const Rule& rule, const Term& term) const {
  if (!term.table.empty()) return term.table;
  const Rule* track = tracked_before(rule);
  return track != nullptr && !track->track_table.empty() ? track->track_table : section_;
}

void Rules::limit(const Rule& rule, std::vector<std::string> exempt, Table& to) const {
  const Term& term = *limit_of(rule.condition);
  for (const Term& other : rule.condition.any[0])
    for (const Network& network : other.networks) exempt.push_back(network.to_string());
  // One that is counted before it is judged is in the count itself.
  const auto most = term.number + (tracked_before(rule) != nullptr ? 0 : 1);
  if (most == 0) return comments_.add(to, rule.line, "left out: it refuses everybody");
  to.set("client_prefix", "[32, 128]");
  if (to.has("unlimited") && to.value("unlimited") != list_toml(exempt))
    comments_.add(to, rule.line, "unlimited is for both limits");
  if (!exempt.empty()) to.set("unlimited", list_toml(exempt));
  if (term.counter == "conn_cur")
    to.set("sessions_per_client", std::to_string(most));
  else
    rate(rule, term, most, to);
}

void Rules::rate(const Rule& rule, const Term& term, unsigned long long most, Table& to) const {
  constexpr unsigned long long kSecond = 1'000, kMinute = 60'000, kHour = 3'600'000, kMostRate = 9'999'999;
  const auto period = std::max(tables_.at(table_of(rule, term)).at(term.counter), 1ULL);
  const char unit = period == kSecond ? 's' : most * kMinute % period == 0 ? 'm' : 'h';
  const auto of_unit = unit == 's' ? kSecond : unit == 'm' ? kMinute : kHour;
  const auto number = std::clamp(most * of_unit / period, 1ULL, kMostRate);
  to.set("new_sessions_per_client", fmt::format("\"{}/{}\"", number, unit));
  if (unit == 's') return;
  to.set("burst", std::to_string(most));
  comments_.add(to, rule.line,
                "there within a time that slides, here out of a bucket (burst) that fills at this rate");
}

}  // namespace weir::convert::haproxy
