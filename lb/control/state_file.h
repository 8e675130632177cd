#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lb/base/error.h"
#include "lb/control/commands.h"

namespace weir {

/// Where overrides survive a restart. Written whole and atomically (temporary file, fsync, rename, fsync of
/// the directory), so that a crash leaves the old state or the new one. Control thread only; blocks for as
/// long as the disk takes.
class StateFile {
 public:
  /// "" = off: nothing is read or written.
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  struct Loaded {
    Overrides overrides;
    std::string warning;  ///< the file was damaged and is kept aside; empty when all is well
  };
  /// A missing or empty file means no overrides. A damaged state file of Weir's is kept aside as
  /// "PATH.bad-TIME", and its overrides are lost. Anything else at that path is an error: it is somebody's,
  /// and is neither read nor replaced.
  Result<Loaded> load();

  /// Whether load() would take what is there, or find nothing. Changes nothing.
  Result<void> check_own() const;

  /// Writes nothing when that is what was loaded or saved last.
  Result<void> save(const Overrides& overrides);

  /// Whether save() can be expected to work. `create_directory`: makes the last directory of the path when it
  /// is missing.
  Result<void> check_writable(bool create_directory) const;

  const std::string& path() const { return path_; }
  bool off() const { return path_.empty(); }

 private:
  /// "" when there is none.
  Result<std::string> read() const;

  std::string path_;
  std::optional<Overrides> on_disk_;
};

/// The file's text and back; what is refused says why.
std::string format_state(const Overrides& overrides);
Result<Overrides> parse_state(std::string_view text);

}  // namespace weir
