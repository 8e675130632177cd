// Sessions that are ended so that their clients come back to others: weir rebalance, pool.rebalance.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

SimpleConfig balanced(const std::string& balance, const std::string& more = "", int workers = 1) {
  SimpleConfig config;
  config.workers = workers;
  config.pool = "balance = \"" + balance + "\"\n" + more;
  return config;
}

/// While "b" is out, so that "a" has them all.
std::vector<HeldSession> hold_at_a(const Operated& weir, std::size_t count) {
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < count; ++i) {
    held.push_back(hold_session(weir, i));
    REQUIRE(held.back().letter == 'a');
  }
  REQUIRE(weir.status({"enable", "web/b"}) == 0);
  return held;
}

/// Which of them have been ended, as "1100".
std::string ended(std::vector<HeldSession>& held) {
  std::string out;
  for (HeldSession& one : held) {
    try {
      out += one.stream.echoes("?") ? '0' : '1';
    } catch (const StreamError&) {
      out += '1';
    }
  }
  return out;
}

}  // namespace

TEST_CASE("rebalance ends the oldest sessions of who has more than its share, and no more than that") {
  Operated weir(lettered(2), balanced("round_robin", "", GENERATE(1, 2)));
  std::vector<HeldSession> held = hold_at_a(weir, 10);
  const Finished done = weir.cli({"rebalance", "web", "--rate", "1000/s"});
  CHECK(done.status == 0);
  CHECK(done.out == "4 sessions ended; no backend has more than its share\n");
  CHECK(ended(held) == "1111000000");
  for (const AccessLine& line : weir.weir().wait_for_access(4)) CHECK(line["end"] == "rebalanced");
  CHECK(weir.answer({"rebalance", "web", "--to", "1", "--rate", "1000/s"}).at("ended") == 3);
  CHECK(weir.cli({"rebalance", "web", "--to", "2"}).out.starts_with("0 sessions ended; no backend"));
}

TEST_CASE("rebalance keeps to its rate") {
  Operated weir(lettered(2), balanced("round_robin"));
  std::vector<HeldSession> held = hold_at_a(weir, 10);
  const auto begin = Clock::now();
  CHECK(weir.answer({"rebalance", "web", "--rate", "4/s"}).at("ended") == 4);
  CHECK(since(begin) >= 750ms);  // the fourth at 3/4 of a second
  const std::string log = weir.log();
  const std::size_t asked = log.find("/v1/pools/web/rebalance");
  CHECK(asked != std::string::npos);
  CHECK(log.find("/v1/pools/web/rebalance", asked + 1) == std::string::npos);  // once, however many rounds
}

TEST_CASE("under source_hash only those are ended whose client would get another backend now") {
  Operated weir(lettered(2), balanced("source_hash"));
  std::vector<HeldSession> held = hold_at_a(weir, 40);
  const json answer = weir.answer({"rebalance", "web", "--to", "1", "--rate", "1000/s"});
  const std::string gone = ended(held);
  CHECK(answer.at("ended") == std::count(gone.begin(), gone.end(), '1'));
  CHECK(answer.at("ended") > 5);
  for (std::size_t i = 0; i < held.size(); ++i) {
    if (gone[i] == '0') continue;
    CHECK(hold_session(weir, i).letter == 'b');
  }
}

TEST_CASE("a pool that wants it evens out by itself when a backend has come, and at no other time") {
  Operated weir(lettered(2), balanced("round_robin", "rebalance = \"1000/s\""));
  std::vector<HeldSession> held = hold_at_a(weir, 10);
  CHECK(weir.says("pool web: a backend has come"));
  CHECK(weir.says("pool web: 4 sessions ended, and nobody has more than its share"));
  CHECK(ended(held) == "1111000000");
  held.erase(held.begin(), held.begin() + 4);
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  REQUIRE(weir.reload().status == 0);
  CHECK(ended(held) == "000000");
}

TEST_CASE("rebalance says what is wrong with what it is given") {
  Operated weir(lettered(1));
  CHECK(weir.cli({"rebalance", "wed"}).status == 3);
  CHECK_THAT(weir.cli({"rebalance", "wed"}).err, Contains("web"));
  CHECK(weir.status({"rebalance"}) == 2);
  for (const char* rate : {"", "5", "0/s", "5/d"})
    CHECK(weir.status({"rebalance", "web", "--rate", rate}) == 2);
  for (const char* to : {"0.9", "11", "x"}) CHECK(weir.status({"rebalance", "web", "--to", to}) == 2);
}

TEST_CASE("kill --denied ends those whom the rules of now would not let in, and those alone") {
  Operated weir(lettered(1));
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < 4; ++i) held.push_back(hold_session(weir, i));  // 127.0.0.2 to .5
  CHECK(weir.answer({"kill", "--denied"}).at("killed") == 0);
  weir.config.listener = "deny = [\"127.0.0.2\", \"127.0.0.4/31\"]";
  REQUIRE(weir.reload().status == 0);
  CHECK(ended(held) == "0000");
  CHECK(weir.answer({"kill", "--denied", "--client", "127.0.0.3"}).at("killed") == 0);
  CHECK(weir.answer({"kill", "--denied", "--client", "127.0.0.4"}).at("killed") == 1);
  CHECK(weir.answer({"sessions", "--denied"}).at("sessions").size() == 2);
  CHECK(weir.answer({"kill", "--denied"}).at("killed") == 2);
  CHECK(ended(held) == "1011");
  // With proxy_from it is the connection that has to be one of those.
  weir.config.listener = "proxy_from = [\"127.0.0.9\"]";
  REQUIRE(weir.reload().status == 0);
  CHECK(weir.answer({"kill", "--denied", "--pool", "web"}).at("killed") == 1);
}
