#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "lb/control/http_server.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

namespace weir {

/// Sees to it that every answer is given once and in time, though a worker be stuck. Loop thread only.
class Patience {
 public:
  Patience(Loop& loop, Millis limit) : waiting_(std::make_shared<Waiting>()), loop_(loop), limit_(limit) {}

  /// `answer`, or `late` when the limit is over before: what comes after is lost.
  HttpServer::Answer limited(HttpServer::Answer answer, std::function<HttpResponse()> late);

 private:
  struct One {
    HttpServer::Answer answer;
    std::unique_ptr<Timer> timer;
  };
  using Waiting = std::map<std::uint64_t, One>;

  static void settle(Waiting& waiting, std::uint64_t id, HttpResponse response);

  std::shared_ptr<Waiting> waiting_;  ///< an answer may come when this is gone
  Loop& loop_;
  const Millis limit_;
  std::uint64_t last_id_ = 0;
};

}  // namespace weir
