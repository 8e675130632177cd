#pragma once

#include <string>

#include "lb/config/config.h"
#include "lb/control/commands.h"

namespace weir {

/// What an operator said about backends and is still in force, by pool and name. It outlives the backends it
/// speaks of: the next configuration may have them again. Knows nothing of health.
class OperatorWords {
 public:
  /// Of an earlier life; `now` stands for the time of words that were saved without one.
  void restore(Overrides overrides, std::chrono::system_clock::time_point now);

  const Override* find(const std::string& pool, const std::string& backend) const;
  /// What is in force: the operator's word, else the file's.
  Admin admin(const std::string& pool, const BackendConfig& file) const;
  std::uint32_t weight(const std::string& pool, const BackendConfig& file) const;

  /// A word that says nothing takes the old one away.
  void say(const std::string& pool, const BackendConfig& file, Override word);
  void forget(const std::string& pool, const std::string& backend);
  /// The file says this now, and wins where it was edited. True when a word on `admin` is dropped.
  bool settle(const std::string& pool, const BackendConfig& file);
  /// Words on backends that `next` does not have are dropped.
  void drop_orphans(const Config& next);

  const Overrides& all() const { return words_; }

 private:
  Overrides words_;
};

/// What is left of an operator's word once the file says this: an edit of the very value, or of the address,
/// wins.
Override settled(Override said, const BackendConfig& file);

}  // namespace weir
