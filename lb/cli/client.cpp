#include "lb/cli/client.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "lb/base/standard_places.h"
#include "lb/cli/request_handle.h"

namespace weir {

namespace {

/// A full backlog answers connect() with EAGAIN; it is tried again this often.
constexpr Millis kBacklogPause{20};

/// An answer that is followed: what is no good one is kept for its error.
struct Followed {
  CURL* curl;
  const std::function<bool(std::string_view)>& take;
  AdminReply reply = {};
  bool enough = false;

  static std::size_t on_data(char* data, std::size_t, std::size_t size, void* self) {
    auto& followed = *static_cast<Followed*>(self);
    long status = 0;
    curl_easy_getinfo(followed.curl, CURLINFO_RESPONSE_CODE, &status);
    followed.reply.status = static_cast<int>(status);
    if (status != 200) {
      followed.reply.body.append(data, size);
      return size;
    }
    followed.enough = !followed.take({data, size});
    return followed.enough ? 0 : size;
  }
};

}  // namespace

std::string admin_socket(std::string_view given) {
  if (!given.empty()) return std::string(given);
  const char* named = std::getenv("WEIR_SOCKET");
  return named != nullptr && *named != '\0' ? named : standard_places().admin_socket;
}

Result<AdminReply> AdminClient::request(const std::string& method, const std::vector<std::string>& path,
                                        const Query& query, const std::string& body) const {
  RequestHandle handle(socket_, patience_, method, path, query, body);
  if (handle.get() == nullptr) return fail("libcurl could not be started");
  const auto give_up = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    const auto left = std::chrono::ceil<Millis>(give_up - std::chrono::steady_clock::now());
    curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, std::max(1L, static_cast<long>(left.count())));
    const CURLcode code = curl_easy_perform(handle.get());
    if (!handle.backlog_full(code) || std::chrono::steady_clock::now() >= give_up) return handle.result(code);
    std::this_thread::sleep_for(kBacklogPause);
  }
}

Result<AdminReply> AdminClient::follow(const std::vector<std::string>& path, const Query& query,
                                       const std::string& last_event,
                                       const std::function<bool(std::string_view)>& take) const {
  RequestHandle handle(socket_, patience_, "GET", path, query, "");
  CURL* const curl = handle.get();
  if (curl == nullptr) return fail("libcurl could not be started");
  if (!last_event.empty()) handle.add_header("Last-Event-ID: " + last_event);
  Followed followed{curl, take};
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Followed::on_data);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &followed);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 0L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(patience_.count()));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(kSilence.count() / 1000));
  const CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK || followed.enough || followed.reply.status == 200) return followed.reply;
  return handle.result(code);
}

}  // namespace weir
