#include "lb/control/inheritance.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "lb/net/socket.h"

using namespace weir;
using Catch::Contains;

namespace {

int duplicate(const Fd& fd) {
  return ::fcntl(fd.get(), F_DUPFD, 100);
}

}  // namespace

TEST_CASE("a bequest names every descriptor once, and is read back with the kernel's addresses") {
  Inheritance given;
  auto listening = listen_tcp(*Address::parse_ip_port("127.0.0.1:0"), true);
  REQUIRE(listening);
  const auto identity = socket_identity(listening->get());
  given.sockets.push_back({Address(), std::move(*listening), "", true});
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  given.channel = Fd(pair[0]);
  const Fd other_end(pair[1]);
  given.predecessors = {{41, "/run/weir/weir.sock.41"}};
  given.overrides = "{}";
  const Bequest bequest = bequeath(given);
  REQUIRE(bequest.descriptors.size() == 2);
  CHECK(bequest.descriptors[0].first == 3);
  CHECK(bequest.descriptors[1].first == 4);
  CHECK(bequest.variable.starts_with("WEIR_INHERIT={"));

  // In the child the numbers are those of the bequest; here they have to be put in.
  const auto text = fmt::format(
      R"({{"version":1,"sockets":[{{"fd":{},"held_outside":true}}],"channel":{},"predecessors":[{{"pid":41,"socket":"/x"}}],"overrides":"{{}}"}})",
      duplicate(given.sockets[0].fd), duplicate(given.channel));
  ::setenv(kInheritVariable, text.c_str(), 1);
  auto taken = take_inheritance();
  CHECK(std::getenv(kInheritVariable) == nullptr);
  REQUIRE(taken);
  REQUIRE(*taken);
  const Inheritance& got = **taken;
  REQUIRE(got.sockets.size() == 1);
  CHECK(got.sockets[0].address.to_string().starts_with("127.0.0.1:"));
  CHECK(got.sockets[0].address.port() != 0);
  CHECK(got.sockets[0].held_outside);
  CHECK(socket_identity(got.sockets[0].fd.get()) == identity);
  CHECK((::fcntl(got.sockets[0].fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(got.channel.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(got.predecessors.at(0).pid == 41);
  CHECK(got.overrides == "{}");
}

TEST_CASE("a bequest that is not so is refused with the reason") {
  const Fd not_listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto with = [](int fd) {
    return fmt::format(R"({{"version":1,"sockets":[{{"fd":{}}}],"channel":0,"predecessors":[]}})", fd);
  };
  const auto reason = [](const std::string& text) {
    const auto result = parse_inheritance(text);
    return result ? std::string() : result.error().message;
  };
  CHECK_THAT(reason(with(not_listening.get())), Contains("not a listening stream socket"));
  CHECK_THAT(reason(with(987)), Contains("descriptor 987"));
  CHECK_THAT(reason("junk"), Contains("not a JSON object"));
  CHECK_THAT(reason(R"({"version":2})"), Contains("version 2"));
  CHECK_THAT(reason(R"({"version":1})"), Contains("sockets"));
  CHECK_THAT(reason(R"({"version":1,"sockets":[{"fd":"x"}],"channel":0,"predecessors":[]})"),
             Contains("type"));
}
