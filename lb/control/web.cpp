#include "lb/control/web.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/metrics.h"
#include "lb/net/socket.h"
#include "lb/observe/gzip.h"
#include "lb/observe/page_bytes.h"

namespace weir {
namespace {

using Answer = HttpServer::Answer;

constexpr std::size_t kMostPageBytes = 4 * 1024 * 1024;
/// Of a socket on a path: what is to be seen there can be seen by TCP by everybody on this host.
constexpr std::uint32_t kUnixMode = 0666;

bool overlap(const Address& a, const Address& b) {
  return a == b || (a.family() == b.family() && a.port() == b.port() && (a.is_wildcard() || b.is_wildcard()));
}

bool is_path(const HttpRequest& request, std::string_view name) {
  return request.path.size() == 1 && request.path[0] == name;
}

HttpResponse plain(int status, std::string text) {
  return {status, std::move(text), "text/plain; charset=utf-8"};
}

HttpResponse wrong_method(std::string_view allowed) {
  HttpResponse out{405, error_json("wrong_method", fmt::format("allowed here: {}", allowed))};
  out.headers.emplace_back("Allow", allowed);
  return out;
}

Result<Fd> bind_one(const Address& address, bool beside_own) {
  if (address.is_unix()) return listen_unix(address, {.mode = kUnixMode, .owner = {}, .group = {}});
  return listen_tcp(address, !beside_own);
}

}  // namespace

Web::Web(const WebParts& parts, std::vector<Socket> sockets) : parts_(parts) {
  for (Socket& socket : sockets) doors_.push_back({socket.address, std::move(socket.fd), nullptr, {}});
}

Web::~Web() = default;

Result<std::vector<Web::Socket>> Web::bind(const WebConfig& config, std::vector<Socket> inherited,
                                           const std::vector<Address>& held) {
  std::vector<Socket> out;
  for (const Address& address : config.bind) {
    const auto given = std::ranges::find(inherited, address, &Socket::address);
    if (given != inherited.end() && given->fd) {
      out.push_back({address, std::move(given->fd)});
      continue;
    }
    const auto overlaps = [&](const Address& other) { return overlap(address, other); };
    const bool beside_own =
        std::ranges::any_of(held, overlaps) || std::ranges::any_of(inherited, overlaps, &Socket::address);
    auto fd = bind_one(address, beside_own);
    if (!fd && fd.error().code == EADDRINUSE)
      return fail(fmt::format("web.bind = \"{}\": another program listens there, or another Weir does",
                              address.to_string()));
    if (!fd) return fail(fmt::format("web.bind = \"{}\": {}", address.to_string(), fd.error().message));
    out.push_back({address, std::move(*fd)});
  }
  return out;
}

void Web::open(const WebConfig& config) {
  open_ = true;
  rules_ = WebRules(config.hosts, config.token);
  for (Door& door : doors_)
    if (door.server == nullptr) serve(door);
  std::erase_if(doors_, [](const Door& door) { return door.server == nullptr; });
}

void Web::serve(Door& door) {
  if (door.address.has_file()) door.path = SocketPath(door.address);
  auto server = HttpServer::create(
      parts_.loop, std::move(door.fd), parts_.places,
      [this](HttpRequest request, Answer answer) { handle(std::move(request), std::move(answer)); });
  if (!server)
    return daemon_log().error("web.bind = \"{}\": {}", door.address.to_string(), server.error().message);
  door.server = std::move(*server);
  daemon_log().info("web on {}", door.address.to_string());
}

Result<std::vector<Web::Socket>> Web::plan(const WebConfig& config) const {
  WebConfig missing;
  std::vector<Address> held;
  for (const Door& door : doors_) held.push_back(door.address);
  for (const Address& address : config.bind)
    if (std::ranges::none_of(doors_,
                             [&](const Door& door) { return door.address == address && !door.path.lost(); }))
      missing.bind.push_back(address);
  return bind(missing, {}, held);
}

void Web::change(std::vector<Socket> planned, const WebConfig& config) {
  std::vector<Door> before = std::move(doors_);
  doors_.clear();
  for (Door& door : before) {
    const bool anew = std::ranges::find(planned, door.address, &Socket::address) != planned.end();
    if (std::ranges::find(config.bind, door.address) != config.bind.end() && !anew)
      doors_.push_back(std::move(door));
    else
      give_up(std::move(door), HttpServer::Queue::ServedOut);
  }
  for (Socket& socket : planned) doors_.push_back({socket.address, std::move(socket.fd), nullptr, {}});
  if (open_) open(config);
}

void Web::give_up(Door door, HttpServer::Queue queue) {
  if (door.server == nullptr) return;
  if (queue == HttpServer::Queue::IsAnothers) door.path.set_owned(false);
  door.server->stop_accepting(queue);
  std::erase_if(given_up_, [](const auto& server) { return server->idle(); });
  given_up_.push_back(std::move(door.server));
}

Result<std::vector<InheritedSocket>> Web::duplicate() const {
  std::vector<InheritedSocket> out;
  for (const Door& door : doors_) {
    Fd copy(::fcntl(door.server != nullptr ? door.server->listening() : door.fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy) return fail_errno("a socket of [web] for the new process", errno);
    out.push_back({.address = door.address, .fd = std::move(copy), .name = {}});
  }
  return out;
}

void Web::leave() {
  for (Door& door : std::exchange(doors_, {})) give_up(std::move(door), HttpServer::Queue::IsAnothers);
}

bool Web::has_left() const {
  return std::ranges::all_of(given_up_, [](const auto& server) { return server->idle(); });
}

void Web::handle(HttpRequest request, Answer answer) {
  const auto guarded = [answer = std::move(answer)](HttpResponse response) {
    if (response.headers.empty() || response.headers.front().first != "Content-Security-Policy")
      std::ranges::copy(security_headers(), std::back_inserter(response.headers));
    answer(std::move(response));
  };
  if (request.method == "HEAD") request.method = "GET";  // the body is left out by the server
  const bool probe = is_path(request, "livez") || is_path(request, "readyz");
  if (!probe)
    if (auto refused = rules_.refusal(request)) return guarded(std::move(*refused));
  if (!request.path.empty() && request.path[0] == "v1") {
    if (request.method != "GET" && request.method != "POST" && request.method != "DELETE")
      return guarded(wrong_method("GET, HEAD, POST, DELETE"));
    // Whoever is at the other end of a unix socket is what the token says, and no more.
    request.peer.reset();
    request.operated.clear();
    request.by = "web";
    request.caller = request.header("authorization").empty() ? "web" : "web, by its token";
    return parts_.api.handle(std::move(request), guarded);
  }
  const bool known =
      probe || request.path.empty() || (is_path(request, "metrics") && parts_.metrics != nullptr);
  if (!known)
    return guarded({404, error_json("no_such_page", "there is /, /metrics, /livez, /readyz and /v1/…")});
  if (request.method != "GET") return guarded(wrong_method("GET, HEAD"));
  if (is_path(request, "livez")) return guarded(plain(200, "ok\n"));
  if (is_path(request, "readyz")) return answer_ready(request, guarded);
  if (is_path(request, "metrics")) return parts_.metrics->handle(request, guarded);
  answer_page(request, guarded);
}

void Web::answer_page(const HttpRequest& request, const Answer& answer) {
  if (page_.empty()) {
    auto page = gunzip(page_gzip(), kMostPageBytes);
    if (!page) return answer(plain(500, fmt::format("the page {}\n", page.error().message)));
    page_ = std::move(*page);
  }
  HttpResponse response{200, "", "text/html; charset=utf-8", security_headers(page_)};
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (takes_gzip(request.header("accept-encoding"))) {
    response.body = page_gzip();
    response.headers.emplace_back("Content-Encoding", "gzip");
  } else {
    response.body = page_;
  }
  answer(std::move(response));
}

void Web::answer_ready(const HttpRequest& request, const Answer& answer) const {
  std::vector<std::string> listeners;
  const auto named = request.query.find("listener");
  for (std::string_view rest = named != request.query.end() ? named->second : std::string_view();
       !rest.empty();) {
    const auto end = std::min(rest.find(','), rest.size());
    listeners.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto reasons = parts_.api.unready(listeners);
  if (!reasons) return answer(plain(404, reasons.error().message + "\n"));
  std::string text;
  for (const std::string& reason : *reasons) text += reason + "\n";
  answer(plain(reasons->empty() ? 200 : 503, reasons->empty() ? "ready\n" : std::move(text)));
}

}  // namespace weir
