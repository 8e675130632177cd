#pragma once

#include <optional>
#include <string>
#include <string_view>

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

  /// When the next word that was said for a time ends.
  std::optional<SystemTime> next_end() const;
  /// Those whose time is over are in force no more.
  Overrides take_ended(SystemTime now);

  const Overrides& all() const { return words_; }

 private:
  Overrides words_;
};

/// What `said` becomes when an operator says `value`, which may be what holds already: saying it again, and
/// nothing with it, changes nothing, but for a word that would have ended by itself. `changed`: it was not so
/// before.
template <class T>
Word<T> said_anew(const std::optional<Word<T>>& said, T value, bool changed, const Remark& remark,
                  SystemTime now) {
  const bool repeated = said && said->value == value && !changed;
  if (repeated && remark.comment.empty() && !remark.lasts && !said->until) return *said;
  Word<T> out{.value = value, .since = repeated ? said->since : now, .by = remark.by};
  out.comment = repeated && remark.comment.empty() ? said->comment : remark.comment;
  if (remark.lasts) out.until = now + *remark.lasts;
  return out;
}

/// One line of so many bytes at most.
constexpr std::size_t kMostCommentBytes = 256;
bool is_comment(std::string_view text);

/// "drained by an operator (ann: disk swap)", "weight 5 by an operator (ann)"
std::string to_string(const Word<Admin>& word);
std::string to_string(const Word<std::uint32_t>& word);

/// What is left of an operator's word once the file says this: an edit of the very value, or of the address,
/// wins.
Override settled(Override said, const BackendConfig& file);

}  // namespace weir
