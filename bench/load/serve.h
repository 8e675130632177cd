#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/load/event_loop.h"
#include "bench/load/options.h"
#include "bench/load/pacer.h"
#include "bench/load/report.h"
#include "bench/load/responder.h"

namespace weir::load {

class Server;

/// One accepted connection. Closes itself through the server, which destroys it after the batch.
class ServerConnection : public EventHandler {
 public:
  ServerConnection(Server& server, Fd fd) : server_(server), fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }
  virtual void start() = 0;

 protected:
  Server& server_;
  Fd fd_;
};

std::unique_ptr<ServerConnection> make_answering_connection(Server& server, Fd fd, std::string_view name);
std::unique_ptr<ServerConnection> make_source_connection(Server& server, Fd fd);

/// Sends when its pacer says so, not when its socket is writable.
class PacedSender {
 public:
  virtual ~PacedSender() = default;
  virtual Nanos next_due() const = 0;
  virtual void send_due(Nanos now) = 0;
};

/// The test server: its listening sockets, its connections, and what they share.
class Server {
 public:
  Server(EventLoop loop, const ServeOptions& options);
  ~Server();

  /// Binds everything, or says what could not be bound.
  Result<void> listen();
  /// Serves until SIGINT or SIGTERM.
  void run();
  void report(Report& report) const;
  const ServeTotals& totals() const { return totals_; }

  // For its connections.
  const EventLoop& loop() const { return loop_; }
  const ServeOptions& options() const { return options_; }
  const Pattern& pattern() const { return pattern_; }
  ServeTotals& totals() { return totals_; }
  std::vector<char>& scratch() { return scratch_; }
  void pace(PacedSender& sender) { paced_.push_back(&sender); }
  void stop_pacing(PacedSender& sender) { std::erase(paced_, &sender); }
  void close(ServerConnection& connection, bool error);

 private:
  class Listener;

  void accepted(Fd fd, const std::string& name);
  Nanos send_paced(Nanos now);

  EventLoop loop_;
  const ServeOptions& options_;
  Pattern pattern_;
  std::vector<char> scratch_;
  ServeTotals totals_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<ServerConnection>> connections_;  ///< by descriptor
  std::vector<std::unique_ptr<ServerConnection>> graveyard_;    ///< closed in this batch
  std::vector<PacedSender*> paced_;
  bool out_of_descriptors_ = false;
};

}  // namespace weir::load
