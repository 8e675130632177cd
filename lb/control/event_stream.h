#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "lb/control/http_server.h"
#include "lb/observe/events.h"

namespace weir {

/// Events as they come, each as one message of server-sent events with its JSON for data. Its id is a place
/// ("1764494400123-1"), which a reader that comes again sends as Last-Event-ID: it goes on there, in the
/// process that follows, too. What a slow reader has missed is a message of the type "missed": {"missed":
/// 12}. Control thread; not longer than `events`.
std::shared_ptr<HttpStream> make_event_stream(Events& events, Events::Follower::Terms terms);

/// Nothing when it is no id of such a message.
std::optional<Events::Place> parse_event_id(std::string_view text);

}  // namespace weir
