#include "lb/control/shared_limits.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

struct NoWatcher final : RoomWatcher {
  void on_room(std::uint32_t) override {}
};

Backend backend(const std::string& name, std::uint32_t max_sessions, bool up,
                const std::shared_ptr<PoolLoad>& queue) {
  static BackendId last = 0;
  Backend out;
  out.name = name;
  out.load = std::make_shared<BackendLoad>(++last, "web", name, "10.0.0.1:80", 1, queue);
  out.load->set_max_sessions(max_sessions);
  out.max_sessions = max_sessions;
  out.addresses = {Address::parse_ip_port("10.0.0.1:80").value()};
  out.health = up ? Health::Up : Health::Down;
  return out;
}

}  // namespace

TEST_CASE(
    "who waits claims a place at each backend that may be full and serves, and no more than there are") {
  NoWatcher watcher;
  const auto queue = std::make_shared<PoolLoad>(1, "web");
  const auto pool = Pool::build({.name = "web", .balance = "round_robin"},
                                {backend("few", 2, true, queue), backend("many", 50, true, queue),
                                 backend("free", 0, true, queue), backend("down", 5, false, queue)},
                                nullptr, queue);
  const Table table(1, {pool});
  CHECK(claims_of(table).empty());
  // For one who has tried others not every place will do.
  queue->join(100, true, watcher);
  CHECK(claims_of(table).empty());
  queue->leave(true);
  for (int i = 0; i < 3; ++i) queue->join(100, false, watcher);
  CHECK(claims_of(table) ==
        SessionsByBackend{{{"web", "few", "10.0.0.1:80"}, 2}, {{"web", "many", "10.0.0.1:80"}, 3}});
}

TEST_CASE("what one process says of its share another one reads, an older version's too") {
  const Share<SessionsByBackend> said{.sessions = {{{"web", "a", "10.0.0.1:80"}, 2}},
                                      .claims = {{{"web", "b", "10.0.0.2:80"}, 1}},
                                      .may_wait = true};
  const auto heard = parse_backend_share(to_json(said));
  REQUIRE(heard);
  CHECK(heard->sessions.at({"web", "a", "10.0.0.1:80"}) == 2);
  CHECK(heard->sessions.at({"web", "b", "10.0.0.2:80"}) == 0);
  CHECK(heard->claims == said.claims);
  CHECK(heard->may_wait);
  const auto older = parse_backend_share(
      R"({"active": [{"pool": "web", "backend": "a", "address": "10.0.0.1:80", "sessions": 2}]})");
  REQUIRE(older);
  CHECK(older->sessions == said.sessions);
  CHECK(older->claims.empty());
  CHECK_FALSE(older->may_wait);
  CHECK_FALSE(parse_backend_share("[]"));
  CHECK_FALSE(parse_backend_share("{}"));
}
