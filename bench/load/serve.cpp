#include "bench/load/serve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "bench/load/client.h"

namespace weir::load {

/// One listening socket, level-triggered.
class Server::Listener final : public EventHandler {
 public:
  Listener(Server& server, Fd fd, Address address, std::string name)
      : server_(server), fd_(std::move(fd)), address_(address), name_(std::move(name)) {}
  ~Listener() override {
    if (address_.is_unix()) ::unlink(std::string(address_.path()).c_str());
  }

  // A lone connection costs one accept; while they come in crowds, the budget doubles until it fits.
  void on_ready(std::uint32_t) override {
    for (unsigned done = 0; done < budget_; ++done) {
      Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) {
        if (errno == EMFILE || errno == ENFILE) pause();
        budget_ = std::max(1U, done);
        return;
      }
      server_.accepted(std::move(fd), name_);
    }
    budget_ = std::min(64U, 2 * budget_);
  }

  int fd() const { return fd_.get(); }
  const Address& address() const { return address_; }

  void resume() {
    if (!paused_) return;
    server_.loop_.modify(fd_.get(), EPOLLIN, *this);
    paused_ = false;
  }

 private:
  void pause() {
    server_.loop_.modify(fd_.get(), 0, *this);
    server_.out_of_descriptors_ = paused_ = true;
  }

  Server& server_;
  Fd fd_;
  Address address_;
  std::string name_;
  unsigned budget_ = 1;
  bool paused_ = false;
};

Server::Server(EventLoop loop, const ServeOptions& options)
    : loop_(std::move(loop)),
      options_(options),
      pattern_(std::max({std::size_t{256 * 1024}, options.chunk_bytes, options.answer_bytes})),
      scratch_(std::size_t{256 * 1024}) {}

Server::~Server() = default;

Result<void> Server::listen() {
  for (const Address& wanted : options_.listen) {
    auto fd = listen_on(wanted);
    if (!fd) return tl::unexpected(fd.error());
    auto bound = wanted.is_unix() ? Result<Address>(wanted) : local_address(fd->get());
    if (!bound) return tl::unexpected(bound.error());
    const std::string name = options_.name.empty() ? bound->to_string() : options_.name;
    auto listener = std::make_unique<Listener>(*this, std::move(*fd), *bound, name);
    if (!loop_.add(listener->fd(), EPOLLIN, *listener)) return fail_errno("epoll_ctl", errno);
    listeners_.push_back(std::move(listener));
  }
  // Said when all are bound, so that a script may wait for the last line.
  for (const auto& listener : listeners_)
    fmt::print(options_.output.json ? stderr : stdout, "listening on {}\n", listener->address().to_string());
  std::fflush(stdout);
  return {};
}

void Server::accepted(Fd fd, const std::string& name) {
  ++totals_.accepted;
  const auto slot = static_cast<std::size_t>(fd.get());
  if (slot >= connections_.size()) connections_.resize(slot + 1);
  connections_[slot] = options_.mode == ServeMode::Source
                           ? make_source_connection(*this, std::move(fd))
                           : make_answering_connection(*this, std::move(fd), name);
  connections_[slot]->start();
}

void Server::close(ServerConnection& connection, bool error) {
  ++totals_.closed;
  if (error) ++totals_.resets;
  auto& slot = connections_[static_cast<std::size_t>(connection.fd())];
  graveyard_.push_back(std::move(slot));
}

Nanos Server::send_paced(Nanos now) {
  // A sender may close itself, and then leaves the list.
  for (std::size_t i = paced_.size(); i-- > 0;)
    if (paced_[i]->next_due() <= now) paced_[i]->send_due(now);
  Nanos next = kNever;
  for (const PacedSender* sender : paced_) next = std::min(next, sender->next_due());
  return next;
}

void Server::run() {
  while (!loop_.stop_asked()) {
    Nanos next = paced_.empty() ? kNever : send_paced(monotonic_now());
    if (out_of_descriptors_) next = std::min(next, monotonic_now() + 10 * kMillisecond);
    graveyard_.clear();
    loop_.wait(next);
    if (graveyard_.empty() && !out_of_descriptors_) continue;
    graveyard_.clear();
    out_of_descriptors_ = false;
    for (const auto& listener : listeners_) listener->resume();
  }
}

void Server::report(Report& report) const {
  const CpuTimes cpu = cpu_times_now();
  report.add("mode", "serve");
  report.add("own_cpu_user_seconds", cpu.user_seconds);
  report.add("own_cpu_system_seconds", cpu.system_seconds);
  report.add_count("connections_accepted", totals_.accepted);
  report.add_count("connections_open_at_end", totals_.accepted - totals_.closed);
  // Not an error of this run: that is how a client leaves an endless source.
  report.add_count("connections_reset", totals_.resets);
  report.add_count("requests", totals_.requests);
  report.add_count("bytes_in", totals_.bytes_in);
  report.add_count("bytes_out", totals_.bytes_out);
}

int run_serve(const ServeOptions& options) {
  auto loop = EventLoop::open();
  if (!loop) {
    fmt::print(stderr, "weir-bench: {}\n", loop.error().message);
    return 1;
  }
  Server server(std::move(*loop), options);
  if (const auto listening = server.listen(); !listening) {
    fmt::print(stderr, "weir-bench: {}\n", listening.error().message);
    return 1;
  }
  server.run();
  Report report;
  server.report(report);
  ErrorCounts errors;
  errors.add(ErrorKind::WrongBytes, std::as_const(server).totals().wrong_streams);
  report.set_errors(errors);
  return print_report(report, errors, options.output);
}

}  // namespace weir::load
