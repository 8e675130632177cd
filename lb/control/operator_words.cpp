#include "lb/control/operator_words.h"

#include <algorithm>

#include "lb/base/duration.h"

namespace weir {

Override settled(Override said, const BackendConfig& file) {
  const bool moved = said.file_address != file.endpoint.text;
  if (moved || said.file_admin != file.admin) {
    said.admin.reset();
    said.admin_since = {};
  }
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
    if (said.admin && said.admin_since == decltype(said.admin_since){})
      said.admin_since = std::chrono::floor<Millis>(now);
}

const Override* OperatorWords::find(const std::string& pool, const std::string& backend) const {
  const auto found = words_.find({pool, backend});
  return found != words_.end() ? &found->second : nullptr;
}

Admin OperatorWords::admin(const std::string& pool, const BackendConfig& file) const {
  const auto* said = find(pool, file.name);
  return said != nullptr && said->admin ? *said->admin : file.admin;
}

std::uint32_t OperatorWords::weight(const std::string& pool, const BackendConfig& file) const {
  const auto* said = find(pool, file.name);
  return said != nullptr && said->weight ? *said->weight : file.weight;
}

void OperatorWords::say(const std::string& pool, const BackendConfig& file, Override word) {
  if (!word.admin && !word.weight) return forget(pool, file.name);
  if (!word.admin) word.admin_since = {};
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

void OperatorWords::drop_orphans(const Config& next) {
  std::erase_if(words_, [&](const auto& item) {
    const auto* pool = next.find_pool(item.first.first);
    return pool == nullptr || std::none_of(pool->backends.begin(), pool->backends.end(),
                                           [&](auto& b) { return b.name == item.first.second; });
  });
}

}  // namespace weir
