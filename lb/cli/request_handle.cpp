#include "lb/cli/request_handle.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "lb/base/user_name.h"

namespace weir {

namespace {

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

/// Root says for whom it speaks. The daemon takes what looks like a user's name.
curl_slist* on_behalf_header() {
  const char* user = std::getenv("SUDO_USER");
  if (::geteuid() != 0 || user == nullptr || !is_user_name(user)) return nullptr;
  return curl_slist_append(nullptr, ("Weir-Operator: " + std::string(user)).c_str());
}

}  // namespace

RequestHandle::RequestHandle(std::string socket, Millis patience, const std::string& method,
                             const std::vector<std::string>& path, const AdminClient::Query& query,
                             std::string body)
    : socket_(std::move(socket)), body_(std::move(body)), patience_(patience), curl_(curl_easy_init()) {
  CURL* const curl = curl_.get();
  if (curl == nullptr) return;
  std::string url = "http://weir/v1";
  for (const auto& segment : path) url += "/" + escaped(segment);
  char separator = '?';
  for (const auto& [name, value] : query) {
    url += separator + escaped(name) + "=" + escaped(value);
    separator = '&';
  }
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // http_proxy is not for us
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  if (method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body_.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
  }
  headers_.reset(on_behalf_header());
  if (headers_) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer_);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(patience_.count()));
}

void RequestHandle::add_header(const std::string& line) {
  // The list's first element stays where it is.
  curl_slist* const longer = curl_slist_append(headers_.get(), line.c_str());
  if (headers_ == nullptr) headers_.reset(longer);
  curl_easy_setopt(curl_.get(), CURLOPT_HTTPHEADER, headers_.get());
}

std::string RequestHandle::escaped(const std::string& text) const {
  char* out = curl_easy_escape(curl_.get(), text.data(), static_cast<int>(text.size()));
  std::string copy = out != nullptr ? out : "";
  curl_free(out);
  return copy;
}

bool RequestHandle::backlog_full(CURLcode code) const {
  long os_error = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_OS_ERRNO, &os_error);
  return code == CURLE_COULDNT_CONNECT && os_error == EAGAIN;
}

Result<AdminReply> RequestHandle::result(CURLcode code) {
  long os_error = 0, status = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_OS_ERRNO, &os_error);
  if (code != CURLE_OK) return tl::unexpected(explain(socket_, code, os_error, patience_));
  curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
  return AdminReply{static_cast<int>(status), std::move(answer_)};
}

}  // namespace weir
