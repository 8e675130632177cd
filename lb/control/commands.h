#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "lb/balance/backend.h"
#include "lb/base/state.h"

namespace weir {

/// Why a command was not done, and how the CLI exits for it.
struct CommandError {
  enum class Kind : std::uint8_t {
    Usage,    ///< 400, exit 2: the request makes no sense
    Unknown,  ///< 404, exit 3: no such pool or backend
    Refused,  ///< 409, exit 1: it makes sense, and the state of things forbids it
    Failed,   ///< 500, exit 1
    Busy,     ///< 503, exit 1: upgrading, ask again
  };
  Kind kind = Kind::Failed;
  std::string message;  ///< names the thing and says what to do
  /// Of a configuration file, a line each.
  std::vector<std::string> faults = {};
};

template <class T>
using CommandResult = tl::expected<T, CommandError>;

/// A backend that a command named, and what is true of it now.
struct Changed {
  std::shared_ptr<const BackendLoad> load;  ///< names, and the live number of sessions
  Admin admin = Admin::Enabled;
  std::uint32_t weight = 1;
  bool removed = false;
};

struct Change {
  std::vector<Changed> backends;
  std::vector<std::string> notes;  ///< what the operator will want to know, a sentence each
  std::uint64_t generation = 0;    ///< the Table in which it is true
  bool published = false;          ///< false: it already was as asked
};

using SystemTime = std::chrono::sys_time<std::chrono::milliseconds>;

/// What an operator says along with a word.
struct Remark {
  std::string by = {};                                  ///< "ann", "uid 1007"; "" = not known
  std::string comment = {};                             ///< one line
  std::optional<std::chrono::milliseconds> lasts = {};  ///< then it ends by itself
};

/// An operator's word on one thing.
template <class T>
struct Word {
  T value;
  SystemTime since{};  ///< when it was said, or made another by saying something else
  std::string by = {};
  std::string comment = {};
  std::optional<SystemTime> until = {};

  friend bool operator==(const Word&, const Word&) = default;
};

/// What an operator said about one backend, and what the file said then: an edit of the file wins.
struct Override {
  std::optional<Word<Admin>> admin;
  std::optional<Word<std::uint32_t>> weight;

  Admin file_admin = Admin::Enabled;
  std::uint32_t file_weight = 1;
  std::string file_address;

  friend bool operator==(const Override&, const Override&) = default;
};

/// Keyed by pool and backend.
using Overrides = std::map<std::pair<std::string, std::string>, Override>;

}  // namespace weir
