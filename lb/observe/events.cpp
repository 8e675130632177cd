#include "lb/observe/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lb/base/journal.h"

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
  const bool is_anothers = handed_over_ && !event.pool.empty();
  if (is_anothers) level = spdlog::level::debug;
  log_with_fields(level, subject_of(event) + event.text,
                  {{"WEIR_EVENT", to_string(event.kind)},
                   {"WEIR_POOL", event.pool},
                   {"WEIR_BACKEND", event.backend},
                   {"WEIR_BY", event.by}});
  if (!is_anothers) add(std::move(event));
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
  event.number = ++last_number_;
  last_[static_cast<std::size_t>(event.kind)] = event;
  events_.push_back(std::move(event));
  if (events_.size() > kMost) {
    for (Follower* const follower : followers_)
      if (events_.front().number > follower->read_ && follower->wants(events_.front())) ++follower->missed_;
    events_.pop_front();
  }
  for (Follower* const follower : followers_) follower->on_new_();
}

std::deque<Event>::const_iterator Events::after(std::uint64_t number) const {
  return std::ranges::upper_bound(events_, number, {}, &Event::number);
}

namespace {

std::int64_t millis_of(const Event& event) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(event.time.time_since_epoch()).count();
}

}  // namespace

Events::Follower::Follower(Events& events, Terms terms, std::function<void()> on_new)
    : events_(events), terms_(std::move(terms)), on_new_(std::move(on_new)) {
  events_.followers_.push_back(this);
  for (const Event& event : events_.events_) {
    if (terms_.after) {
      const std::int64_t time = millis_of(event);
      const std::uint32_t of_the_same = time == place_.time_ms ? place_.of_the_same : 0;
      const bool read = time < terms_.after->time_ms ||
                        (time == terms_.after->time_ms && of_the_same < terms_.after->of_the_same);
      if (!read) break;
    } else if (terms_.since && event.time >= *terms_.since) {
      break;
    }
    pass(event);
  }
}

Events::Follower::~Follower() {
  std::erase(events_.followers_, this);
}

bool Events::Follower::wants(const Event& event) const {
  return (terms_.pool.empty() || event.pool == terms_.pool) &&
         (terms_.backend.empty() || event.backend == terms_.backend);
}

void Events::Follower::pass(const Event& event) {
  read_ = event.number;
  const std::int64_t time = millis_of(event);
  place_.of_the_same = time == place_.time_ms ? place_.of_the_same + 1 : 1;
  place_.time_ms = time;
}

std::vector<Event> Events::Follower::next(std::size_t most) {
  std::vector<Event> out;
  for (auto event = events_.after(read_); event != events_.events_.end() && out.size() < most; ++event) {
    pass(*event);
    if (wants(*event)) out.push_back(*event);
  }
  return out;
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
