#include "tests/unit/health/talking.h"

using namespace weir;
using namespace weir::test;

namespace {

Talked answered(const std::string& answer, bool closed = false) {
  ProbeConfig config;
  config.host = "lb";
  return talk_at_every_cut(make_smtp_talk, config, answer, closed);
}

}  // namespace

TEST_CASE("smtp: greeting, EHLO and QUIT, in lines or in one") {
  CHECK(answered("220 mail\r\n250 mail\r\n") == passes("EHLO lb\r\nQUIT\r\n"));
  CHECK(answered("220-mail\r\n220-hello\r\n220 \r\n250-mail\r\n250-SIZE 1\r\n250 HELP\r\n") ==
        passes("EHLO lb\r\nQUIT\r\n"));
  CHECK(answered("220\r\n250\r\n") == passes("EHLO lb\r\nQUIT\r\n"));
  CHECK(answered("220-mail\r\n") == goes_on(""));
  CHECK(answered("220 mail\r\n250-x\r\n") == goes_on("EHLO lb\r\n"));
}

TEST_CASE("smtp: without a host of its own it calls itself as this host is called") {
  std::string words;
  const ProbeConfig config;
  const auto talk = make_smtp_talk(config);
  talk->begin(words);
  talk->hear("220 x\r\n", words);
  CHECK_THAT(words, Catch::StartsWith("EHLO ") && Catch::EndsWith("\r\n"));
  CHECK(words.size() > 7);
}

TEST_CASE("smtp: a refusal is the reason, in the server's words") {
  CHECK(answered("421 4.3.2 too many connections\r\n") ==
        fails("421 4.3.2 too many connections", "QUIT\r\n"));
  CHECK(answered("554-no\r\n554 mail here\r\n") == fails("554-no", "QUIT\r\n"));
  CHECK(answered("220 x\r\n550 not you\r\n") == fails("550 not you", "EHLO lb\r\nQUIT\r\n"));
  CHECK(answered("220-x\r\n421 y\r\n") == fails("421 y", "QUIT\r\n"));
  CHECK(answered("220-x\r\n", true) == fails("closed by the backend before its greeting, got nothing", ""));
  CHECK(answered("220 x\r\n25", true) == fails("closed by the backend after EHLO, got 25", "EHLO lb\r\n"));
}

TEST_CASE("smtp: what is no SMTP, or has no end, fails") {
  CHECK(answered("SSH-2.0-OpenSSH\r\n") == fails("this is not SMTP, got SSH-2.0-OpenSSH", ""));
  for (const char* wrong : {"22\r\n", "220x\r\n", "120 x\r\n", "620 x\r\n", "\r\n", "2a0 x\r\n"})
    CHECK_THAT(answered(wrong).reason, Catch::StartsWith("this is not SMTP"));
  CHECK(answered(std::string(5000, '2')) == fails("a line without an end", ""));
  CHECK(answered("220 " + std::string(5000, 'x') + "\r\n") == fails("a line without an end", ""));
  std::string many;
  for (int i = 0; i < 100; ++i) many += "220-x\r\n";
  CHECK(answered(many) == fails("a reply without an end", ""));
}
