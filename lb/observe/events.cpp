#include "lb/observe/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lb/base/log.h"

namespace weir {

namespace {

constexpr std::pair<Event::Kind, std::string_view> kKinds[] = {
    {Event::Kind::Health, "health"},   {Event::Kind::Verdict, "verdict"}, {Event::Kind::Word, "word"},
    {Event::Kind::Member, "member"},   {Event::Kind::Reload, "reload"},   {Event::Kind::Upgrade, "upgrade"},
    {Event::Kind::Trouble, "trouble"}, {Event::Kind::Process, "process"}};

/// Of what or of whom it speaks.
std::string subject_of(const Event& event) {
  if (event.pool.empty()) return "";
  return event.backend.empty() ? fmt::format("pool {} ", event.pool)
                               : fmt::format("{}/{} ", event.pool, event.backend);
}

bool is_the_same(const Event& one, const Event& other) {
  return one.kind == other.kind && one.pool == other.pool && one.backend == other.backend &&
         one.text == other.text && one.by == other.by && one.changes == other.changes;
}

}  // namespace

std::string_view to_string(Event::Kind kind) {
  return std::ranges::find(kKinds, kind, &std::pair<Event::Kind, std::string_view>::first)->second;
}

std::optional<Event::Kind> event_kind(std::string_view word) {
  for (const auto& [kind, name] : kKinds)
    if (name == word) return kind;
  return std::nullopt;
}

void Events::tell(spdlog::level::level_enum level, Event event) {
  daemon_log().log(level, "{}{}", subject_of(event), event.text);
  add(std::move(event));
}

void Events::add(Event event) {
  // A storm of one kind has others in between.
  for (auto before = events_.rbegin(); before != events_.rend() && before->time + kTogether >= event.time;
       ++before) {
    if (!is_the_same(*before, event)) continue;
    event.count += before->count;
    events_.erase(std::next(before).base());
    break;
  }
  last_[static_cast<std::size_t>(event.kind)] = event;
  events_.push_back(std::move(event));
  if (events_.size() > kMost) events_.pop_front();
}

std::vector<Event> Events::find(const Wanted& wanted) const {
  std::vector<Event> out;
  for (auto event = events_.rbegin(); event != events_.rend() && out.size() < wanted.most; ++event)
    if (event->time >= wanted.since && (wanted.pool.empty() || event->pool == wanted.pool) &&
        (wanted.backend.empty() || event->backend == wanted.backend))
      out.push_back(*event);
  std::ranges::reverse(out);
  return out;
}

}  // namespace weir
