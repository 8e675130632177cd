#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lb/cli/read_json.h"

namespace CLI {
class App;
}

namespace weir {

/// What a shell may put where the cursor is.
struct Offer {
  std::string value;
  std::string about;
};
struct Offers {
  bool files = false;  ///< the names of files, which the shell knows best
  std::vector<Offer> values = {};
};

/// What `weir status` says, of the daemon at this socket ("" = the usual one); an empty object when nobody
/// answers.
using AskStatus = std::function<AnswerJson(const std::string& socket)>;

/// For `words` after "weir", of which the last one is being written. All that could stand there, whatever its
/// first letters are. `ask` is called only where something of the running Weir can stand.
Offers offers_for(const CLI::App& app, const std::vector<std::string>& words, const AskStatus& ask);

/// Asks the running Weir, silently, and for a second at most.
AnswerJson ask_running(const std::string& socket);

/// For the scripts of the shells: "files" or "values" on the first line, then a value, a tab and what it is.
std::string offer_lines(const Offers& offers);

}  // namespace weir
