#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "health/curl_multi.h"
#include "health/probe.h"
#include "health/probe_loop.h"
#include "health/probe_socket.h"
#include "lb/net/socket.h"
#include "lb/wire/proxy_header.h"

namespace weir {
namespace {

constexpr std::size_t kMaxBody = 64 * 1024;
constexpr std::size_t kMaxHeaders = 64 * 1024;

struct FreeCurl {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// GET over HTTP/1.1 on a fresh connection: no redirects, no proxy, and no verification of a certificate (a
/// probe goes to an address, which certificates seldom name; it asks whether the backend serves, not who it
/// is).
class HttpProbe final : public Probe {
 public:
  HttpProbe(CurlMulti& multi, const ProbeInput& input, Done done)
      : multi_(multi), config_(input.config), address_(input.address), done_(std::move(done)) {}

  void start() override;
  void cancel() override { multi_.remove(easy_.get()); }
  void look_again() override;
  bool connected() const override;

 private:
  void set_target();
  void set_callbacks();
  void on_end(CURLcode code);
  ProbeResult judge(CURLcode code);
  bool status_wanted() const;
  long status() const;
  bool met_itself() const;

  static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address);
  static int close_socket(void* self, curl_socket_t fd);
  static CURLcode before_tls(CURL*, void* context, void* self);
  static int before_request(void* self, char*, char*, int, int);
  /// Whether the PROXY header is on its way; sends it once.
  bool header_sent();
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);

  CurlMulti& multi_;
  const ProbeConfig& config_;
  const Address address_;
  Done done_;
  std::unique_ptr<CURL, FreeCurl> easy_;
  std::unique_ptr<curl_slist, FreeCurl> headers_;
  std::unique_ptr<curl_slist, FreeCurl> connect_to_;
  std::string body_;
  std::size_t header_bytes_ = 0;
  int fd_ = -1;  // curl's
  int socket_error_ = 0;
  int header_error_ = 0;
  bool header_sent_ = false;
  bool enough_ = false;  ///< the answer has been read as far as it matters
  bool ended_ = false;
};

void HttpProbe::set_target() {
  CURL* const easy = easy_.get();
  const std::string by_address = address_.is_unix() ? "localhost" : address_.to_string();
  const std::string url = fmt::format("{}://{}/", config_.https ? "https" : "http",
                                      config_.host.empty() ? by_address : config_.host);
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, config_.path.c_str());
  if (address_.is_unix()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, std::string(address_.path()).c_str());
  } else {
    // "::" = whatever host and port the URL has, which then only name the virtual host.
    const std::string host = address_.family() == AF_INET6 ? fmt::format("[{}]", address_.host_to_string())
                                                           : address_.host_to_string();
    connect_to_.reset(curl_slist_append(nullptr, fmt::format("::{}:{}", host, address_.port()).c_str()));
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to_.get());
  }
  if (config_.header == SendProxy::V1) curl_easy_setopt(easy, CURLOPT_HAPROXYPROTOCOL, 1L);
  curl_slist* headers = curl_slist_append(nullptr, "Connection: close");
  if (!config_.host.empty()) headers = curl_slist_append(headers, ("Host: " + config_.host).c_str());
  headers_.reset(headers);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}

void HttpProbe::set_callbacks() {
  CURL* const easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &HttpProbe::open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &HttpProbe::close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HttpProbe::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpProbe::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  if (config_.header != SendProxy::V2) return;
  // curl has version 1 alone. These two it calls when it has connected and nothing has been said yet.
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &HttpProbe::before_tls);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &HttpProbe::before_request);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
}

void HttpProbe::start() {
  easy_.reset(curl_easy_init());
  if (!easy_) return done_({Outcome::OwnTrouble, "libcurl is out of memory", false});
  CURL* const easy = easy_.get();
  set_target();
  set_callbacks();
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "weir");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  // Else the system's whole bundle is parsed for each probe, verified or not.
  curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  // The time is kept by our user; curl's own limit of 300 s for a connect must only not be in its way.
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, 86'400L);
  multi_.add(easy, [this](CURLcode code) { on_end(code); });
}

/// Close-on-exec, which curl's own are not: a command that is run as a probe must not inherit it.
curl_socket_t HttpProbe::open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto* const probe = static_cast<HttpProbe*>(self);
  Fd fd(::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol));
  const auto& sources = probe->config_.source;
  const auto source = std::ranges::find(sources, address->family, &Address::family);
  if (!fd || (source != sources.end() && !bind_source(fd.get(), *source))) {
    probe->socket_error_ = errno;
    return CURL_SOCKET_BAD;
  }
  return probe->fd_ = fd.release();
}

/// With a reset, which costs no TIME_WAIT. The answer has been read by then, as far as it matters.
int HttpProbe::close_socket(void* self, curl_socket_t fd) {
  static_cast<HttpProbe*>(self)->fd_ = -1;
  set_reset_on_close(fd);
  return ::close(fd);
}

CURLcode HttpProbe::before_tls(CURL*, void*, void* self) {
  return static_cast<HttpProbe*>(self)->header_sent() ? CURLE_OK : CURLE_SEND_ERROR;
}

int HttpProbe::before_request(void* self, char*, char*, int, int) {
  return static_cast<HttpProbe*>(self)->header_sent() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

bool HttpProbe::header_sent() {
  if (std::exchange(header_sent_, true)) return header_error_ == 0;
  const std::string header = write_proxy_v2_local();
  // It is the first that the kernel's empty buffer gets: there is room for all of it.
  if (::send(fd_, header.data(), header.size(), MSG_NOSIGNAL) < 0) header_error_ = errno;
  return header_error_ == 0;
}

std::size_t HttpProbe::on_header(char*, std::size_t size, std::size_t count, void* self) {
  auto* const probe = static_cast<HttpProbe*>(self);
  probe->header_bytes_ += size * count;
  return probe->header_bytes_ > kMaxHeaders ? 0 : size * count;
}

std::size_t HttpProbe::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto* const probe = static_cast<HttpProbe*>(self);
  const std::size_t bytes = size * count;
  if (!probe->config_.body.empty() && probe->status_wanted()) {
    probe->body_.append(data, std::min(bytes, kMaxBody - probe->body_.size()));
    if (probe->body_.find(probe->config_.body) == std::string::npos && probe->body_.size() < kMaxBody)
      return bytes;
  }
  probe->enough_ = true;
  return 0;  // ends the transfer with CURLE_WRITE_ERROR
}

bool HttpProbe::connected() const {
  curl_off_t micros = 0;
  return easy_ && curl_easy_getinfo(easy_.get(), CURLINFO_CONNECT_TIME_T, &micros) == CURLE_OK && micros > 0;
}

void HttpProbe::look_again() {
  if (ended_ || fd_ < 0) return;
  pollfd look{fd_, POLLIN | POLLOUT, 0};
  if (::poll(&look, 1, 0) != 1) return;
  int ready = 0;
  if ((look.revents & POLLIN) != 0) ready |= CURL_CSELECT_IN;
  if ((look.revents & POLLOUT) != 0) ready |= CURL_CSELECT_OUT;
  if ((look.revents & (POLLERR | POLLHUP)) != 0) ready |= CURL_CSELECT_ERR;
  multi_.look_at(fd_, ready);
}

long HttpProbe::status() const {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/// is_self_connected, of a socket that curl has closed by now.
bool HttpProbe::met_itself() const {
  long own_port = 0, port = 0;
  const char* own_ip = nullptr;
  const char* ip = nullptr;
  curl_easy_getinfo(easy_.get(), CURLINFO_LOCAL_PORT, &own_port);
  curl_easy_getinfo(easy_.get(), CURLINFO_PRIMARY_PORT, &port);
  curl_easy_getinfo(easy_.get(), CURLINFO_LOCAL_IP, &own_ip);
  curl_easy_getinfo(easy_.get(), CURLINFO_PRIMARY_IP, &ip);
  return port != 0 && own_port == port && own_ip != nullptr && ip != nullptr && std::strcmp(own_ip, ip) == 0;
}

bool HttpProbe::status_wanted() const {
  const long got = status();
  return std::ranges::any_of(config_.status,
                             [got](const auto& range) { return range.first <= got && got <= range.second; });
}

ProbeResult HttpProbe::judge(CURLcode code) {
  const bool reached = connected();
  if (socket_error_ != 0) return connect_failed_with(socket_error_, address_);
  if (reached && met_itself()) return connect_failed_with(ECONNREFUSED, address_);
  if (header_error_ != 0) return failed_with(header_error_);
  if (code == CURLE_COULDNT_CONNECT) {
    long error = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &error);
    if (error != 0) return connect_failed_with(static_cast<int>(error), address_);
    return {Outcome::Failed, "could not connect", false};
  }
  if (code == CURLE_OUT_OF_MEMORY) return {Outcome::OwnTrouble, "libcurl is out of memory", reached};
  if (header_bytes_ > kMaxHeaders) return {Outcome::Failed, "more than 64 KiB of headers", true};
  if (code != CURLE_OK && !enough_) {
    std::string text = curl_easy_strerror(code);
    return {Outcome::Failed, "http: " + text, reached};
  }
  if (!status_wanted()) return {Outcome::Failed, fmt::format("status {}", status()), true};
  if (body_.find(config_.body) == std::string::npos)
    return {Outcome::Failed,
            body_.size() < kMaxBody ? "the body does not contain what is expected"
                                    : "the first 64 KiB of the body do not contain what is expected",
            true};
  return {Outcome::Passed, "", true};
}

void HttpProbe::on_end(CURLcode code) {
  ended_ = true;
  done_(judge(code));
}

class HttpProbes final : public ProbeFactory {
 public:
  explicit HttpProbes(ProbeLoop& loop) : multi_(loop) {}
  std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) override {
    return std::make_unique<HttpProbe>(multi_, input, std::move(done));
  }

 private:
  CurlMulti multi_;
};

}  // namespace

std::unique_ptr<ProbeFactory> make_http_probes(ProbeLoop& loop) {
  return std::make_unique<HttpProbes>(loop);
}

}  // namespace weir
