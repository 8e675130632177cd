// Backends without probes: what becomes of clients when one of them is ejected, on trial, or well again.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/operated.h"
#include "tests/support/private_network.h"
#include "tests/support/rig.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kForLong = "probe = \"none\"\neject_for = \"5m\"\neject_for_at_most = \"5m\"";

SimpleConfig unprobed(const std::string& health = "probe = \"none\"") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  config.health = health;
  return config;
}

/// Sessions until the log tells that each of the first `count` backends is ejected. They listen no more.
template <class Weir>
void eject(Weir& weir, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) weir.backend(i).stop_listening();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string gone = fmt::format("web/{} up → down", static_cast<char>('a' + i));
    REQUIRE(eventually([&] {
      Stream client = weir.connect();
      client.half_close();
      client.recv_to_end(5s);
      return weir.process().wait_for_err(gone, 0ms);
    }));
  }
}

std::size_t served(std::vector<Stream>& clients) {
  std::size_t count = 0;
  for (Stream& client : clients) {
    client.half_close();
    const Received received = client.recv_to_end();
    count += received.data.size() == 1 && received.ending == Ending::Eof ? 1U : 0U;
  }
  return count;
}

}  // namespace

TEST_CASE("100 clients are served at the moment the ejection of the only backends ends") {
  SimpleConfig config = unprobed();
  const std::size_t backends = GENERATE(1u, 2u);
  if (GENERATE(false, true)) config.pool = "on_all_down = \"try_all\"";
  CAPTURE(backends, config.workers, config.pool);
  Rig rig(lettered(backends), config);
  eject(rig, backends);
  for (std::size_t i = 0; i < backends; ++i) rig.backend(i).listen_again();
  REQUIRE(rig.process().wait_for_err(fmt::format("web/{} down → up", static_cast<char>('a' + backends - 1)),
                                     patient(5s)));
  std::vector<Stream> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(rig.connect());
  CHECK(served(clients) == 100);
}

TEST_CASE("a trial whose connect takes a second holds up nobody else") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const PrivateNetwork network;
  Rig rig(lettered(1), unprobed());
  eject(rig, 1);
  rig.backend().listen_again();
  REQUIRE(rig.process().wait_for_err("web/a down → up", patient(5s)));
  network.cut_port(rig.backend().port());
  std::vector<Stream> clients;
  clients.push_back(rig.connect());
  REQUIRE(eventually([&] { return sockets_in_state("02", rig.backend().port()) == 1; }));  // SYN-SENT
  network.mend();
  const auto start = Clock::now();
  std::vector<Stream> others;
  for (int i = 0; i < 20; ++i) others.push_back(rig.connect());
  CHECK(served(others) == 20);
  if (!kSanitized) CHECK(Clock::now() - start < 800ms);
  CHECK(served(clients) == 1);
}

TEST_CASE("a lone backend that comes back serves the very next client") {
  Rig rig(lettered(1), unprobed());
  for (int round = 0; round < 3; ++round) {
    rig.backend().stop_listening();
    for (int i = 0; i < 10; ++i) CHECK(rig.connect().recv_to_end().ending == Ending::Reset);
    rig.backend().listen_again();
    CHECK(rig.letters(20) == std::string(20, 'a'));
  }
}

TEST_CASE("the last primary may be ejected while a backup is well, and serves again after its trial") {
  SimpleConfig config = unprobed();
  Rig rig(lettered(2), config, {"", "backup = true"});
  eject(rig, 1);
  rig.backend(0).listen_again();
  std::vector<Stream> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(rig.connect());
  CHECK(served(clients) == 10);
  CHECK(eventually(patient(5s), [&] { return rig.letters(1) == "a"; }));
  CHECK(eventually(patient(5s), [&] { return rig.letters(4) == "aaaa"; }));
}

TEST_CASE("when the last one in rotation dies, an ejected one that is back covers at once") {
  Rig rig(lettered(2), unprobed());
  eject(rig, 1);
  rig.backend(0).listen_again();
  rig.backend(1).stop_listening();
  CHECK(rig.letters(10) == std::string(10, 'a'));
}

TEST_CASE("while the one in rotation is merely full it is waited for, be an ejected one alive again or not") {
  SimpleConfig config = unprobed(kForLong);
  config.pool = "queue_timeout = \"10m\"";
  config.backends = {{}, {"", "", "max_sessions = 1"}};
  Operated weir(lettered(2), config);
  eject(weir, 1);
  if (GENERATE(false, true)) weir.backend(0).listen_again();
  REQUIRE(eventually([&] { return weir.backend_status("web/b")["active"] == 0; }));
  Stream held = weir.connect();
  REQUIRE(held.recv_exact(1) == "b");
  CHECK_THAT(weir.cli({"explain", "web", "127.0.0.1"}).out,
             Catch::Contains("127.0.0.1 would wait in the queue of pool web, for a backend with room"));
  Stream next = weir.connect();
  REQUIRE(eventually([&] { return weir.get("status")["pools"][0].value("queued", 0U) == 1U; }));
  held.close();
  CHECK(next.recv_exact(1) == "b");
}

TEST_CASE("an ejection lasts as configured, and eject_after = 0 means never") {
  SECTION("as configured") {
    Rig rig(lettered(2), unprobed("probe = \"none\"\neject_after = 1\neject_for = \"150ms\""));
    eject(rig, 1);
    CHECK(rig.process().wait_for_err(" in a row: ejected for 150ms"));
    rig.backend(0).listen_again();
    CHECK(rig.process().wait_for_err("web/a down → up"));
  }
  SECTION("never") {
    Rig rig(lettered(2), unprobed("probe = \"none\"\neject_after = 0"));
    rig.backend(0).stop_listening();
    CHECK(rig.letters(20) == std::string(20, 'b'));
    CHECK_THAT(rig.process().err(), !Catch::Contains("up → down"));
  }
}

TEST_CASE("status and explain say of an ejected backend whether it is used, and why") {
  Operated weir(lettered(2), unprobed(kForLong));
  eject(weir, 1);
  REQUIRE(eventually([&] { return weir.backend_status("web/a")["eligible"] == false; }));
  CHECK(weir.backend_status("web/a")["health"] == "down");
  CHECK_THAT(weir.backend_status("web/a")["reason"].get<std::string>(), Catch::Contains("ejected for 5m"));
  // The other one is drained: who is left is used, whatever is thought of him.
  weir.backend(0).listen_again();
  CHECK(weir.status({"drain", "web/b"}) == 1);
  REQUIRE(weir.status({"drain", "web/b", "--force"}) == 0);
  CHECK(weir.backend_status("web/a")["eligible"] == true);
  CHECK_THAT(weir.backend_status("web/a")["reason"].get<std::string>(),
             Catch::Contains("used although ejected, no backend of the pool is in rotation"));
  const std::string because = weir.answer({"explain", "web", "127.0.0.1"})["because"].dump();
  CHECK_THAT(because, Catch::Contains("a is used although ejected"));
  CHECK(weir.letters(5) == "aaaaa");
  // And that has worked: it is back in rotation for good.
  CHECK(eventually([&] { return weir.backend_status("web/a")["health"] == "up"; }));
}

TEST_CASE("sessions of an ejected backend are closed on its going down only when it really goes") {
  SimpleConfig config = unprobed(kForLong);
  config.pool = "on_backend_down = \"close\"";
  const std::size_t backends = GENERATE(1u, 2u);
  CAPTURE(backends, config.workers);
  Operated weir(echoing(backends), config);
  Stream held = weir.connect();
  REQUIRE(held.echoes("x"));
  const bool on_a = weir.backend_status("web/a")["active"] == 1;
  if (backends == 2 && !on_a) return;  // round robin begins with "a"
  weir.backend(0).stop_listening();
  REQUIRE(eventually([&] {
    Stream client = weir.connect();
    client.half_close();
    client.recv_to_end(1s);
    return weir.process().wait_for_err("web/a up → down", 0ms);
  }));
  if (backends == 1)
    CHECK(held.echoes("still here"));
  else
    CHECK(held.recv_to_end().ending == Ending::Reset);
}

TEST_CASE("a reload that changes how long ejections last says so") {
  Operated weir(lettered(2), unprobed());
  weir.config.health = kForLong;
  const Finished reloaded = weir.reload();
  CHECK(reloaded.status == 0);
  CHECK_THAT(reloaded.out + reloaded.err, Catch::Contains("~ pool web health."));
}
