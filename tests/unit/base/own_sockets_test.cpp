#include "lb/base/own_sockets.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/support/port.h"
#include "tests/support/temp_dir.h"

using namespace weir;
using test::to_address;

namespace {

/// Of a host with the addresses 192.0.2.7 and 2001:db8::7.
bool reaches(const std::string& to, const std::string& bound) {
  OwnSockets own(HostAddresses({to_address("192.0.2.7:0"), to_address("[2001:db8::7]:0")}));
  own.add(to_address("127.0.0.1:9"), 1);
  own.add(to_address(bound), 7);
  const auto tag = own.reached_by(to_address(to));
  return tag && *tag == 7;
}

}  // namespace

TEST_CASE("a connect ends at a socket bound to that address, or to every address of this host") {
  const auto [to, bound] = GENERATE(table<std::string, std::string>({
      {"10.0.0.1:80", "10.0.0.1:80"},
      {"127.0.0.1:80", "0.0.0.0:80"},
      {"127.9.9.9:80", "0.0.0.0:80"},
      {"192.0.2.7:80", "0.0.0.0:80"},
      {"[::ffff:192.0.2.7]:80", "0.0.0.0:80"},
      {"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
      {"0.0.0.0:80", "0.0.0.0:80"},
      {"0.0.0.0:80", "127.0.0.1:80"},
      {"[::1]:80", "[::]:80"},
      {"[2001:db8::7]:80", "[::]:80"},
      {"[::]:80", "[::1]:80"},
      {"[::]:80", "[::]:80"},
      {"unix:/tmp//./x.sock", "unix:/tmp/x.sock"},
  }));
  CAPTURE(to, bound);
  CHECK(reaches(to, bound));
}

TEST_CASE("a connect to another address, port, family or host ends elsewhere") {
  const auto [to, bound] = GENERATE(table<std::string, std::string>({
      {"10.0.0.1:81", "10.0.0.1:80"},
      {"10.0.0.1:80", "0.0.0.0:80"},
      {"192.0.2.7:80", "127.0.0.1:80"},
      {"192.0.2.7:80", "[::]:80"},
      {"[::1]:80", "0.0.0.0:80"},
      {"[2001:db8::8]:80", "[::]:80"},
      {"0.0.0.0:80", "192.0.2.7:80"},
      {"unix:/tmp/y.sock", "unix:/tmp/x.sock"},
  }));
  CAPTURE(to, bound);
  CHECK_FALSE(reaches(to, bound));
}

TEST_CASE("a unix socket is reached through symbolic links, also before it is bound") {
  const test::TempDir dir;
  std::filesystem::create_directory(dir.file("real"));
  std::filesystem::create_directory_symlink(dir.file("real"), dir.file("folder"));
  std::filesystem::create_symlink("folder/web.sock", dir.file("link.sock"));
  std::filesystem::create_symlink(dir.file("link.sock"), dir.file("chain.sock"));
  std::filesystem::create_symlink("circle.sock", dir.file("circle.sock"));
  const std::string bound = "unix:" + dir.file("real/web.sock");
  CHECK(reaches("unix:" + dir.file("folder/web.sock"), bound));
  CHECK(reaches("unix:" + dir.file("link.sock"), bound));
  CHECK(reaches("unix:" + dir.file("chain.sock"), bound));
  CHECK_FALSE(reaches("unix:" + dir.file("circle.sock"), bound));
}

TEST_CASE("this host's own addresses hold loopback whatever the kernel says") {
  CHECK(HostAddresses().contains(ClientAddress::parse_ip("127.0.0.53").value()));
  CHECK(HostAddresses::read().contains(ClientAddress::parse_ip("::1").value()));
  CHECK_FALSE(HostAddresses::read().contains(ClientAddress::parse_ip("203.0.113.77").value()));
}

TEST_CASE("localhost needs no name server, other names do") {
  const auto hosts = [](const char* text) { return known_addresses(parse_endpoint(text).value()); };
  CHECK(hosts("localhost:80").size() == 2);
  CHECK(hosts("A.LocalHost.:80").at(1).to_string() == "[::1]:80");
  CHECK(hosts("10.0.0.1:80").at(0).to_string() == "10.0.0.1:80");
  CHECK(hosts("web.example:80").empty());
}
