#pragma once

#include <microhttpd.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "lb/control/http_places.h"
#include "lb/control/http_server.h"
#include "lb/net/acceptor.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// What an HttpServer is made of: requests and their answers (http_server.cpp), and answers that are streams
/// (http_stream.cpp). The loop's thread only.
struct HttpServer::State final : Watcher {
  /// One request from its first line to the end of its answer. Owned by `requests`.
  struct Exchange {
    std::uint64_t id = 0;
    MHD_Connection* connection = nullptr;
    int fd = -1;  ///< the connection's, once it is in the queue
    HttpRequest request;
    std::size_t most_bytes = 0;
    std::size_t held = 0;  ///< bytes of the body, while it is collected
    bool too_large = false;
    bool asked = false;
    bool suspended = false;
    std::optional<HttpResponse> response;
    // Of a stream:
    bool streams = false;
    std::string piece;     ///< what is being sent
    std::size_t sent = 0;  ///< of it
    std::chrono::steady_clock::time_point spoke = {};
  };

  State(Loop& on_loop, std::size_t places_at_once, Handler on_request, BodyLimit limit)
      : loop(on_loop),
        handler(std::move(on_request)),
        body_limit(std::move(limit)),
        timer(on_loop, [this] { run(); }),
        work(on_loop, [this] { work_on_next(); }),
        beat(on_loop, [this] { wake_streams(); }),
        place_count(places_at_once),
        places(places_at_once) {}

  void on_events(std::uint32_t) override { run(); }
  void run();
  void admit(Fd connection);
  void on_closed(int fd);
  void displace(int fd);
  void work_on_next();
  static void shut(int fd) { ::shutdown(fd, SHUT_RDWR); }
  void answer(std::uint64_t id, HttpResponse response);
  void collect(Exchange& exchange, const char* data, std::size_t size);
  void let_go(Exchange& exchange) { held -= std::exchange(exchange.held, 0); }
  MHD_Result on_request(MHD_Connection* connection, const char* url, const char* method, const char* data,
                        std::size_t* size, void** context);
  MHD_Result respond(Exchange& exchange);
  /// What follows of the answer; null: that could not be had.
  MHD_Response* response_of(Exchange& exchange);
  /// A response whose body is the exchange's stream; null: it could not be had.
  MHD_Response* stream_response(Exchange& exchange);
  ssize_t read_stream(Exchange& exchange, char* to, std::size_t size);
  void resume(Exchange& exchange);
  void wake_stream(std::uint64_t id);
  void wake_streams();
  MHD_Result dispatch(Exchange& exchange);

  Loop& loop;
  Handler handler;
  BodyLimit body_limit;
  Timer timer;
  Timer work;
  Timer beat;  ///< while there are streams
  std::size_t streams = 0;
  bool leaving = false;  ///< accepts nobody any more
  /// Exchanges that are to be worked on, in the order of their requests, one in a turn of the loop: however
  /// much one caller asks for at once, it waits for its turn as all do.
  std::deque<std::uint64_t> queue;
  std::unique_ptr<Acceptor> acceptor;
  const std::size_t place_count;
  HttpPlaces places;
  std::map<int, std::optional<HttpRequest::Peer>> peers;  ///< of those who are connected
  MHD_Daemon* daemon = nullptr;                           // owned
  int epoll_fd = -1;                                      // the daemon's
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> exchanges;
  std::size_t held = 0;  ///< bytes of all bodies that are being collected
  bool running = false;
};

}  // namespace weir
