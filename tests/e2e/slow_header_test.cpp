// Clients that begin a PROXY header and stall, by the hundred, beside others who do as they should.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

const std::string kHeader = "PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\n";
constexpr auto kHeaderTimeout = 2s;

/// Connections that have said half a header. Each that is given up, for its time or for there being more than
/// half of the daemon's places hold, comes again.
class SlowHeaders {
 public:
  SlowHeaders(std::string address, std::size_t count) : address_(std::move(address)) {
    while (connections_.size() < count) connections_.push_back(begin());
  }

  std::size_t renewed() const { return renewed_; }
  /// To be called again and again: looks at some of them.
  void come_again() {
    for (std::size_t i = 0; i < kAtOnce; ++i) {
      Stream& one = connections_[next_++ % connections_.size()];
      char byte;
      if (::recv(one.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) continue;
      one = begin();
      ++renewed_;
    }
  }

 private:
  static constexpr std::size_t kAtOnce = 100;

  Stream begin() {
    // One address has too few ports.
    const auto source = to_address(fmt::format("127.0.1.{}:0", 1 + begun_++ % 200));
    Stream out = Stream::connect(address_, {.source = source});
    try {
      out.send_all(kHeader.substr(0, 20));
    } catch (const StreamError&) {
      // It has been given up already.
    }
    return out;
  }

  std::string address_;
  std::vector<Stream> connections_;
  std::size_t begun_ = 0;
  std::size_t next_ = 0;
  std::size_t renewed_ = 0;
};

/// How long others have waited for an echo, in sessions that were there and in new ones, while `count` slow
/// headers are held and come again.
std::vector<milliseconds> waits_beside(std::size_t count) {
  SimpleConfig config;
  config.listener = fmt::format("proxy_from = [\"127.0.0.0/8\"]\nheader_timeout = \"{}s\"",
                                std::chrono::seconds(kHeaderTimeout).count());
  config.log = "access = \"off\"";
  Rig rig(echoing(1), config);
  Stream held = rig.connect();
  held.send_all(kHeader);
  REQUIRE(held.echoes("before"));
  std::atomic<bool> all_there{false}, done{false};
  std::atomic<std::size_t> renewed{0};
  std::thread attacker([&] {
    SlowHeaders slow(rig.address(), count);
    all_there = true;
    while (!done) {
      slow.come_again();
      renewed = slow.renewed();
      std::this_thread::sleep_for(1ms);
    }
  });
  std::vector<milliseconds> out;
  const bool seen = eventually(patient(60s), [&] {
    for (const bool anew : {false, true}) {
      const auto start = Clock::now();
      Stream fresh = anew ? rig.connect() : Stream(weir::Fd());
      if (anew) fresh.send_all(kHeader);
      CHECK((anew ? fresh : held).echoes("while they stall"));
      if (all_there) out.push_back(since(start));
    }
    return out.size() >= 400 && renewed > count / 2;
  });
  done = true;
  attacker.join();
  REQUIRE(seen);
  return out;
}

}  // namespace

TEST_CASE("ten thousand slow headers keep nobody else waiting", "[release]") {
  auto waits = waits_beside(10'000);
  std::ranges::sort(waits);
  const milliseconds p99 = waits[waits.size() * 99 / 100];
  WARN(fmt::format("an echo beside 10,000 slow headers: p50 {} ms, p99 {} ms of {}",
                   waits[waits.size() / 2].count(), p99.count(), waits.size()));
  CHECK(p99 < patient(1s));
}

TEST_CASE("whoever has said its header is served while hundreds stall within theirs") {
  CHECK(waits_beside(scaled(2'000)).size() >= 400);
}
