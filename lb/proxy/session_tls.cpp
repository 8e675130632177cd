// A session whose client has been told that it may speak TLS: its backend is asked before it hears of that.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lb/proxy/session.h"
#include "lb/proxy/worker.h"
#include "lb/wire/postgres_start.h"

namespace weir {

void Session::ask_for_tls() {
  Setup& setup = *setup_;
  const auto request = std::as_bytes(std::span(kPostgresSslRequest));
  setup.question.assign(request.begin(), request.end());
  if (setup.send_proxy != SendProxy::Off) add_header(setup.question);
  setup.asking = true;
  setup.hedge_at_ms = kNever;
  arm_connect();
  hear_about_tls();
}

void Session::hear_about_tls() {
  const int fd = relay_.backend_fd();
  std::vector<std::byte>& question = setup_->question;
  while (!question.empty()) {
    const ssize_t sent = send(fd, question.data(), question.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    // Where the kernel's memory is short no event may follow: then it is connect_timeout that ends it.
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) return;
    if (sent < 0) return fail_to_get_tls("ended the connection at the SSLRequest");
    question.erase(question.begin(), question.begin() + sent);
  }
  char answer = 0;
  ssize_t got = 0;
  do got = recv(fd, &answer, 1, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return fail_to_get_tls("ended the connection at the SSLRequest");
  if (answer == kPostgresNo) return fail_to_get_tls("does not speak TLS: it says no to the SSLRequest");
  if (answer != kPostgresYes) return fail_to_get_tls("answers the SSLRequest with something else");
  setup_->asking = false;
  if (facts_) facts_->why.clear();
  begin_relay();
}

void Session::fail_to_get_tls(std::string_view how) {
  facts().why = lease_.get()->name + " " + std::string(how);
  on_address_failed();
}

}  // namespace weir
