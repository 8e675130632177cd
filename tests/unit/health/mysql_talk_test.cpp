#include "tests/unit/health/talking.h"

using namespace weir;
using namespace weir::test;
using namespace std::string_literals;

namespace {

std::string packet(char sequence, const std::string& body) {
  return std::string(1, static_cast<char>(body.size() & 0xFF)) + static_cast<char>(body.size() >> 8) + '\0' +
         sequence + body;
}

std::string error(char sequence, int code, const std::string& text) {
  return packet(sequence, "\xff"s + static_cast<char>(code & 0xFF) + static_cast<char>(code >> 8) + text);
}

const std::string kGreeting = packet(0,
                                     "\x0a"
                                     "5.5.5-10.11.4-MariaDB\0"s +
                                         "\1\0\0\0saltsalt\0\xfe\xf7\x2d\2\0\xff\x81\x15"s);
const std::string kResponse =
    packet(1, "\0\x82\x08\0\0\x40\0\0\x21"s + std::string(23, '\0') + "weir\0\0mysql_native_password\0"s);
const std::string kQuit = "\1\0\0\0\1"s;
const std::string kOk = "\0\0\0\2\0\0\0"s;

Talked answered(const std::string& answer, bool closed = false) {
  return talk_at_every_cut(make_mysql_talk, ProbeConfig(), answer, closed);
}

}  // namespace

TEST_CASE("mysql: a user who may come in says COM_QUIT, one who may not is enough to know") {
  CHECK(answered(kGreeting) == goes_on(kResponse));
  CHECK(answered(kGreeting + packet(2, kOk)) == passes(kResponse + kQuit));
  CHECK(answered(kGreeting + error(2, 1045, "#28000Access denied for user 'weir'@'h'")) == passes(kResponse));
  CHECK(answered(kGreeting + error(2, 1698, "#28000Access denied")) == passes(kResponse));
}

TEST_CASE("mysql: another way to authenticate is answered with an empty password, as it wants to see it") {
  const std::string native = packet(2, "\xfemysql_native_password\0salt"s);
  CHECK(answered(kGreeting + native + packet(4, kOk)) == passes(kResponse + "\0\0\0\3"s + kQuit));
  const std::string sha2 = packet(2,
                                  "\xfe"
                                  "caching_sha2_password\0salt"s);
  CHECK(answered(kGreeting + sha2 + packet(4, "\1\3") + packet(5, kOk)) ==
        passes(kResponse + "\1\0\0\3\0"s + kQuit));
  CHECK(answered(kGreeting + native + error(4, 1045, "#28000no")) == passes(kResponse + "\0\0\0\3"s));
}

TEST_CASE("mysql: an error in place of the greeting is the reason, in the server's words") {
  CHECK(answered(error(0, 1040, "Too many connections")) == fails("Too many connections (1040)", ""));
  CHECK(answered(error(0, 1129, "#HY000Host 'h' is blocked because of many connection errors")) ==
        fails("Host 'h' is blocked because of many connection errors (1129)", ""));
  CHECK(answered(error(0, 1130, "Host 'h' is not allowed to connect")).state == Heard::State::Failed);
  CHECK(answered(error(0, 1045, "x")).state == Heard::State::Failed);
  CHECK(answered(kGreeting + error(2, 1040, "#08004Too many connections")) ==
        fails("Too many connections (1040)", kResponse));
  CHECK(answered(error(0, 1040, "a\nb")).reason == "a\\x0ab (1040)");
  CHECK(answered("", true) == fails("closed by the backend before its greeting, got nothing", ""));
  CHECK(answered(kGreeting, true) ==
        fails("closed by the backend after its greeting, got nothing", kResponse));
}

TEST_CASE("mysql: what is no MySQL is told so, and neither a packet nor their number is without a bound") {
  const std::string wrong =
      GENERATE("HTTP/1.1 400"s, "\0\0\0\0x"s, "\5\0\0\0\x09"s, "\1\x40\0\0\x0a"s, "+PONG\r\n"s);
  CHECK_THAT(talk(*make_mysql_talk(ProbeConfig()), {wrong}, false).reason,
             Catch::StartsWith("this is not MySQL or MariaDB, got "));
  CHECK(answered(kGreeting + packet(2, "\x17")).state == Heard::State::Failed);
  std::string endless = kGreeting;
  for (char i = 0; i < 20; ++i) endless += packet(i, "\1x");
  CHECK(answered(endless) == fails("a greeting without an end", kResponse));
  CHECK(answered(packet(0, "\xff")) == fails(" (0)", ""));
}
