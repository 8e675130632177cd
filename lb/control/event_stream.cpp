#include "lb/control/event_stream.h"

#include <fmt/format.h>

#include <charconv>

#include "lb/control/event_json.h"

namespace weir {
namespace {

/// In one piece: what comes of a reload of thousands is some hundred KiB.
constexpr std::size_t kAtOnce = 32;

class EventStream final : public HttpStream {
 public:
  EventStream(Events& events, Events::Follower::Terms terms)
      : follower_(events, std::move(terms), [this] { wake(); }) {}

  std::optional<std::string> next() override {
    std::string out;
    // A browser whose stream has ended comes again after so long, and goes on here though nothing has come
    // yet.
    if (std::exchange(first_, false)) out = fmt::format("retry: 1000\nid: {}\n\n", id());
    const auto events = follower_.next(kAtOnce);
    if (const auto missed = follower_.take_missed(); missed > 0)
      out += fmt::format("event: missed\ndata: {{\"missed\":{}}}\n\n", missed);
    for (const Event& event : events) out += fmt::format("data: {}\n\n", to_json(event));
    if (!events.empty()) out.insert(out.size() - 1, fmt::format("id: {}\n", id()));
    return out;
  }

 private:
  std::string id() const {
    return fmt::format("{}-{}", follower_.place().time_ms, follower_.place().of_the_same);
  }

  Events::Follower follower_;
  bool first_ = true;
};

}  // namespace

std::shared_ptr<HttpStream> make_event_stream(Events& events, Events::Follower::Terms terms) {
  return std::make_shared<EventStream>(events, std::move(terms));
}

std::optional<Events::Place> parse_event_id(std::string_view text) {
  Events::Place out;
  const char* const end = text.data() + text.size();
  const auto time = std::from_chars(text.data(), end, out.time_ms);
  if (time.ec != std::errc() || time.ptr == end || *time.ptr != '-') return std::nullopt;
  const auto count = std::from_chars(time.ptr + 1, end, out.of_the_same);
  if (count.ec != std::errc() || count.ptr != end) return std::nullopt;
  return out;
}

}  // namespace weir
