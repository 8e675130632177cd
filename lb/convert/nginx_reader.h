#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lb/convert/draft.h"
#include "lb/convert/nginx_words.h"

namespace weir::convert::nginx {

inline constexpr std::string_view kNoEqual = "it has no equal";

/// Makes a draft of the stream block.
class Reader {
 public:
  Reader(std::string_view text, std::string_view name);
  Draft take() { return std::move(draft_); }

 private:
  using Directives = std::vector<Directive>;
  /// What the servers that lead to a pool say of it.
  struct Terms {
    Table table, health;
    bool probed = false;
    bool operator==(const Terms& other) const;
  };
  /// Of an upstream, or of an address.
  struct Written {
    std::string target, pool;
    Terms terms;
  };
  /// Listeners of one server block are apart where one of them takes PROXY headers.
  struct Door {
    std::vector<std::string> plain, proxy;
    bool tcp = false, udp = false;
    std::string why_not;
  };
  /// A target of "proxy_pass" in a variable, and who is sent there.
  struct Choice {
    std::size_t rank = 0;  ///< nginx asks the smaller ones first
    Route route;
    const Directive* entry = nullptr;
  };

  /// Above `at`; what stands in no server block, once for the whole file.
  void note(Table& at, const Directive& one, std::string_view why);
  void outside(const Directive& one);
  void stream(const Directive& of);
  void collect(const Directive& one);
  static Directives in_force(const Directives& outer, const Directives& own);

  void upstream(Pool& pool, const Directive& of);
  void backend(Pool& pool, const Directive& of);
  void parameter(Pool& pool, Backend& backend, const Directive& of, const std::string& word);
  Terms terms_of(const Directives& all);
  void term(Terms& terms, const Directive& one);
  void health_check(Terms& terms, const Directive& one, const Directives& all);
  void match(Terms& terms, const Directive& of);
  /// The pool of an upstream or address under these terms, written when it is not there; "" for neither.
  std::string pool_of(const std::string& target, const Terms& terms, std::size_t line);
  void write_unused();

  void server(const Directive& of, const Directives& outer);
  Door door_of(const Directives& all, Table& notes);
  void rules(Listener& listener, const Directives& all);
  void limit(Listener& listener, const Directive& one);
  void proxy_from(Listener& listener, const Directives& all, bool takes_header);
  void leave_out(const Directive& of, const std::string& why);
  std::string free_name(std::string name, std::size_t line) const;

  bool pass(Listener& listener, const Directive& one, const Terms& terms);
  void routes(Listener& listener, const Directive& map, const Terms& terms, std::size_t line);
  std::optional<Choice> choice(Table& notes, const Directive& map, const Directive& entry, bool hostnames);

  const std::string name_;
  Draft draft_;
  std::map<std::string, Directive> variables_;  ///< "map" and "geo" by the variable that they set
  std::map<std::string, Directive> upstreams_, zones_, matches_;
  std::set<std::string> zones_used_, variables_used_, for_udp_;
  std::vector<Written> written_;
};

}  // namespace weir::convert::nginx
