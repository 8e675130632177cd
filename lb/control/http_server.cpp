#include "lb/control/http_server.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>

#include "lb/base/log.h"
#include "lb/control/http_state.h"
#include "lb/control/http_text.h"

namespace weir {

namespace {

constexpr const char* kOperatorHeader = "Weir-Operator";
constexpr std::size_t kHeadBytes = 32 * 1024;
/// Of a request; others are not looked at.
constexpr std::string_view kHeaders[] = {"host",   "origin",          "authorization",
                                         "accept", "accept-encoding", "last-event-id"};
constexpr std::string_view kNoStream =
    R"({"error":{"code":"busy","message":"too many readers of streams at once, ask again"}})"
    "\n";

/// Connections of libmicrohttpd's beyond the places: those who are shut down are its until its next run.
constexpr unsigned kLeaving = 2 * Acceptor::kAtOnce;
constexpr std::string_view kNoPlace =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    "Content-Length: 76\r\n\r\n"
    R"({"error":{"code":"busy","message":"too many requests at once, ask again"}})"
    "\r\n";

bool has_unread(int fd) {
  char byte;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

int descriptor_of(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

}  // namespace

std::optional<HttpRequest::Peer> HttpRequest::Peer::of(int connection) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  // Of a TCP socket the kernel answers with the user -1. (Process 0 is one of another namespace.)
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 ||
      credentials.uid == static_cast<uid_t>(-1))
    return std::nullopt;
  return Peer{credentials.uid, credentials.pid};
}

bool HttpRequest::Peer::privileged() const {
  return uid == 0 || uid == ::geteuid();
}

namespace {

/// Paths and queries are split before they are decoded, which is not libmicrohttpd's order.
std::size_t leave_escaped(void*, MHD_Connection*, char* text) {
  return std::strlen(text);
}

void log_complaint(void*, const char* format, va_list arguments) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  daemon_log().debug("admin: {}", quoted(text));
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::create(Loop& loop, Fd listening, std::size_t places,
                                                       Handler handler, BodyLimit body_limit) {
  auto state = std::make_unique<State>(loop, places, std::move(handler), std::move(body_limit));
  const auto on_request = [](void* self, MHD_Connection* connection, const char* url, const char* method,
                             const char*, const char* data, std::size_t* size, void** context) {
    return static_cast<State*>(self)->on_request(connection, url, method, data, size, context);
  };
  const auto on_completed = [](void* self, MHD_Connection* connection, void** context,
                               MHD_RequestTerminationCode) {
    auto& server = *static_cast<State*>(self);
    if (auto* exchange = static_cast<State::Exchange*>(*context)) {
      server.let_go(*exchange);
      if (exchange->streams && --server.streams == 0) server.beat.stop();
      std::erase(server.queue, exchange->id);
      server.exchanges.erase(exchange->id);
    }
    *context = nullptr;
    server.places.enter(descriptor_of(connection), HttpPlaces::Phase::Request,
                        std::chrono::steady_clock::now());
  };
  const auto on_connection = [](void* self, MHD_Connection* connection, void**,
                                MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) static_cast<State*>(self)->on_closed(descriptor_of(connection));
  };
  state->daemon = MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG,
      0, nullptr, nullptr, +on_request, state.get(), MHD_OPTION_EXTERNAL_LOGGER, &log_complaint, nullptr,
      MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(places) + kLeaving,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kHeadBytes, MHD_OPTION_UNESCAPE_CALLBACK, &leave_escaped, nullptr,
      MHD_OPTION_NOTIFY_COMPLETED, +on_completed, state.get(), MHD_OPTION_NOTIFY_CONNECTION, +on_connection,
      state.get(), MHD_OPTION_END);
  if (state->daemon == nullptr) return fail("the admin API could not be started");
  state->epoll_fd = MHD_get_daemon_info(state->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(state)));
  auto& s = *server->state_;
  if (auto watched = loop.watch(s.epoll_fd, s, events::kReadable); !watched)
    return tl::unexpected(watched.error());
  auto acceptor =
      Acceptor::create(loop, std::move(listening), [&s](Fd connection) { s.admit(std::move(connection)); });
  if (!acceptor) return tl::unexpected(acceptor.error());
  s.acceptor = std::move(*acceptor);
  return server;
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  state_->timer.stop();
  state_->work.stop();
  state_->beat.stop();
  state_->loop.unwatch(state_->epoll_fd);
  // A daemon must not be stopped while it has suspended connections.
  for (auto& [id, exchange] : state_->exchanges)
    if (exchange->suspended) MHD_resume_connection(exchange->connection);
  MHD_stop_daemon(state_->daemon);
}

int HttpServer::listening() const {
  return state_->acceptor->listening();
}

void HttpServer::fill_reserve() {
  state_->acceptor->fill_reserve();
}

void HttpServer::stop_accepting(Queue queue) {
  if (queue == Queue::ServedOut) state_->acceptor->serve_out();
  state_->acceptor->stop();
  state_->leaving = true;
  state_->wake_streams();
  for (const int fd : state_->places.between_requests())
    if (!has_unread(fd)) State::shut(fd);
}

bool HttpServer::idle() const {
  return !state_->places.busy();
}

void HttpServer::State::admit(Fd connection) {
  const int fd = connection.get();
  const auto peer = HttpRequest::Peer::of(fd);
  const auto arrival = places.arrive(fd, peer && peer->privileged(), std::chrono::steady_clock::now());
  if (arrival.displaced) displace(*arrival.displaced);
  if (!arrival.admitted) {
    static_cast<void>(::send(fd, kNoPlace.data(), kNoPlace.size(), MSG_NOSIGNAL));
    return;
  }
  peers[fd] = peer;
  // Of no use to libmicrohttpd, but asked for.
  const sockaddr nobody{};
  const int given = connection.release();
  if (MHD_add_connection(daemon, given, &nobody, sizeof nobody) != MHD_YES) on_closed(given);
  timer.start(Millis(0));
}

void HttpServer::State::displace(int fd) {
  shut(fd);
  // What is suspended does not see that.
  const auto waits =
      std::ranges::find_if(queue, [&](std::uint64_t id) { return exchanges.at(id)->fd == fd; });
  if (waits == queue.end()) return;
  const std::uint64_t id = *waits;
  queue.erase(waits);
  answer(id, {503, ""});
}

void HttpServer::State::work_on_next() {
  if (queue.empty()) return;
  const std::uint64_t id = queue.front();
  queue.pop_front();
  if (!queue.empty()) work.start(Millis(0));
  Exchange& exchange = *exchanges.at(id);
  places.enter(exchange.fd, HttpPlaces::Phase::Work, std::chrono::steady_clock::now());
  let_go(exchange);
  handler(std::move(exchange.request),
          [this, id](HttpResponse response) { answer(id, std::move(response)); });
}

void HttpServer::State::on_closed(int fd) {
  peers.erase(fd);
  places.leave(fd);
  timer.start(Millis(0));
}

void HttpServer::State::run() {
  if (running) return;
  running = true;
  for (const int fd : places.overdue(std::chrono::steady_clock::now())) shut(fd);
  MHD_run(daemon);
  running = false;
  acceptor->fill_reserve();
  const auto deadline = places.next_deadline();
  MHD_UNSIGNED_LONG_LONG wait = 0;
  const bool soon = MHD_get_timeout(daemon, &wait) == MHD_YES && wait == 0;
  if (soon) return timer.start(Millis(0));
  if (!deadline) return timer.stop();
  timer.start(std::max(Millis(0), std::chrono::ceil<Millis>(*deadline - std::chrono::steady_clock::now())));
}

void HttpServer::State::answer(std::uint64_t id, HttpResponse response) {
  const auto found = exchanges.find(id);
  if (found == exchanges.end() || found->second->response) return;
  auto& exchange = *found->second;
  exchange.response = std::move(response);
  WEIR_CHECK(exchange.suspended);
  resume(exchange);
}

void HttpServer::State::resume(Exchange& exchange) {
  exchange.suspended = false;
  MHD_resume_connection(exchange.connection);
  timer.start(Millis(0));  // resuming takes an explicit run
}

MHD_Result HttpServer::State::on_request(MHD_Connection* connection, const char* url, const char* method,
                                         const char* data, std::size_t* size, void** context) {
  if (*context == nullptr) {
    auto exchange = std::make_unique<Exchange>();
    exchange->id = ++last_id;
    exchange->connection = connection;
    exchange->request.method = method;
    exchange->request.path = split_path(url);
    exchange->most_bytes = body_limit(exchange->request);
    *context = exchange.get();
    exchanges.emplace(last_id, std::move(exchange));
    return MHD_YES;
  }
  auto& exchange = *static_cast<Exchange*>(*context);
  if (*size > 0) {
    collect(exchange, data, *size);
    *size = 0;
    return MHD_YES;
  }
  if (exchange.response) return respond(exchange);
  return exchange.asked ? MHD_YES : dispatch(exchange);
}

void HttpServer::State::collect(Exchange& exchange, const char* data, std::size_t size) {
  exchange.too_large =
      exchange.too_large || exchange.held + size > exchange.most_bytes || held + size > kMostBytesHeld;
  if (exchange.too_large) {
    let_go(exchange);
    exchange.request.body = std::string();
    return;
  }
  exchange.request.body.append(data, size);
  exchange.held += size;
  held += size;
}

MHD_Result HttpServer::State::dispatch(Exchange& exchange) {
  exchange.asked = true;
  if (exchange.too_large) {
    const auto text = fmt::format(
        R"({{"error":{{"code":"too_large","message":"the request's body is over {} KiB, or there are too many at once"}}}})",
        exchange.most_bytes / 1024);
    exchange.response = HttpResponse{413, text};
    return respond(exchange);
  }
  const auto take = [](void* request, MHD_ValueKind, const char* key, std::size_t key_size, const char* value,
                       std::size_t value_size) {
    auto& to = *static_cast<HttpRequest*>(request);
    std::string name = percent_decode({key, key_size});
    std::string text = value != nullptr ? percent_decode({value, value_size}) : "";
    if (!to.query.try_emplace(name, std::move(text)).second) to.repeated = std::move(name);
    return MHD_YES;
  };
  MHD_get_connection_values_n(exchange.connection, MHD_GET_ARGUMENT_KIND, +take, &exchange.request);
  const auto take_header = [](void* request, MHD_ValueKind, const char* key, std::size_t key_size,
                              const char* value, std::size_t value_size) {
    const std::string name = in_small_letters({key, key_size});
    if (std::ranges::find(kHeaders, name) == std::end(kHeaders)) return MHD_YES;
    std::string& all = static_cast<HttpRequest*>(request)->headers[name];
    const std::string_view text = value != nullptr ? std::string_view(value, value_size) : std::string_view();
    all += fmt::format("{}{}", all.empty() ? "" : ", ", text);
    return MHD_YES;
  };
  MHD_get_connection_values_n(exchange.connection, MHD_HEADER_KIND, +take_header, &exchange.request);
  const int fd = descriptor_of(exchange.connection);
  if (const auto found = peers.find(fd); found != peers.end()) exchange.request.peer = found->second;
  const auto& peer = exchange.request.peer;
  if (const char* operated =
          MHD_lookup_connection_value(exchange.connection, MHD_HEADER_KIND, kOperatorHeader))
    exchange.request.operated = operated;
  exchange.request.caller = peer ? fmt::format("uid {}, pid {}", peer->uid, peer->pid) : "unknown";
  places.enter(fd, HttpPlaces::Phase::Queue, std::chrono::steady_clock::now());
  exchange.fd = fd;
  queue.push_back(exchange.id);
  if (!work.active()) work.start(Millis(0));
  exchange.suspended = true;
  MHD_suspend_connection(exchange.connection);
  return MHD_YES;
}

MHD_Response* HttpServer::State::response_of(Exchange& exchange) {
  HttpResponse& own = *exchange.response;
  if (own.stream != nullptr && streams >= std::max<std::size_t>(1, place_count / 2))
    own = {503, std::string(kNoStream)};
  // What it owns stays until the exchange is over.
  if (own.stream == nullptr)
    return MHD_create_response_from_buffer(own.body.size(), own.body.data(), MHD_RESPMEM_PERSISTENT);
  return stream_response(exchange);
}

MHD_Result HttpServer::State::respond(Exchange& exchange) {
  MHD_Response* response = response_of(exchange);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, exchange.response->type.c_str());
  for (const auto& [name, value] : exchange.response->headers)
    MHD_add_response_header(response, name.c_str(), value.c_str());
  if (leaving) MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  exchange.fd = descriptor_of(exchange.connection);
  places.enter(exchange.fd, HttpPlaces::Phase::Answer, std::chrono::steady_clock::now());
  const auto queued =
      MHD_queue_response(exchange.connection, static_cast<unsigned>(exchange.response->status), response);
  MHD_destroy_response(response);
  return queued;
}

}  // namespace weir
