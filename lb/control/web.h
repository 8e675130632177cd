#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lb/config/config.h"
#include "lb/control/admin_api.h"
#include "lb/control/http_server.h"
#include "lb/control/web_rules.h"
#include "lb/net/inherited.h"
#include "lb/net/socket_path.h"

namespace weir {

class Metrics;

/// What Web works with; all borrowed, all of the control thread.
struct WebParts {
  Loop& loop;
  AdminApi& api;               ///< outlives it
  Metrics* metrics = nullptr;  ///< null: there are none
  /// Callers at once, at each address.
  std::size_t places = 64;
};

/// The addresses of [web], and what is answered there: metrics, the dashboard, /livez and /readyz, and what
/// the admin API answers, to be looked at, or with the token to be changed. Nothing is there without
/// web.bind. Control thread only.
class Web {
 public:
  /// A listening socket and its address.
  struct Socket {
    Address address;
    Fd fd;
  };

  /// `sockets`: of bind(). Nothing is accepted before open(); clients wait in the kernel's queue.
  Web(const WebParts& parts, std::vector<Socket> sockets);
  ~Web();

  /// Takes those of `inherited` that are at an address of `config`, and binds the others. An error names the
  /// address and leaves nothing behind. `held`: addresses that this process or the one before it has already.
  static Result<std::vector<Socket>> bind(const WebConfig& config, std::vector<Socket> inherited,
                                          const std::vector<Address>& held = {});
  /// Serves on its sockets, from now on.
  void open(const WebConfig& config);

  /// What `config` needs that is not held. Nothing takes effect, and what has been bound goes with the
  /// vector.
  Result<std::vector<Socket>> plan(const WebConfig& config) const;
  /// Serves on what was planned, and leaves addresses that `config` does not have, whose queues are served
  /// out.
  void change(std::vector<Socket> planned, const WebConfig& config);

  /// Copies of its sockets, for the process that follows.
  Result<std::vector<InheritedSocket>> duplicate() const;
  /// Another process serves there: whoever has been let in is answered.
  void leave();
  /// Whether nobody waits for an answer any more at the addresses that it has left.
  bool has_left() const;

  /// One request, without a socket.
  void handle(HttpRequest request, HttpServer::Answer answer);

 private:
  struct Door {
    Address address;
    Fd fd;                               ///< before open()
    std::unique_ptr<HttpServer> server;  ///< from then on
    SocketPath path;
  };
  void serve(Door& door);
  void give_up(Door door, HttpServer::Queue queue);
  void answer_page(const HttpRequest& request, const HttpServer::Answer& answer);
  void answer_ready(const HttpRequest& request, const HttpServer::Answer& answer) const;

  WebParts parts_;
  WebRules rules_;
  bool open_ = false;
  std::string page_;  ///< the HTML; "" = not asked for yet
  std::vector<Door> doors_;
  std::vector<std::unique_ptr<HttpServer>> given_up_;  ///< these finish their answers
};

}  // namespace weir
