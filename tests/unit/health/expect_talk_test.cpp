#include "tests/unit/health/talking.h"

using namespace weir;
using namespace weir::test;

namespace {

ProbeConfig expecting(const std::string& text, const std::string& send = "", const std::string& reject = "") {
  ProbeConfig config;
  config.kind = "expect";
  config.expect = text;
  config.send = send;
  config.reject = reject;
  return config;
}

ProbeConfig in_steps(std::vector<ExpectStep> steps) {
  ProbeConfig config;
  config.kind = "expect";
  config.steps = std::move(steps);
  return config;
}

Talked answered(const ProbeConfig& config, const std::string& answer, bool closed = false) {
  return talk_at_every_cut(make_expect_talk, config, answer, closed);
}

const std::vector<ExpectStep> kMail = {{.send = "", .expect = "220 ", .reject = ""},
                                       {.send = "EHLO\r\n", .expect = "250 ", .reject = "500"},
                                       {.send = "QUIT\r\n", .expect = "", .reject = ""}};

}  // namespace

TEST_CASE("an expect probe passes when its text has come, wherever it stands") {
  CHECK(answered(expecting("PONG", "PING"), "+PONG\r\n") == passes("PING"));
  CHECK(answered(expecting("aab"), "aaaab") == passes(""));
  CHECK(answered(expecting("\x01\xff"), std::string("\0\x01\xff", 3)) == passes(""));
  CHECK(answered(expecting("PONG"), "+PON") == goes_on(""));
  CHECK(answered(expecting("PONG"), "-ERR no\n", true) ==
        fails("closed by the backend without PONG, got \"-ERR no\\n\"", ""));
  CHECK(answered(expecting("PONG"), "", true) ==
        fails("closed by the backend without PONG, got nothing", ""));
}

TEST_CASE("what must not be there fails an expect probe at once, and is told with its line") {
  const auto config = expecting("+OK", "", "-ERR");
  CHECK(answered(config, "hello\r\nx -ERR no\r\n+OK") ==
        fails("got \"x -ERR\", which must not be there", ""));
  CHECK(answered(config, "-ERR") == fails("got -ERR, which must not be there", ""));
  CHECK(answered(config, "+OK -ERR") == passes(""));
  CHECK(answered(config, "-ERR +OK").state == Heard::State::Failed);
  CHECK(answered(config, "-ER+OK") == passes(""));
  // Both end with the same byte.
  CHECK(answered(expecting("OK", "", "NOK"), "NOK").state == Heard::State::Failed);
  CHECK(answered(expecting("NOK", "", "OK"), "NOK").state == Heard::State::Failed);
}

TEST_CASE("steps follow each other, and each reads on behind what the one before has found") {
  const auto config = in_steps(kMail);
  CHECK(answered(config, "220 a\r\n250-b\r\n250 c") == passes("EHLO\r\nQUIT\r\n"));
  CHECK(answered(config, "220 a 220 b") == goes_on("EHLO\r\n"));
  CHECK(answered(config, "220 500 no 250 ") == fails("step 2: got 500, which must not be there", "EHLO\r\n"));
  CHECK(answered(config, "500 220 250 ") == passes("EHLO\r\nQUIT\r\n"));
  CHECK(answered(config, "220 x", true) ==
        fails("step 2: closed by the backend without \"250 \", got x", "EHLO\r\n"));
  CHECK(answered(in_steps({{"a", "", ""}, {"b", "x", ""}, {"c", "x", ""}}), "xx") == passes("abc"));
}

TEST_CASE("only what is sent last needs an end without a reset") {
  CHECK(make_expect_talk(in_steps(kMail))->minds_reset());
  CHECK_FALSE(make_expect_talk(expecting("x"))->minds_reset());
}

TEST_CASE("64 KiB are read for one step, however they come, and no byte more") {
  const std::string most(64 * 1024 - 4, 'x');
  for (const std::size_t cut : {std::size_t{0}, most.size() - 1, most.size(), most.size() + 2}) {
    const auto cut_there = [cut](const std::string& answer) {
      return std::vector{answer.substr(0, cut), answer.substr(cut)};
    };
    CHECK(talk(*make_expect_talk(expecting("PONG")), cut_there(most + "PONG"), false) == passes(""));
    CHECK(talk(*make_expect_talk(expecting("PONG")), cut_there(most + "xPONG"), false) ==
          fails("64 KiB read without PONG, got " + std::string(40, 'x'), ""));
    CHECK(talk(*make_expect_talk(in_steps({{"", "PONG", ""}, {"", "PONG", ""}})),
               cut_there(most + "PONG" + most + "PONG"), false) == passes(""));
  }
}
