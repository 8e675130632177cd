#include "lb/cli/errands.h"

#include <algorithm>

namespace weir {

Errands::~Errands() {
  for (const Errand& one : under_way_) curl_multi_remove_handle(multi_.get(), one.handle.get());
}

void Errands::begin(const std::string& method, const std::vector<std::string>& path, const Query& query,
                    const std::string& body, Millis patience, Done done) {
  under_way_.emplace_front(socket_, patience, method, path, query, body, std::move(done));
  const auto handle = under_way_.begin();
  if (handle->handle.get() != nullptr &&
      curl_multi_add_handle(multi_.get(), handle->handle.get()) == CURLM_OK)
    return;
  Done failed = std::move(handle->done);
  under_way_.erase(handle);
  failed(fail("libcurl could not be started"));
}

void Errands::wait(std::span<const int> others, Millis at_most) {
  int running = 0, woken = 0;
  curl_multi_perform(multi_.get(), &running);
  std::vector<curl_waitfd> watched;
  for (const int fd : others)
    if (fd >= 0) watched.push_back({fd, CURL_WAIT_POLLIN, 0});
  // What is over already is not waited for.
  const bool over = running < static_cast<int>(under_way_.size());
  curl_multi_poll(multi_.get(), watched.data(), static_cast<unsigned>(watched.size()),
                  over ? 0 : static_cast<int>(at_most.count()), &woken);
  curl_multi_perform(multi_.get(), &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left))
    if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
}

void Errands::finish(CURL* handle, CURLcode code) {
  const auto found =
      std::ranges::find_if(under_way_, [&](const Errand& one) { return one.handle.get() == handle; });
  if (found == under_way_.end()) return;
  curl_multi_remove_handle(multi_.get(), handle);
  Done done = std::move(found->done);
  auto result = found->handle.result(code);
  under_way_.erase(found);
  done(std::move(result));
}

}  // namespace weir
