#include "lb/wire/postgres_start.h"

#include "tests/unit/wire/feeding.h"

using namespace weir;
using namespace weir::test;
using namespace std::string_literals;

namespace {

PostgresStart start_of(std::string_view text) {
  return recognize_postgres(Exact(text).bytes());
}

}  // namespace

TEST_CASE("PostgreSQL's requests for TLS and GSSAPI are recognized at their eighth byte") {
  for (const auto& [request, what] : {std::pair(kPostgresSslRequest, PostgresStart::SslRequest),
                                      std::pair(kPostgresGssRequest, PostgresStart::GssRequest)}) {
    for (std::size_t size = 0; size < request.size(); ++size)
      CHECK(start_of(request.substr(0, size)) == PostgresStart::NeedsMore);
    CHECK(start_of(request) == what);
    CHECK(start_of(std::string(request) + "\x16\x03\x01") == what);
  }
}

TEST_CASE("what else a client begins with is no such request as soon as it shows") {
  CHECK(start_of("\x16") == PostgresStart::Other);
  // A CancelRequest, and StartupMessages of version 3.0.
  CHECK(start_of("\0\0\0\x10"s) == PostgresStart::Other);
  CHECK(start_of("\0\0\0\x10\x04\xd2\x16\x2e"s) == PostgresStart::Other);
  CHECK(start_of("\0\0\0\x08\0"s) == PostgresStart::Other);
  CHECK(start_of("\0\0\0\x08\x04\xd2\x16\x2e"s) == PostgresStart::Other);
  CHECK(start_of("\0\0\0\x29\0\x03\0\0"s) == PostgresStart::Other);
}
