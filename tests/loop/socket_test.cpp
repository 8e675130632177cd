#include "lb/net/socket.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <fstream>
#include <thread>

#include "tests/loop/pump_rig.h"
#include "tests/support/port.h"
#include "tests/support/private_network.h"
#include "tests/support/skip.h"
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

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

/// For the rest of the calling thread's life close_range() fails, as in a sandbox that does not know it.
void forbid_close_range() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), program};
  REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

}  // namespace

TEST_CASE("sockets are closed together, those between them are not, and a sandbox does not matter") {
  const bool forbidden = GENERATE(false, true);
  CAPTURE(forbidden);
  std::array<int, 7> numbers{};
  // High enough for nothing else of this process to be among them.
  for (int& fd : numbers) REQUIRE((fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 300)) >= 300);
  REQUIRE(numbers.back() == numbers.front() + 6);
  const Fd kept(numbers[2]);
  std::vector<Fd> sockets;
  for (const std::size_t i : {6u, 0u, 3u, 1u, 5u}) sockets.emplace_back(numbers[i]);
  const Fd also_kept(numbers[4]);
  std::thread([&] {
    if (forbidden) forbid_close_range();
    close_together(sockets);
  }).join();
  CHECK(sockets.empty());
  for (const std::size_t i : {0u, 1u, 3u, 5u, 6u}) CHECK_FALSE(is_open(numbers[i]));
  CHECK(is_open(kept.get()));
  CHECK(is_open(also_kept.get()));
}

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
    const auto listening = listen_unix(address, {.mode = 0640});
    REQUIRE(listening);
    struct stat status {};
    REQUIRE(::stat(directory.file("s").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
    const auto second = listen_unix(address, {.mode = 0640});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == EADDRINUSE);
  }
  REQUIRE(listen_unix(address, {.mode = 0600}));
  write_file(directory.file("f"), "precious");
  REQUIRE_FALSE(listen_unix(to_address("unix:" + directory.file("f")), {.mode = 0600}));
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

TEST_CASE("a failed connect tells of us, of the address or of the backend") {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM})
    CHECK(classify_connect_error(error, GENERATE(false, true)) == ConnectFault::Shortage);
  CHECK(classify_connect_error(EAGAIN, true) == ConnectFault::BacklogFull);
  CHECK(classify_connect_error(EAGAIN, false) == ConnectFault::Shortage);
  CHECK(classify_connect_error(EADDRNOTAVAIL, false) == ConnectFault::NoSourcePort);
  for (const int error : {EAFNOSUPPORT, ENETUNREACH})
    CHECK(classify_connect_error(error, false) == ConnectFault::AddressUnusable);
  for (const int error : {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ECONNRESET, ENOENT, EACCES})
    CHECK(classify_connect_error(error, GENERATE(false, true)) == ConnectFault::Backend);
}

TEST_CASE("a host without IPv6 is told apart from one whose source ports are used up") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const PrivateNetwork network;
  std::ofstream("/proc/sys/net/ipv6/conf/all/disable_ipv6") << 1;
  const Address v6 = to_address("[::1]:80");
  const auto to_v6 = start_connect(v6);
  REQUIRE_FALSE(to_v6);
  CHECK(classify_connect_error(to_v6.error().code, v6) == ConnectFault::AddressUnusable);

  const auto listening = listen_tcp(to_address("127.0.0.1:80"), true);
  REQUIRE(listening);
  network.limit_source_ports("40000 40001");
  const Address v4 = to_address("127.0.0.1:80");
  std::vector<Fd> taken;
  auto connecting = start_connect(v4);
  for (; connecting && taken.size() < 10; connecting = start_connect(v4))
    taken.push_back(std::move(connecting->fd));
  REQUIRE_FALSE(connecting);
  CHECK(classify_connect_error(connecting.error().code, v4) == ConnectFault::NoSourcePort);
}

TEST_CASE("a connection that has met itself is known by its two names") {
  const std::string host = GENERATE("127.0.0.1", "[::1]");
  const Fd alone(::socket(host == "[::1]" ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = to_address(host + ":0");
  REQUIRE(::bind(alone.get(), any.data(), any.size()) == 0);
  const Address own = address_of(alone.get());
  REQUIRE(::connect(alone.get(), own.data(), own.size()) == 0);
  CHECK(is_self_connected(alone.get(), own.port()));
  set_reset_on_close(alone.get());

  const auto listening = listen_tcp(any, true);
  REQUIRE(listening);
  const auto connecting = start_connect(address_of(listening->get()));
  REQUIRE(connecting);
  CHECK_FALSE(is_self_connected(connecting->fd.get(), address_of(listening->get()).port()));
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const Fd one(pair[0]), other(pair[1]);
  CHECK_FALSE(is_self_connected(one.get(), 0));
}

TEST_CASE("only an address of this host with a port that is given to connections may meet itself") {
  unsigned first = 0, last = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
  REQUIRE(first > 1);
  const auto at = [](const std::string& host, unsigned port) {
    return to_address(host + ":" + std::to_string(port));
  };
  CHECK(may_meet_itself(at("127.0.0.1", first)));
  CHECK(may_meet_itself(at("127.0.0.77", last)));
  CHECK(may_meet_itself(at("[::1]", first)));
  CHECK_FALSE(may_meet_itself(at("127.0.0.1", first - 1)));
  CHECK_FALSE(may_meet_itself(at("203.0.113.1", first)));
  CHECK_FALSE(may_meet_itself(to_address("unix:/run/s")));
}
