#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lb/convert/access.h"
#include "lb/convert/haproxy_conditions.h"

namespace weir::convert::haproxy {

/// What a "stick-table" counts: "conn_rate" and its period in milliseconds, and 0 for what has none.
using StickTable = std::map<std::string, unsigned long long>;
StickTable stick_table_of(const Line& line);

/// The "tcp-request" lines of one section: who is let in, and how many.
class Rules {
 public:
  /// `tables`: of all sections by their names; `section`: whose own is meant where none is named.
  Rules(const Comments& comments, const std::map<std::string, StickTable>& tables, std::string section)
      : comments_(comments), tables_(tables), section_(std::move(section)) {}

  void add(const Line& line, const Conditions& conditions);
  /// allow, deny, the limits and header_timeout, with a comment for each line that they do not hold.
  void write(Table& to, bool on_unix) const;
  /// Whether a rule is for the address that connects, which is not the client's where PROXY headers come.
  bool asks_before_header() const;
  /// The names of conditions of those lines that something was made of.
  void add_names_in_use(std::set<std::string>& to) const;
  /// Whether a table of this section serves a limit that is written.
  bool counts() const;

 private:
  struct Rule {
    Line line;
    std::string action;
    Condition condition;
    std::string track_table;
  };
  /// HAProxy asks all of them, in this order; "accept" ends its own set only.
  enum Set : std::size_t { Connection, Session, Content, kSets };
  using Lines = std::vector<Rule>;

  void write_set(const Lines& rules, Access& access, Table& to) const;
  void accept(const Rule& rule, bool limit_follows, Access& access, Table& to) const;
  void reject(const Rule& rule, const std::vector<std::string>& accepted, Access& access, Table& to) const;
  bool is_limit(const Rule& rule) const;
  /// `exempt`: whom it does not concern, as networks.
  void limit(const Rule& rule, std::vector<std::string> exempt, Table& to) const;
  void rate(const Rule& rule, const Term& term, unsigned long long most, Table& to) const;
  const Rule* tracked_before(const Rule& rule) const;
  std::string table_of(const Rule& rule, const Term& term) const;
  static bool lets_in_by_name(const Lines& rules);

  const Comments& comments_;
  const std::map<std::string, StickTable>& tables_;
  const std::string section_;
  Lines sets_[kSets];
  std::string header_timeout_;
  std::vector<std::pair<Line, std::string>> left_out_;
};

}  // namespace weir::convert::haproxy
