#include "health/curl_multi.h"

#include <utility>
#include <vector>

namespace weir {

CurlMulti::CurlMulti(ProbeLoop& loop)
    : loop_(loop), multi_((curl_global_init(CURL_GLOBAL_DEFAULT), curl_multi_init())), alarm_(loop, [this] {
        int running = 0;
        curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
        take_finished();
      }) {
  WEIR_CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlMulti::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlMulti::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

CurlMulti::~CurlMulti() {
  curl_multi_cleanup(multi_);
  curl_global_cleanup();
}

void CurlMulti::Socket::on_events(std::uint32_t events) {
  if (!watched) return;
  int curl_events = 0;
  if ((events & events::kReadable) != 0) curl_events |= CURL_CSELECT_IN;
  if ((events & events::kWritable) != 0) curl_events |= CURL_CSELECT_OUT;
  if ((events & (events::kError | events::kHangUp)) != 0) curl_events |= CURL_CSELECT_ERR;
  multi->look_at(fd, curl_events);
}

void CurlMulti::look_at(int fd, int curl_events) {
  int running = 0;
  curl_multi_socket_action(multi_, fd, curl_events, &running);
  take_finished();
}

int CurlMulti::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  static_cast<CurlMulti*>(self)->watch(fd, what);
  return 0;
}

void CurlMulti::watch(int fd, int what) {
  std::unique_ptr<Socket>& socket = sockets_[fd];
  if (!socket) {
    socket = std::make_unique<Socket>();
    socket->multi = this;
    socket->fd = fd;
  }
  if (what == CURL_POLL_REMOVE || what == CURL_POLL_NONE) {
    if (std::exchange(socket->watched, false)) loop_.loop().unwatch(fd);
    return;
  }
  std::uint32_t interest = 0;
  if ((what & CURL_POLL_IN) != 0) interest |= events::kReadable;
  if ((what & CURL_POLL_OUT) != 0) interest |= events::kWritable;
  if (socket->watched)
    loop_.loop().change_interest(fd, *socket, interest);
  else
    socket->watched = loop_.loop().watch(fd, *socket, interest).has_value();
}

int CurlMulti::on_timer(CURLM*, long millis, void* self) {
  auto* const multi = static_cast<CurlMulti*>(self);
  if (millis < 0)
    multi->alarm_.cancel();
  else
    multi->alarm_.set(multi->loop_.now() + Millis(millis));
  return 0;
}

void CurlMulti::take_finished() {
  std::vector<std::pair<CURL*, CURLcode>> finished;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left))
    if (message->msg == CURLMSG_DONE) finished.emplace_back(message->easy_handle, message->data.result);
  for (const auto& [easy, code] : finished) {
    auto transfer = transfers_.extract(easy);
    if (transfer.empty()) continue;
    curl_multi_remove_handle(multi_, easy);
    transfer.mapped()(code);
  }
}

void CurlMulti::add(CURL* easy, std::function<void(CURLcode)> done) {
  transfers_.emplace(easy, std::move(done));
  // Begins through the timer callback, in the next turn.
  WEIR_CHECK(curl_multi_add_handle(multi_, easy) == CURLM_OK);
}

void CurlMulti::remove(CURL* easy) {
  if (transfers_.erase(easy) > 0) curl_multi_remove_handle(multi_, easy);
}

}  // namespace weir
