// Readers of streams who take nothing: what they cost the daemon, how long they stay, and who notices.
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Some statuses of so many, and the events of some words on all of them, are more than a socket's buffers
/// hold.
constexpr std::size_t kBackends = 400;
constexpr int kRounds = 10;
constexpr std::size_t kStalled = 6;
/// The daemon's HttpPlaces::kAnswerTime.
constexpr milliseconds kAnswerTime{30'000};

Stream begin_reading(const std::string& address, const std::string& target) {
  Stream stream = Stream::connect(address);
  stream.send_all(fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", target));
  return stream;
}

/// The daemon has closed it. Nothing is read.
bool is_over(const Stream& stream) {
  pollfd one{stream.fd(), 0, 0};
  return ::poll(&one, 1, 0) == 1 && (one.revents & POLLHUP) != 0;
}

/// Reads /v1/live all the time.
class LiveReader {
 public:
  explicit LiveReader(const std::string& address)
      : stream_(begin_reading(address, "/v1/live")), thread_([this] { read(); }) {}
  ~LiveReader() {
    over_ = true;
    thread_.join();
  }
  int looks() const { return looks_; }
  bool cut() const { return cut_; }

 private:
  void read() {
    const std::string mark = "event: status";
    std::string text;
    while (!over_) try {
        const std::string more = stream_.recv_some(65'536, 1s);
        cut_ = more.empty();
        if (cut_) return;
        text += more;
        for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark)) {
          ++looks_;
          text.erase(0, at + mark.size());
        }
        if (text.size() > mark.size()) text.erase(0, text.size() - mark.size());
      } catch (const StreamError&) {  // nothing has come for a second
      }
  }

  Stream stream_;
  std::atomic<bool> over_{false}, cut_{false};
  std::atomic<int> looks_{0};
  std::thread thread_;
};

struct Many {
  Many() : weir(lettered(1)) {
    for (std::size_t i = 1; i < kBackends; ++i)
      weir.config.backends.push_back(
          {fmt::format("b{}", i), fmt::format("127.0.1.1:{}", 1'000 + i), "backup = true"});
    REQUIRE(weir.reload().status == 0);
  }
  /// An event of each backend but one; every second one has its number in it.
  void say(int n) const {
    if (n % 2 == 0)
      REQUIRE(weir.status({"drain", "web/b*", "--comment", fmt::format("round {}", n)}) == 0);
    else
      REQUIRE(weir.status({"enable", "web/b*"}) == 0);
  }
  std::string address() const { return "unix:" + weir.socket(); }

  Operated weir;
};

}  // namespace

TEST_CASE("readers of streams who take nothing are cut off and cost nobody anything", "[long]") {
  Many many;
  int said = 0;
  while (said < kRounds) many.say(said++);
  LiveReader reads(many.address());
  Process follower(
      {weir_binary(), "events", "web", "--follow", "-o", "json", "--socket", many.weir.socket()});
  REQUIRE(eventually([&] { return reads.looks() > 2; }));
  const std::size_t before = many.weir.process().resident_bytes();

  const auto begin = Clock::now();
  std::vector<Stream> stalled;
  for (std::size_t i = 0; i < kStalled; ++i)
    stalled.push_back(
        begin_reading(many.address(), i % 2 == 0 ? "/v1/live" : "/v1/events?follow=1&since=1h"));
  const auto cut = [&] { return std::ranges::all_of(stalled, is_over); };
  std::size_t most = 0;
  int looks = reads.looks();
  milliseconds longest{0};
  // As often as looks come: what was kept for each of them would be some MB a second.
  while (!cut() && since(begin) < kAnswerTime + kPatience) {
    most = std::max(most, many.weir.process().resident_bytes());
    many.say(said++);
    const auto asked = Clock::now();
    REQUIRE(many.weir.status({"status", "web/a"}) == 0);
    longest = std::max(longest, since(asked));
    REQUIRE(eventually([&] { return reads.looks() > looks; }));
    looks = reads.looks();
  }
  CHECK(cut());
  CHECK(since(begin) >= kAnswerTime);
  INFO("resident before " << before << ", then at most " << most);
  // AddressSanitizer keeps 256 MiB of what has been given back.
  CHECK(most < before + (kSanitized ? 384U : 24U) * 1'024 * 1'024);
  CHECK(longest < patient(5s));
  CHECK_FALSE(reads.cut());
  CHECK(many.weir.letters(1) == "a");
  // Who reads has been told all of it.
  CHECK(follower.running());
  for (int n = kRounds; n < said; n += 2) CHECK(follower.wait_for_out(fmt::format("round {})", n)));
  for (Stream& stream : stalled) {
    const Received rest = stream.recv_to_end();
    CHECK(rest.ending != Ending::Open);
    CHECK(rest.data.size() < 2U * 1'024 * 1'024);
  }
}
