#include <catch2/catch.hpp>

#include "lb/proxy/access_log.h"
#include "tests/support/access_log.h"
#include "tests/support/port.h"

using namespace weir;

namespace {

struct Names {
  ListenerLoad listener{"web", "pool-1", 1};
  std::shared_ptr<BackendLoad> backend =
      std::make_shared<BackendLoad>(1, "pool-1", "web1", "10.0.0.11:80", 1);
};

AccessRecord full_record(const Names& names) {
  return {.time_ms = 1'769'853'600'123,
          .listener = &names.listener,
          .backend = names.backend,
          .connect_us = 449,
          .duration_us = 12'999,
          .bytes_to_backend = 78,
          .bytes_to_client = 5120,
          .client = ClientAddress(test::to_address("203.0.113.9:51234").data()),
          .attempts = 1,
          .end = End::Done};
}

std::string line_of(const AccessRecord& record) {
  std::string line;
  append_line(line, record);
  return line;
}

}  // namespace

TEST_CASE("an access-log line has every field of the contract in its order") {
  const Names names;
  REQUIRE(line_of(full_record(names)) ==
          "time=2026-01-31T10:00:00.123Z listener=web client=203.0.113.9:51234 pool=pool-1 backend=web1 "
          "backend_address=10.0.0.11:80 attempts=1 connect_ms=0.4 duration_ms=12.9 bytes_to_backend=78 "
          "bytes_to_client=5120 end=done\n");
}

TEST_CASE("what a session did not have is a dash in its line") {
  const Names names;
  AccessRecord record = full_record(names);
  record.backend = nullptr;
  record.connect_us = -1;
  record.attempts = 0;
  record.bytes_to_backend = record.bytes_to_client = 0;
  record.duration_us = 0;
  record.end = End::NoBackend;
  REQUIRE(line_of(record) ==
          "time=2026-01-31T10:00:00.123Z listener=web client=203.0.113.9:51234 pool=pool-1 backend=- "
          "backend_address=- attempts=0 connect_ms=- duration_ms=0.0 bytes_to_backend=0 bytes_to_client=0 "
          "end=no_backend\n");
}

TEST_CASE("a unix client is unix and an IPv6 client stands in brackets") {
  const Names names;
  AccessRecord record = full_record(names);
  record.client = ClientAddress();
  CHECK(test::AccessLine(line_of(record))["client"] == "unix");
  record.client = ClientAddress(test::to_address("[2001:db8::1]:443").data());
  CHECK(test::AccessLine(line_of(record))["client"] == "[2001:db8::1]:443");
  record.client = ClientAddress(test::to_address("[::ffff:192.0.2.1]:443").data());
  CHECK(test::AccessLine(line_of(record))["client"] == "192.0.2.1:443");
}

TEST_CASE("whatever a unix path holds, a session stays one line of twelve fields") {
  Names names;
  names.backend = std::make_shared<BackendLoad>(1, "pool-1", "web1", "unix:/run/a b\"c\\d\ne\x01=f", 1);
  const std::string line = line_of(full_record(names));
  REQUIRE(line.find(R"(backend_address="unix:/run/a b\"c\\d\ne\x01=f" )") != std::string::npos);
  REQUIRE(std::count(line.begin(), line.end(), '\n') == 1);
  REQUIRE(test::AccessLine(line.substr(0, line.size() - 1)).keys().size() == 12);
}

TEST_CASE("numbers of any size are written in full") {
  const Names names;
  AccessRecord record = full_record(names);
  record.bytes_to_backend = UINT64_MAX;
  record.bytes_to_client = std::uint64_t{1} << 40;
  record.duration_us = std::int64_t{10'000} * 3'600 * 1'000'000;
  record.attempts = UINT16_MAX;
  const test::AccessLine line(line_of(record));
  CHECK(line["bytes_to_backend"] == "18446744073709551615");
  CHECK(line["bytes_to_client"] == "1099511627776");
  CHECK(line["duration_ms"] == "36000000000.0");
  CHECK(line["attempts"] == "65535");
}

TEST_CASE("each way to end has its word") {
  const Names names;
  AccessRecord record = full_record(names);
  const std::pair<End, const char*> words[] = {{End::Done, "done"},
                                               {End::ClientReset, "client_reset"},
                                               {End::Idle, "idle"},
                                               {End::BackendReset, "backend_reset"},
                                               {End::NoBackend, "no_backend"},
                                               {End::HalfCloseIdle, "half_close_idle"},
                                               {End::ClientGone, "client_gone"},
                                               {End::ConnectFailed, "connect_failed"},
                                               {End::Killed, "killed"},
                                               {End::Shutdown, "shutdown"}};
  for (const auto& [end, word] : words) {
    record.end = end;
    CHECK(line_of(record).ends_with(std::string(" end=") + word + "\n"));
  }
}
