#include "lb/control/operator_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lb/base/duration.h"

namespace weir {

namespace {

/// " (ann: disk swap)"
template <class T>
std::string remark_of(const Word<T>& word) {
  if (word.by.empty() && word.comment.empty()) return "";
  return fmt::format(" ({}{}{})", word.by, word.by.empty() || word.comment.empty() ? "" : ": ", word.comment);
}

}  // namespace

Override settled(Override said, const BackendConfig& file) {
  const bool moved = said.file_address != file.endpoint.text;
  if (moved || said.file_admin != file.admin) said.admin.reset();
  if (moved || said.file_weight != file.weight) said.weight.reset();
  said.file_admin = file.admin;
  said.file_weight = file.weight;
  said.file_address = file.endpoint.text;
  return said;
}

void OperatorWords::restore(Overrides overrides, std::chrono::system_clock::time_point now) {
  words_ = std::move(overrides);
  // Saved by a Weir that did not yet note it.
  for (auto& [key, said] : words_)
    if (said.admin && said.admin->since == SystemTime()) said.admin->since = std::chrono::floor<Millis>(now);
}

const Override* OperatorWords::find(const std::string& pool, const std::string& backend) const {
  const auto found = words_.find({pool, backend});
  return found != words_.end() ? &found->second : nullptr;
}

Admin OperatorWords::admin(const std::string& pool, const BackendConfig& file) const {
  const auto* said = find(pool, file.name);
  return said != nullptr && said->admin ? said->admin->value : file.admin;
}

std::uint32_t OperatorWords::weight(const std::string& pool, const BackendConfig& file) const {
  const auto* said = find(pool, file.name);
  return said != nullptr && said->weight ? said->weight->value : file.weight;
}

void OperatorWords::say(const std::string& pool, const BackendConfig& file, Override word) {
  if (!word.admin && !word.weight) return forget(pool, file.name);
  word.file_admin = file.admin;
  word.file_weight = file.weight;
  word.file_address = file.endpoint.text;
  words_[{pool, file.name}] = std::move(word);
}

void OperatorWords::forget(const std::string& pool, const std::string& backend) {
  words_.erase({pool, backend});
}

bool OperatorWords::settle(const std::string& pool, const BackendConfig& file) {
  const auto found = words_.find({pool, file.name});
  if (found == words_.end()) return false;
  const bool had_admin = found->second.admin.has_value();
  found->second = settled(std::move(found->second), file);
  const bool has_admin = found->second.admin.has_value();
  if (!has_admin && !found->second.weight) words_.erase(found);
  return had_admin && !has_admin;
}

std::optional<SystemTime> OperatorWords::next_end() const {
  std::optional<SystemTime> soonest;
  const auto consider = [&](const auto& word) {
    if (word && word->until) soonest = std::min(soonest.value_or(*word->until), *word->until);
  };
  for (const auto& [key, said] : words_) {
    consider(said.admin);
    consider(said.weight);
  }
  return soonest;
}

Overrides OperatorWords::take_ended(SystemTime now) {
  Overrides ended;
  const auto take = [&](auto& word, auto& into) {
    if (word && word->until && *word->until <= now) into = std::exchange(word, std::nullopt);
  };
  for (auto it = words_.begin(); it != words_.end();) {
    Override gone;
    take(it->second.admin, gone.admin);
    take(it->second.weight, gone.weight);
    if (gone.admin || gone.weight) ended.emplace(it->first, std::move(gone));
    it = it->second.admin || it->second.weight ? std::next(it) : words_.erase(it);
  }
  return ended;
}

bool is_comment(std::string_view text) {
  return text.size() <= kMostCommentBytes &&
         std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

std::string to_string(const Word<Admin>& word) {
  return std::string(to_string(word.value)) + " by an operator" + remark_of(word);
}
std::string to_string(const Word<std::uint32_t>& word) {
  return fmt::format("weight {} by an operator{}", word.value, remark_of(word));
}

void OperatorWords::drop_orphans(const Config& next) {
  std::erase_if(words_, [&](const auto& item) {
    const auto* pool = next.find_pool(item.first.first);
    return pool == nullptr || std::none_of(pool->backends.begin(), pool->backends.end(),
                                           [&](auto& b) { return b.name == item.first.second; });
  });
}

}  // namespace weir
