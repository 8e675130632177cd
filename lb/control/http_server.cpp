#include "lb/control/http_server.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <optional>

#include "lb/base/log.h"
#include "lb/net/timer.h"

namespace weir {

namespace {

constexpr unsigned kIdleSeconds = 10;
constexpr std::size_t kHeadBytes = 32 * 1024;
/// libmicrohttpd 0.9.75 can miss a timeout while it is at its connection limit; it is run this often while it
/// has connections.
constexpr Millis kRunAtLeast{250};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string caller_of(MHD_Connection* connection) {
  const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (info == nullptr || ::getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return "unknown";
  return fmt::format("uid {}, pid {}", credentials.uid, credentials.pid);
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    if (slash > 0) out.push_back(percent_decode(path.substr(0, slash)));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return out;
}

}  // namespace

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct HttpServer::State final : Watcher {
  /// One request from its first line to the end of its answer. Owned by `requests`.
  struct Exchange {
    std::uint64_t id = 0;
    MHD_Connection* connection = nullptr;
    HttpRequest request;
    std::size_t most_bytes = 0;
    std::size_t held = 0;  ///< bytes of the body, while it is collected
    bool too_large = false;
    bool asked = false;
    bool suspended = false;
    std::optional<HttpResponse> response;
  };

  State(Loop& on_loop, Handler on_request, BodyLimit limit)
      : loop(on_loop),
        handler(std::move(on_request)),
        body_limit(std::move(limit)),
        timer(on_loop, [this] { run(); }) {}

  void on_events(std::uint32_t) override { run(); }
  void run();
  void answer(std::uint64_t id, HttpResponse response);
  void collect(Exchange& exchange, const char* data, std::size_t size);
  void let_go(Exchange& exchange) { held -= std::exchange(exchange.held, 0); }
  MHD_Result on_request(MHD_Connection* connection, const char* url, const char* method, const char* data,
                        std::size_t* size, void** context);
  MHD_Result respond(Exchange& exchange);
  MHD_Result dispatch(Exchange& exchange);

  Loop& loop;
  Handler handler;
  BodyLimit body_limit;
  Timer timer;
  MHD_Daemon* daemon = nullptr;  // owned
  int epoll_fd = -1;             // the daemon's
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> exchanges;
  std::size_t held = 0;  ///< bytes of all bodies that are being collected
  bool running = false;
  bool was_idle = true;  // at the end of the last run
};

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

Result<std::unique_ptr<HttpServer>> HttpServer::create(Loop& loop, Fd listening, Handler handler,
                                                       BodyLimit body_limit) {
  auto state = std::make_unique<State>(loop, std::move(handler), std::move(body_limit));
  const auto on_request = [](void* self, MHD_Connection* connection, const char* url, const char* method,
                             const char*, const char* data, std::size_t* size, void** context) {
    return static_cast<State*>(self)->on_request(connection, url, method, data, size, context);
  };
  const auto on_completed = [](void* self, MHD_Connection*, void** context, MHD_RequestTerminationCode) {
    auto& server = *static_cast<State*>(self);
    if (auto* exchange = static_cast<State::Exchange*>(*context)) {
      server.let_go(*exchange);
      server.exchanges.erase(exchange->id);
    }
    *context = nullptr;
  };
  state->daemon = MHD_start_daemon(
      MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, nullptr, nullptr,
      +on_request, state.get(), MHD_OPTION_EXTERNAL_LOGGER, &log_complaint, nullptr, MHD_OPTION_LISTEN_SOCKET,
      listening.get(), MHD_OPTION_CONNECTION_LIMIT, kConnections, MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kHeadBytes, MHD_OPTION_UNESCAPE_CALLBACK, &leave_escaped, nullptr,
      MHD_OPTION_NOTIFY_COMPLETED, +on_completed, state.get(), MHD_OPTION_END);
  if (state->daemon == nullptr) return fail("the admin API could not be started");
  static_cast<void>(listening.release());  // the daemon closes it
  state->epoll_fd = MHD_get_daemon_info(state->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(state)));
  auto& s = *server->state_;
  if (auto watched = loop.watch(s.epoll_fd, s, events::kReadable); !watched)
    return tl::unexpected(watched.error());
  return server;
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  state_->timer.stop();
  state_->loop.unwatch(state_->epoll_fd);
  // A daemon must not be stopped while it has suspended connections.
  for (auto& [id, exchange] : state_->exchanges)
    if (exchange->suspended) MHD_resume_connection(exchange->connection);
  MHD_stop_daemon(state_->daemon);
}

int HttpServer::listening() const {
  return MHD_get_daemon_info(state_->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
}

void HttpServer::stop_accepting() {
  // Also takes it out of the epoll set: the socket lives on elsewhere, and would go on waking this loop.
  Fd(MHD_quiesce_daemon(state_->daemon)).reset();
}

bool HttpServer::idle() const {
  return MHD_get_daemon_info(state_->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections == 0;
}

void HttpServer::State::run() {
  if (running) return;
  running = true;
  MHD_run(daemon);
  running = false;
  const auto* connections = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
  // The run that closed the last connection of a full daemon has not yet begun to accept again: only the next
  // one does, so a daemon that has just become idle is run once more.
  const bool idle = connections != nullptr && connections->num_connections == 0;
  const bool settled = idle && was_idle;
  was_idle = idle;
  if (settled) return timer.stop();
  MHD_UNSIGNED_LONG_LONG wait = 0;
  const bool bounded = MHD_get_timeout(daemon, &wait) == MHD_YES;
  timer.start(
      bounded ? std::min(kRunAtLeast, Millis(static_cast<std::int64_t>(std::min<std::uint64_t>(wait, 1000))))
              : kRunAtLeast);
}

void HttpServer::State::answer(std::uint64_t id, HttpResponse response) {
  const auto found = exchanges.find(id);
  if (found == exchanges.end() || found->second->response) return;
  auto& exchange = *found->second;
  exchange.response = std::move(response);
  if (!exchange.suspended) return;  // still inside dispatch()
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
  let_go(exchange);
  if (exchange.too_large) {
    const auto text = fmt::format(
        R"({{"error":{{"code":"too_large","message":"the request's body is over {} KiB, or there are too many at once"}}}})",
        exchange.most_bytes / 1024);
    exchange.response = HttpResponse{413, text};
    return respond(exchange);
  }
  const auto take = [](void* request, MHD_ValueKind, const char* key, std::size_t key_size, const char* value,
                       std::size_t value_size) {
    static_cast<HttpRequest*>(request)->query[percent_decode({key, key_size})] =
        value != nullptr ? percent_decode({value, value_size}) : "";
    return MHD_YES;
  };
  MHD_get_connection_values_n(exchange.connection, MHD_GET_ARGUMENT_KIND, +take, &exchange.request);
  exchange.request.caller = caller_of(exchange.connection);
  handler(std::move(exchange.request),
          [this, id = exchange.id](HttpResponse response) { answer(id, std::move(response)); });
  if (exchange.response) return respond(exchange);
  exchange.suspended = true;
  MHD_suspend_connection(exchange.connection);
  return MHD_YES;
}

MHD_Result HttpServer::State::respond(Exchange& exchange) {
  auto& body = exchange.response->body;
  MHD_Response* response = MHD_create_response_from_buffer(body.size(), body.data(), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
  const auto queued =
      MHD_queue_response(exchange.connection, static_cast<unsigned>(exchange.response->status), response);
  MHD_destroy_response(response);
  return queued;
}

}  // namespace weir
