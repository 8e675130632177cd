#include "lb/cli/client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "lb/base/user_name.h"

namespace weir {

namespace {

/// A full backlog answers connect() with EAGAIN; it is tried again this often.
constexpr Millis kBacklogPause{20};

struct CurlEnd {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Curl = std::unique_ptr<CURL, CurlEnd>;

std::string escaped(CURL* curl, const std::string& text) {
  char* out = curl_easy_escape(curl, text.data(), static_cast<int>(text.size()));
  std::string copy = out != nullptr ? out : "";
  curl_free(out);
  return copy;
}

std::size_t append(char* data, std::size_t, std::size_t size, void* to) {
  static_cast<std::string*>(to)->append(data, size);
  return size;
}

Error explain(const std::string& socket, CURLcode code, long os_error, Millis patience) {
  const int error = static_cast<int>(os_error);
  if (code == CURLE_OPERATION_TIMEDOUT || (code == CURLE_COULDNT_CONNECT && error == EAGAIN))
    return {
        fmt::format("the daemon at {} has not answered within {}: it is stopped, or hangs; --timeout waits "
                    "longer",
                    socket, format_duration(patience)),
        ETIMEDOUT};
  if (error == EACCES || error == EPERM)
    return {
        fmt::format("no right to talk to the daemon at {}: become its user or join its group ([admin] mode)",
                    socket),
        error};
  if (code == CURLE_COULDNT_CONNECT)
    return {
        fmt::format(
            "no daemon at {}: start it with \"weir run\", or name its socket with --socket or WEIR_SOCKET",
            socket),
        error};
  return {fmt::format("the daemon at {} went away: {}", socket, curl_easy_strerror(code)), error};
}

using Headers = std::unique_ptr<curl_slist, decltype([](curl_slist* list) { curl_slist_free_all(list); })>;

/// Root says for whom it speaks. The daemon takes what looks like a user's name.
curl_slist* on_behalf_header() {
  const char* user = std::getenv("SUDO_USER");
  if (::geteuid() != 0 || user == nullptr || !is_user_name(user)) return nullptr;
  return curl_slist_append(nullptr, ("Weir-Operator: " + std::string(user)).c_str());
}

}  // namespace

std::string admin_socket(std::string_view given) {
  if (!given.empty()) return std::string(given);
  const char* named = std::getenv("WEIR_SOCKET");
  return named != nullptr && *named != '\0' ? named : "/run/weir/weir.sock";
}

Result<AdminReply> AdminClient::request(const std::string& method, const std::vector<std::string>& path,
                                        const Query& query, const std::string& body) const {
  const Curl curl(curl_easy_init());
  if (curl == nullptr) return fail("libcurl could not be started");
  std::string url = "http://weir/v1";
  for (const auto& segment : path) url += "/" + escaped(curl.get(), segment);
  char separator = '?';
  for (const auto& [name, value] : query) {
    url += separator + escaped(curl.get(), name) + "=" + escaped(curl.get(), value);
    separator = '&';
  }
  AdminReply reply;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");  // http_proxy is not for us
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
  if (method == "POST") {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  }
  const Headers headers(on_behalf_header());
  if (headers) curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &reply.body);
  const auto give_up = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    const auto left = std::chrono::ceil<Millis>(give_up - std::chrono::steady_clock::now());
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(left.count())));
    const CURLcode code = curl_easy_perform(curl.get());
    long os_error = 0, status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_OS_ERRNO, &os_error);
    if (code == CURLE_COULDNT_CONNECT && os_error == EAGAIN && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(kBacklogPause);
      continue;
    }
    if (code != CURLE_OK) return tl::unexpected(explain(socket_, code, os_error, patience_));
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    reply.status = static_cast<int>(status);
    return reply;
  }
}

}  // namespace weir
