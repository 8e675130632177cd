#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/base/error.h"
#include "lb/control/commands.h"

namespace weir {

/// Where overrides survive a restart. Written whole and atomically (temporary file, fsync, rename, fsync of
/// the directory), so that a crash leaves the old state or the new one. A symbolic link at its path is
/// followed. What another version has written and this one does not understand stays in the file. One thread
/// at a time; blocks for as long as the disk takes.
class StateFile {
 public:
  /// "" = off: nothing is read or written.
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  struct Loaded {
    Overrides overrides;
    std::vector<std::string> warnings;  ///< the file was damaged and is kept aside; what is not understood
  };
  /// A missing or empty file means no overrides. A damaged state file of Weir's is kept aside as
  /// "PATH.bad-TIME", and its overrides are lost. Anything else at that path is an error: it is somebody
  /// else's, and is neither read nor replaced.
  Result<Loaded> load();

  /// Whether load() would take what is there, or find nothing. Changes nothing.
  Result<void> check_own() const;

  /// Writes nothing when that is what was loaded or saved last, nor no overrides where there is no file.
  /// `wanted` is asked once more before the old file is replaced: a disk may have taken so long that another
  /// process writes by now; then nothing is replaced, and that is no error.
  Result<void> save(const Overrides& overrides, const std::function<bool()>& wanted = nullptr);

  /// Whether save() can be expected to work. `create_directory`: makes the directories of the path that are
  /// missing.
  Result<void> check_writable(bool create_directory) const;

  const std::string& path() const { return path_; }
  bool off() const { return path_.empty(); }

 private:
  /// "" when there is none.
  Result<std::string> read() const;

  std::string path_;
  std::optional<Overrides> on_disk_;
  std::string unknown_;  ///< ParsedState::unknown of what was loaded
};

struct ParsedState {
  Overrides overrides;
  std::string unknown;                  ///< what is not understood, for format_state(); "" = nothing
  std::vector<std::string> complaints;  ///< about that, a sentence each
};
/// The file's text and back. Refused, with the reason, is only what cannot be taken apart.
Result<ParsedState> parse_state(std::string_view text);
std::string format_state(const Overrides& overrides, const std::string& unknown = {});

}  // namespace weir
