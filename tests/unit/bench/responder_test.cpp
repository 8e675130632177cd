#include "bench/load/responder.h"

#include <catch2/catch.hpp>

#include "bench/load/http.h"

namespace weir::load {

namespace {

struct Fixture {
  explicit Fixture(ServeMode mode) { options.mode = mode; }
  std::unique_ptr<Responder> make() { return make_responder(options, "web1", pattern, totals); }

  ServeOptions options;
  Pattern pattern{1024};
  ServeTotals totals;
};

std::size_t times(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("an HTTP answer names the server and keeps the connection when it is asked to") {
  Fixture fixture(ServeMode::Http);
  const auto responder = fixture.make();
  const auto kept = responder->answer("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(kept.bytes.ends_with("Content-Length: 5\r\nConnection: keep-alive\r\n\r\nweb1\n"));
  CHECK_FALSE(kept.close);
  CHECK(responder->answer("GET / HTTP/1.1\r\nconnection:  Close \r\n\r\n").close);
  CHECK(fixture.make()->answer("GET / HTTP/1.0\r\n\r\n").close);
  CHECK_FALSE(fixture.make()->answer("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").close);
}

TEST_CASE("an HTTP head that comes in pieces is answered once, when its end is there") {
  Fixture fixture(ServeMode::Http);
  const auto responder = fixture.make();
  const std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const char& byte : request.substr(0, request.size() - 1))
    REQUIRE(responder->answer({&byte, 1}).bytes.empty());
  CHECK(responder->answer("\n").bytes.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(fixture.totals.requests == 1);
}

TEST_CASE("pipelined HTTP requests get an answer each, and a body is not taken for a request") {
  Fixture fixture(ServeMode::Http);
  const auto responder = fixture.make();
  const auto both = responder->answer(
      "POST / HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n"
      "HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  CHECK(times(both.bytes, "200 OK") == 3);
  CHECK(times(both.bytes, "web1\n") == 2);
}

TEST_CASE("an HTTP head without end is refused") {
  Fixture fixture(ServeMode::Http);
  const auto responder = fixture.make();
  const std::string much(40'000, 'x');
  CHECK_FALSE(responder->answer(much).close);
  const auto refused = responder->answer(much);
  CHECK(refused.close);
  CHECK(refused.bytes.starts_with("HTTP/1.1 431"));
}

TEST_CASE("a sink notices a byte out of place, and counts its connection once") {
  Fixture fixture(ServeMode::Sink);
  fixture.options.verify = true;
  const auto good = fixture.make();
  good->answer(fixture.pattern.at(0, 700));
  good->answer(fixture.pattern.at(700, 300));
  CHECK(fixture.totals.wrong_streams == 0);
  const auto bad = fixture.make();
  bad->answer(fixture.pattern.at(0, 700));
  bad->answer(fixture.pattern.at(701, 300));
  bad->answer(fixture.pattern.at(0, 300));
  CHECK(fixture.totals.wrong_streams == 1);
}

TEST_CASE("the answer mode answers each whole request, however they are cut, and then closes") {
  Fixture fixture(ServeMode::Answer);
  fixture.options.request_bytes = 10;
  fixture.options.answer_bytes = 100;
  fixture.options.close_after = 30;
  const auto responder = fixture.make();
  CHECK(responder->answer("012345678").bytes.empty());
  CHECK(responder->answer("9").bytes == fixture.pattern.at(0, 100));
  const auto last = responder->answer("01234567890123456789");
  CHECK(last.bytes.size() == 200);
  CHECK(last.close);
}

}  // namespace weir::load
