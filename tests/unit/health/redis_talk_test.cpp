#include "tests/unit/health/talking.h"

using namespace weir;
using namespace weir::test;

namespace {

const std::string kPing = "*1\r\n$4\r\nPING\r\n";
const std::string kRole = "*1\r\n$4\r\nROLE\r\n";
const std::string kQuit = "*1\r\n$4\r\nQUIT\r\n";

Talked answered(const std::string& answer, const std::string& role = "", bool closed = false) {
  ProbeConfig config;
  config.role = role;
  return talk_at_every_cut(make_redis_talk, config, answer, closed);
}

}  // namespace

TEST_CASE("redis: an answer to PING is alive, and so is a server that wants a password first") {
  CHECK(answered("+PONG\r\n") == passes(kPing + kQuit));
  CHECK(answered("-NOAUTH Authentication required.\r\n") == passes(kPing + kQuit));
  CHECK(answered("-NOPERM this user has no permissions\r\n") == passes(kPing + kQuit));
  CHECK(answered("+PON") == goes_on(kPing));
}

TEST_CASE("redis: another error is the reason, in the server's words") {
  CHECK(answered("-LOADING Redis is loading the dataset in memory\r\n") ==
        fails("LOADING Redis is loading the dataset in memory", kPing + kQuit));
  CHECK(answered("-ERR max number of clients reached\r\n") ==
        fails("ERR max number of clients reached", kPing + kQuit));
  CHECK(answered("-MASTERDOWN a\x01\x1b[0m\r\n").reason == "MASTERDOWN a\\x01\\x1b[0m");
  CHECK(answered("-ERR " + std::string(1000, 'x') + "\r\n").reason.size() < 210);
  CHECK(answered("", "", true) == fails("closed by the backend, got nothing", kPing));
}

TEST_CASE("redis: with a role the server must say that it has it") {
  const std::string master = "+PONG\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
  const std::string replica =
      "+PONG\r\n*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:1\r\n$9\r\nconnected\r\n:0\r\n";
  CHECK(answered(master, "master") == passes(kPing + kRole + kQuit));
  CHECK(answered(replica, "replica") == passes(kPing + kRole + kQuit));
  CHECK(answered(master, "replica") == fails("its role is master, not replica", kPing + kRole + kQuit));
  CHECK(answered(replica, "master") == fails("its role is replica, not master", kPing + kRole + kQuit));
  CHECK(answered("+PONG\r\n", "master") == goes_on(kPing + kRole));
  CHECK(answered("-NOAUTH Authentication required.\r\n", "master") ==
        fails("NOAUTH Authentication required.", kPing + kQuit));
  CHECK(answered("+PONG\r\n-NOPERM no\r\n", "master") == fails("NOPERM no", kPing + kRole + kQuit));
  CHECK(answered("+PONG\r\n+master\r\n", "master").state == Heard::State::Failed);
}

TEST_CASE("redis: what is no Redis is told so, and a line without an end is not collected") {
  CHECK(answered("HTTP/1.1 400 Bad Request\r\n") ==
        fails("this is not Redis, got \"HTTP/1.1 400 Bad Request\"", kPing + kQuit));
  CHECK(answered("+PONG!\r\n").state == Heard::State::Failed);
  CHECK(answered(std::string(5000, 'x')) == fails("a line without an end", kPing + kQuit));
  CHECK(answered(std::string(5000, 'x') + "\r\n") == fails("a line without an end", kPing + kQuit));
}
