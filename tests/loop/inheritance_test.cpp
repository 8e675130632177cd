#include "lb/control/inheritance.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

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
  given.standard_error = Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  given.first_descriptor_limit = 1'024;
  given.predecessors = {{41, "/run/weir/weir.sock.41"}};
  given.overrides = "{}";
  given.legacy.emplace();
  given.legacy->file = "weir.toml";
  given.legacy->text = std::string(1'000'000, '#');
  given.history = std::string(1'000'000, '\xff');
  given.tokens = std::string(1'000, '\0');
  const auto bequest = bequeath(given);
  REQUIRE(bequest);
  REQUIRE(bequest->files.size() == 3);
  REQUIRE(bequest->descriptors.size() == 6);
  for (int i = 0; i < 6; ++i) CHECK(bequest->descriptors[static_cast<std::size_t>(i)].first == 3 + i);
  CHECK(bequest->variable.starts_with("WEIR_INHERIT={"));
  CHECK(bequest->variable.size() < 1'000);

  // In the child the numbers are those of the bequest; here they have to be put in.
  const int version = GENERATE(1, 2, 3);
  const auto text =
      version == 1
          ? fmt::format(
                R"({{"version":1,"sockets":[{{"fd":{},"held_outside":true}}],"channel":{},"predecessors":[{{"pid":41,"socket":"/x"}}],"overrides":"{{}}"}})",
                duplicate(given.sockets[0].fd), duplicate(given.channel))
          : fmt::format(
                R"({{"version":{},"sockets":[{{"fd":{},"held_outside":true}}],"channel":{},"predecessors":[{{"pid":41,"socket":"/x"}}],"known":{},"standard_error":{}{}}})",
                version, duplicate(given.sockets[0].fd), duplicate(given.channel),
                duplicate(bequest->files[0]), duplicate(given.standard_error),
                version == 3 ? fmt::format(R"(,"history":{},"tokens":{})", duplicate(bequest->files[1]),
                                           duplicate(bequest->files[2]))
                             : "");
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
  CHECK(got.legacy.has_value() == (version > 1));
  CHECK(got.first_descriptor_limit == (version > 1 ? 1'024U : 0U));
  CHECK(static_cast<bool>(got.standard_error) == (version == 3));
  // One of an older process that keeps none has none.
  CHECK(got.history == (version == 3 ? given.history : ""));
  CHECK(got.tokens == (version == 3 ? given.tokens : ""));
  if (got.legacy) CHECK(got.legacy->text == given.legacy->text);
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
  CHECK_THAT(reason(R"({"version":4})"), Contains("version 4, this Weir knows 1 to 3"));
  CHECK_THAT(reason(R"({"version":1})"), Contains("sockets"));
  CHECK_THAT(reason(R"({"version":1,"sockets":[{"fd":"x"}],"channel":0,"predecessors":[]})"),
             Contains("type"));
}
