#include "lb/control/patience.h"

namespace weir {

HttpServer::Answer Patience::limited(HttpServer::Answer answer, std::function<HttpResponse()> late) {
  const auto id = ++last_id_;
  auto& one = (*waiting_)[id];
  one.answer = std::move(answer);
  one.timer = std::make_unique<Timer>(
      loop_, [waiting = waiting_.get(), id, late = std::move(late)] { settle(*waiting, id, late()); });
  one.timer->start(limit_);
  return [weak = std::weak_ptr(waiting_), id](HttpResponse response) {
    if (const auto waiting = weak.lock()) settle(*waiting, id, std::move(response));
  };
}

void Patience::settle(Waiting& waiting, std::uint64_t id, HttpResponse response) {
  const auto found = waiting.find(id);
  if (found == waiting.end()) return;
  const One one = std::move(found->second);
  waiting.erase(found);
  one.answer(std::move(response));
}

}  // namespace weir
