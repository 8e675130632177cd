#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lb/admit/network.h"
#include "lb/convert/haproxy_words.h"

namespace weir::convert::haproxy {

/// One thing that a condition asks for.
struct Term {
  enum class Of {
    Always,
    Source,    ///< the client is in `networks`, or in `file`'s
    Name,      ///< a TLS client asks for one of `values`, in Weir's words
    Protocol,  ///< it offers one of them
    Hello,     ///< it has sent a first TLS message
    Counter,   ///< `counter` is more than `number`
  };
  Of of = Of::Always;
  bool negated = false;
  std::vector<Network> networks;
  std::vector<std::string> values;
  std::string file;
  std::string counter, table;  ///< "conn_cur" or "conn_rate"; "" = the section's own table
  unsigned long long number = 0;
  std::string remark;  ///< what Weir does a little differently
};

/// What stands behind "if" or "unless": any of several lists of terms, all of which fit.
struct Condition {
  std::vector<std::vector<Term>> any;
  std::string why_not;             ///< why nothing was made of it; "" = `any` is all of it
  std::vector<std::string> names;  ///< of the "acl" lines that it asks for

  bool understood() const { return why_not.empty(); }
  bool always() const;
  /// The only term, when it is one; else null.
  const Term* only() const;
};

/// The named conditions of a section, and how those of its lines are read.
class Conditions {
 public:
  /// An "acl" line; several of one name are alternatives.
  void define(const Line& line);
  /// Of a line from its word number `at` on: nothing there is a condition that always holds.
  Condition read(const Line& line, std::size_t at) const;
  const std::vector<Line>& lines() const { return lines_; }

 private:
  struct Named {
    std::vector<Term> any;
    std::string why_not;
  };
  Named named(const std::string& name) const;

  std::map<std::string, Named> names_;
  std::vector<Line> lines_;
};

}  // namespace weir::convert::haproxy
