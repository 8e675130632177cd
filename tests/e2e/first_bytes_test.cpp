// What a client says at once: read at its accept, sent right behind the connect, and to whom.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <thread>
#include <vector>

#include "tests/support/private_network.h"
#include "tests/support/rig.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const char* const kCannot = "no right to make a network namespace, or no ip and nft";

/// One TCP segment on its way to a port: its flags, and how many bytes it carries.
struct Segment {
  bool syn, reset;
  std::size_t bytes;
};

/// Sees what leaves for one port of this network, from its beginning on.
class Capture {
 public:
  explicit Capture(unsigned port)
      : port_(port), fd_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    REQUIRE(fd_);
    // All of loopback comes in, twice, and waits until somebody looks.
    const int room = 64 * 1024 * 1024;
    REQUIRE(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) == 0);
  }

  std::vector<Segment> segments() {
    std::array<unsigned char, 65536> packet;
    while (true) {
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t got =
          ::recvfrom(fd_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) return seen_;
      // Everything on loopback comes in again.
      if (from.sll_pkttype != PACKET_OUTGOING || from.sll_protocol != htons(ETH_P_IP)) continue;
      const auto* const ip = reinterpret_cast<const iphdr*>(packet.data());
      const auto* const tcp = reinterpret_cast<const tcphdr*>(packet.data() + 4 * ip->ihl);
      if (ip->protocol != IPPROTO_TCP || ntohs(tcp->dest) != port_) continue;
      seen_.push_back({tcp->syn != 0, tcp->rst != 0, ntohs(ip->tot_len) - 4U * ip->ihl - 4U * tcp->doff});
    }
  }

 private:
  unsigned port_;
  weir::Fd fd_;
  std::vector<Segment> seen_;
};

/// A client whose words are there before Weir has accepted it.
Stream client_that_has_spoken(Rig& rig, const std::string& words) {
  rig.process().signal(SIGSTOP);
  Stream client = rig.connect();
  client.send_all(words);
  rig.process().signal(SIGCONT);
  return client;
}

}  // namespace

TEST_CASE("a request that is there at the accept goes to its backend right behind the handshake, once") {
  SKIP_UNLESS(PrivateNetwork::possible(), kCannot);
  const PrivateNetwork network;
  Rig rig(echoing());
  Capture capture(rig.backend().port());
  Stream client = client_that_has_spoken(rig, std::string(1'000, 'x'));
  CHECK(client.recv_exact(1'000) == std::string(1'000, 'x'));
  const auto segments = capture.segments();
  REQUIRE(segments.size() >= 3);
  CHECK(segments[0].syn);
  CHECK(segments[1].bytes == 0);
  CHECK(segments[2].bytes == 1'000);
  // It is counted like any other.
  client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Eof);
  const auto log = rig.weir().wait_for_access(1);
  CHECK(log[0]["bytes_to_backend"] == "1000");
  CHECK(log[0]["bytes_to_client"] == "1000");
}

TEST_CASE("a client that says nothing at once gets its handshake at once") {
  SKIP_UNLESS(PrivateNetwork::possible(), kCannot);
  const PrivateNetwork network;
  Rig rig(lettered(1));
  Capture capture(rig.backend().port());
  Stream client = rig.connect();
  CHECK(client.recv_exact(1) == "a");
  const auto segments = capture.segments();
  REQUIRE(segments.size() >= 2);
  CHECK(segments[0].syn);
  CHECK(segments[1].bytes == 0);
}

TEST_CASE("what a client has said goes whole to the one who accepts, and to nobody else") {
  SKIP_UNLESS(PrivateNetwork::possible(), kCannot);
  const PrivateNetwork network;
  const auto how = GENERATE(as<std::string>(), "refuses", "is silent");
  const auto size = GENERATE(as<std::size_t>(), 1, 1'000, 4'096, 4'097, 100'000);
  const bool header = GENERATE(false, true);
  const bool over_unix = GENERATE(false, true);
  CAPTURE(how, size, header, over_unix);
  SimpleConfig config;
  config.pool = fmt::format("connect_timeout = \"{}\"\nbalance = \"first\"{}",
                            how == "refuses" ? "5s" : "200ms", header ? "\nsend_proxy = \"v1\"" : "");
  std::string words(size, '\0');
  for (std::size_t i = 0; i < size; ++i) words[i] = static_cast<char>('a' + i % 23);
  std::string said_first;
  std::string heard;
  const auto listen = [&](Stream& stream) {
    for (std::string line; header && !line.ends_with("\r\n");) line += stream.recv_exact(1);
    heard = stream.recv_exact(size);
    stream.send_all("!");
    stream.recv_to_end();
  };
  const TempDir dir;
  FakeBackendOptions second = scripted(listen);
  if (over_unix) second.address = "unix:" + dir.file("second");
  Rig rig({scripted([&](Stream& stream) { said_first = stream.recv_some(); }), second}, config);
  const unsigned first = rig.backend(0).port();
  Capture capture(first);
  if (how == "refuses")
    rig.backend(0).stop_listening();
  else
    network.cut_port(first);
  Stream client = client_that_has_spoken(rig, words);
  CHECK(client.recv_exact(1) == "!");
  CHECK(heard == words);
  CHECK(said_first.empty());
  const auto segments = capture.segments();
  CHECK_FALSE(segments.empty());
  for (const Segment& segment : segments) CHECK(segment.bytes == 0);
}

TEST_CASE("what a client has said goes once to a backend that answers late, when it has answered") {
  SKIP_UNLESS(PrivateNetwork::possible(), kCannot);
  const PrivateNetwork network;
  const auto size = GENERATE(as<std::size_t>(), 1, 1'000, 4'096, 20'000);
  const bool header = GENERATE(false, true);
  CAPTURE(size, header);
  SimpleConfig config;
  config.pool =
      fmt::format("connect_timeout = \"10s\"\nbalance = \"first\"{}", header ? "\nsend_proxy = \"v1\"" : "");
  Rig rig(echoing(2), config);
  Capture capture(rig.backend(0).port());
  network.cut_port(rig.backend(0).port());
  const std::string words = BytePattern(size).bytes(size);
  Stream client = client_that_has_spoken(rig, words);
  // The SYN has gone, and nothing else.
  REQUIRE(eventually([&] { return !capture.segments().empty(); }));
  std::this_thread::sleep_for(100ms);
  for (const Segment& segment : capture.segments()) CHECK((segment.syn && segment.bytes == 0));
  network.mend();
  std::string line;
  while (header && !line.ends_with("\r\n")) line += client.recv_exact(1);
  CHECK(client.recv_exact(size) == words);
  client.half_close();
  CHECK(client.recv_to_end().data.empty());
  CHECK(rig.backend(0).bytes_received() == line.size() + size);
  CHECK(rig.backend(1).accepted() == 0);
  std::size_t carried = 0;
  for (const Segment& segment : capture.segments()) carried += segment.bytes;
  CHECK(carried == line.size() + size);
}

TEST_CASE(
    "what a client has said before its backend was chosen reaches it, over TCP and over a unix socket") {
  const bool over_unix = GENERATE(false, true);
  const auto send_proxy = GENERATE(as<std::string>(), "off", "v1");
  CAPTURE(over_unix, send_proxy);
  const TempDir dir;
  FakeBackendOptions options;
  if (over_unix) options.address = "unix:" + dir.file("back");
  SimpleConfig config;
  config.listener = "proxy_from = [\"127.0.0.0/8\"]";
  config.pool = fmt::format("send_proxy = \"{}\"", send_proxy);
  Rig rig({options}, config);
  Stream client = rig.connect();
  client.send_all("PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\nfirst words");
  std::string heard;
  while (!heard.ends_with("first words")) heard += client.recv_some();
  CHECK(heard.starts_with("PROXY ") == (send_proxy == "v1"));
  CHECK(client.echoes("and more"));
}

TEST_CASE("a client that has reset behind its request is no clean end to anybody") {
  Rig rig(echoing());
  rig.process().signal(SIGSTOP);
  Stream client = rig.connect();
  client.send_all("x");
  client.reset();
  rig.process().signal(SIGCONT);
  const auto log = rig.weir().wait_for_access(1);
  CHECK((log[0]["end"] == "client_gone" || log[0]["end"] == "client_reset"));
}
