#include "lb/net/socket.h"

#include <netinet/tcp.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/loop/pump_rig.h"
#include "tests/support/port.h"
#include "tests/support/temp_dir.h"

using namespace weir;
using namespace weir::test;

namespace {

Address address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* const generic = reinterpret_cast<sockaddr*>(&storage);
  REQUIRE(::getsockname(fd, generic, &size) == 0);
  return Address(generic, size);
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd, level, name, &value, &size) == 0);
  return value;
}

}  // namespace

TEST_CASE("an address has one owner, whose own further sockets may share it") {
  const auto first = listen_tcp(to_address("127.0.0.1:0"), true);
  REQUIRE(first);
  const Address address = address_of(first->get());
  REQUIRE(listen_tcp(address, false));
  const auto stranger = listen_tcp(address, true);
  REQUIRE_FALSE(stranger);
  CHECK(stranger.error().code == EADDRINUSE);
  CHECK(stranger.error().message.find(address.to_string()) != std::string::npos);
}

TEST_CASE("an accepted socket inherits TCP_NODELAY and keepalive") {
  const auto listening = listen_tcp(to_address("127.0.0.1:0"), true);
  REQUIRE(listening);
  const Stream client = Stream::connect(address_of(listening->get()).to_string());
  const Fd accepted(::accept4(listening->get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_NODELAY) != 0);
  CHECK(option(accepted.get(), SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPIDLE) == kKeepaliveIdleSeconds);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPINTVL) == kKeepaliveIntervalSeconds);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPCNT) == kKeepaliveProbes);
}

TEST_CASE("the IPv6 wildcard stands beside the IPv4 one on the same port") {
  const auto v4 = listen_tcp(to_address("0.0.0.0:0"), true);
  REQUIRE(v4);
  const auto v6 = listen_tcp(to_address("[::]:" + std::to_string(address_of(v4->get()).port())), true);
  REQUIRE(v6);
}

TEST_CASE("a stale unix socket is replaced, a live one and a file that is no socket are not") {
  TempDir directory;
  const Address address = to_address("unix:" + directory.file("s"));
  {
    const auto listening = listen_unix(address, 0640);
    REQUIRE(listening);
    struct stat status {};
    REQUIRE(::stat(directory.file("s").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
    const auto second = listen_unix(address, 0640);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == EADDRINUSE);
  }
  REQUIRE(listen_unix(address, 0600));
  write_file(directory.file("f"), "precious");
  REQUIRE_FALSE(listen_unix(to_address("unix:" + directory.file("f")), 0600));
  REQUIRE(read_file(directory.file("f")) == "precious");
}

TEST_CASE("the error of a socket can be taken once") {
  Pair pair = tcp_pair();
  pair.far.reset();
  REQUIRE(eventually([&] { return take_socket_error(pair.near.get()) == ECONNRESET; }));
  REQUIRE(take_socket_error(pair.near.get()) == 0);
}

TEST_CASE("bytes that nobody has acknowledged are unsent, and a reset would destroy them") {
  Pair pair = tcp_pair(0, 4'096);
  const std::string block(64 * 1024, 'x');
  while (::send(pair.near.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
  }
  REQUIRE(unsent_bytes(pair.near.get()) > 0);
  set_reset_on_close(pair.near.get());
  pair.near.reset();
  REQUIRE(pair.far.recv_to_end().ending == Ending::Reset);
  REQUIRE(unsent_bytes(unix_pair().near.get()) == 0);
}
