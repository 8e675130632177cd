#include "lb/base/syslog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <regex>

using namespace weir;

TEST_CASE("a target of syslog's is its socket, and no other target is one") {
  CHECK(syslog_path("syslog:") == "/dev/log");
  CHECK(syslog_path("syslog:/run/other") == "/run/other");
  for (const char* other : {"stderr", "stdout", "off", "/syslog:", ""}) CHECK(syslog_path(other).empty());
}

TEST_CASE("a syslog message is one of RFC 5424") {
  const std::chrono::system_clock::time_point time{std::chrono::milliseconds(1'769'853'600'123)};
  const std::regex form(
      fmt::format(R"(<(\d+)>1 2026-01-31T10:00:00\.123Z \S+ weir {} access - a b=c)", ::getpid()));
  const std::pair<Severity, std::string> severities[] = {
      {Severity::Error, "27"}, {Severity::Warning, "28"}, {Severity::Info, "30"}, {Severity::Debug, "31"}};
  for (const auto& [severity, number] : severities) {
    const std::string message = syslog_message(severity, time, "access", "a b=c");
    std::smatch parts;
    CAPTURE(message);
    REQUIRE(std::regex_match(message, parts, form));
    CHECK(parts[1] == number);
  }
}

TEST_CASE("a socket that nobody listens at is an error that names it") {
  const auto socket = SyslogSocket::open("/no/such/socket");
  REQUIRE_FALSE(socket);
  CHECK_THAT(socket.error().message, Catch::Contains("no syslog daemon at /no/such/socket"));
  CHECK_FALSE(SyslogSocket::open("/" + std::string(200, 'x')));
}
