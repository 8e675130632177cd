#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lb/admit/network.h"
#include "lb/convert/draft.h"

namespace weir::convert {

enum class Verdict { Allow, Deny };

/// Rules of which the first that fits decides, as HAProxy and nginx have them, for Weir, where the longest
/// network does, and where a list of whom to allow shuts out all others.
class Access {
 public:
  /// `said`: "file:line: the line", for a comment. `exempts`: from a limit, so that a network to allow is not
  /// in vain where nobody is denied.
  void add(Verdict verdict, const Network& network, std::size_t line, std::string said, bool exempts = false);
  /// A file of networks; only one of each verdict has a place in Weir.
  void add_file(Verdict verdict, std::string path, std::string said);
  /// All others; whatever is added behind it is never asked.
  void rest(Verdict verdict, std::size_t line);
  bool ended() const { return ended_; }
  bool empty() const { return rules_.empty() && allow_file_.empty() && deny_file_.empty() && !ended_; }
  /// Whether anybody at all is let in by name.
  bool allows() const;
  /// allow, deny and their files, and a comment for each rule that was left out. `on_unix`: the listener has
  /// clients without an address, whom Weir lets in unless "unix" is named.
  void write(Table& to, bool on_unix) const;

 private:
  struct Rule {
    Verdict verdict;
    Network network;
    std::size_t line;
    std::string said;
    bool exempts;
  };
  const Rule* decided_before(const Rule& rule) const;

  std::vector<Rule> rules_;
  std::vector<std::string> notes_;
  std::string allow_file_, deny_file_;
  Verdict others_ = Verdict::Allow;
  bool ended_ = false;
  std::size_t end_line_ = 0;
};

}  // namespace weir::convert
