// Answers that come piece by piece.

#include "lb/control/http_state.h"

namespace weir {

namespace {

/// What libmicrohttpd asks a stream for at once.
constexpr std::size_t kStreamBlock = 16 * 1024;
/// A comment of server-sent events.
constexpr std::string_view kStreamBeat = ":\n\n";

}  // namespace

MHD_Response* HttpServer::State::stream_response(Exchange& exchange) {
  struct Reader {
    State& server;
    std::uint64_t id;
  };
  const auto read = [](void* self, std::uint64_t, char* to, std::size_t size) -> ssize_t {
    const auto& [server, id] = *static_cast<Reader*>(self);
    return server.read_stream(*server.exchanges.at(id), to, size);
  };
  const auto free = [](void* self) { delete static_cast<Reader*>(self); };
  ++streams;
  exchange.streams = true;
  if (!beat.active()) beat.start(kBeat);
  exchange.response->stream->on_wake([this, id = exchange.id] { wake_stream(id); });
  return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kStreamBlock, +read,
                                           new Reader{*this, exchange.id}, +free);
}

void HttpServer::State::wake_stream(std::uint64_t id) {
  const auto found = exchanges.find(id);
  if (found != exchanges.end() && found->second->response && found->second->suspended) resume(*found->second);
}

void HttpServer::State::wake_streams() {
  if (streams == 0) return;
  for (const auto& [id, exchange] : exchanges)
    if (exchange->response && exchange->suspended) resume(*exchange);
  beat.start(kBeat);
}

ssize_t HttpServer::State::read_stream(Exchange& exchange, char* to, std::size_t size) {
  const auto now = std::chrono::steady_clock::now();
  if (exchange.sent == exchange.piece.size()) {
    if (leaving) return MHD_CONTENT_READER_END_OF_STREAM;
    auto next = exchange.response->stream->next();
    if (!next) return MHD_CONTENT_READER_END_OF_STREAM;
    exchange.piece = std::move(*next);
    exchange.sent = 0;
    if (exchange.piece.empty() && now - exchange.spoke >= kBeat) exchange.piece = kStreamBeat;
  }
  if (exchange.piece.empty()) {
    places.enter(exchange.fd, HttpPlaces::Phase::Stream, now);
    exchange.suspended = true;
    MHD_suspend_connection(exchange.connection);
    return 0;
  }
  places.enter(exchange.fd, HttpPlaces::Phase::Answer, now);
  exchange.spoke = now;
  const std::size_t part = exchange.piece.copy(to, size, exchange.sent);
  exchange.sent += part;
  return static_cast<ssize_t>(part);
}

}  // namespace weir
