#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/convert/draft.h"
#include "lb/convert/haproxy_words.h"

namespace weir::convert::haproxy {

/// What a named condition asks for, as far as Weir can.
struct Acl {
  std::vector<std::string> networks, names;
  bool whole = true;  ///< else there is more in it than that
};

/// Makes a draft of the sections, one after the other; "defaults" are those of the sections behind them.
class Reader {
 public:
  Reader(std::string_view text, std::string_view name);
  Draft take() { return std::move(draft_); }

 private:
  struct Proxy {
    Listener* listener = nullptr;  ///< null: a backend section
    Pool* pool = nullptr;          ///< null: a frontend
    std::map<std::string, Acl> acls;
    std::vector<std::string> server_defaults;
    bool serves = false;
  };

  void none(Table& at, const Line& line, std::string_view instead = "it has no equal") const;
  void global(const Line& line);
  void proxy(const Section& section, const std::vector<Line>& defaults);
  /// What Weir does by itself, or has nothing to do with.
  static bool is_usual_option(const std::string& name);
  static void add_acl(Proxy& now, const Line& line);
  /// The one condition behind "if": of a named list or of one in braces; `negated` by "!" or "unless".
  static std::optional<Acl> condition_of(const Proxy& now, const Line& line, std::size_t at, bool& negated);

  bool of_listener(Proxy& now, const Line& line);
  void bind(Proxy& now, const Line& line);
  bool of_pool(Proxy& now, const Line& line);
  bool timeout(Proxy& now, const Line& line);
  bool option(Proxy& now, const Line& line);
  void balance(Proxy& now, const Line& line);
  void server(Proxy& now, const Line& line);

  const std::string name_;
  Draft draft_;
  bool inherited_ = false;
};

}  // namespace weir::convert::haproxy
