#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMiB = 1024 * 1024;

/// Sends one pattern while it checks another; true when that arrived whole and then ended.
bool exchange(Stream& stream, std::uint64_t sent_seed, std::uint64_t received_seed, std::uint64_t size) {
  const milliseconds deadline = patient(60s);
  std::thread sender([&] {
    try {
      stream.send_pattern(BytePattern(sent_seed), size, deadline);
      stream.half_close();
    } catch (const StreamError&) {
      stream.half_close();  // the other side then misses bytes, and says so
    }
  });
  PatternChecker checker(received_seed);
  const Ending ending = stream.recv_to_end(checker, deadline);
  sender.join();
  return ending == Ending::Eof && checker.intact() && checker.received() == size;
}

/// An echo for clients that begin with 'e', an endless answer for all others.
void echo_or_flood(Stream& stream) {
  const std::string flood(65536, 'f');
  if (stream.recv_exact(1) != "e") {
    try {
      while (true) stream.send_all(flood, 60s);
    } catch (const StreamError&) {
      return;  // its client has gone
    }
  }
  stream.send_all("e");
  for (std::string piece; !(piece = stream.recv_some()).empty();) stream.send_all(piece);
}

}  // namespace

TEST_CASE("the greeting of a backend that speaks first reaches a client that sends nothing", "[alone]") {
  Rig rig(lettered(1));
  milliseconds best = 1h;
  for (int i = 0; i < 5; ++i) {
    const auto start = Clock::now();
    Stream client = rig.connect();
    CHECK(client.recv_exact(1) == "a");
    best = std::min(best, since(start));
  }
  CHECK(best < patient(200ms));
}

TEST_CASE("256 MiB each way at the same time arrive unchanged") {
  const std::uint64_t size = scaled(256) * kMiB;
  std::atomic<bool> backend_content{false};
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  {
    Rig rig({scripted([&](Stream& stream) { backend_content = exchange(stream, 1, 2, size); })}, config);
    Stream client = rig.connect();
    CHECK(exchange(client, 2, 1, size));
    const auto log = rig.weir().wait_for_access(1);
    CHECK(log[0]["bytes_to_backend"] == std::to_string(size));
    CHECK(log[0]["bytes_to_client"] == std::to_string(size));
    CHECK(log[0]["end"] == "done");
  }
  CHECK(backend_content);
}

TEST_CASE("the tail behind fast bulk arrives though nobody ends") {
  const std::uint64_t size = scaled(96) * kMiB + 10'007;
  const bool down = GENERATE(true, false);
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  CAPTURE(down, config.workers);
  std::atomic<bool> whole{false};
  const auto receive = [size](Stream& stream) {
    PatternChecker checker(3);
    while (checker.received() < size)
      checker.feed(stream.recv_some(std::min<std::uint64_t>(kMiB, size - checker.received())));
    return checker.intact() && checker.received() == size;
  };
  Rig rig({scripted([&](Stream& stream) {
            if (down)
              stream.send_pattern(BytePattern(3), size, patient(60s));
            else
              whole = receive(stream);
            stream.send_all("!");
            for (std::string word; !(word = stream.recv_some()).empty();) stream.send_all(word);
          })},
          config);
  Stream client = rig.connect();
  if (down)
    whole = receive(client);
  else
    client.send_pattern(BytePattern(3), size, patient(60s));
  CHECK(client.recv_exact(1) == "!");
  CHECK(whole);
  CHECK(client.echoes("as small as before"));
}

TEST_CASE("fast bulk that has ended, or is cut short, leaves Weir at rest", "[alone]") {
  const bool cut = GENERATE(false, true);
  CAPTURE(cut);
  Rig rig({scripted([&](Stream& stream) {
    try {
      stream.send_pattern(BytePattern(3), scaled(256) * kMiB, patient(60s));
    } catch (const StreamError&) {
      // Its client has gone.
    }
  })});
  {
    Stream client = rig.connect();
    for (std::uint64_t left = scaled(128) * kMiB, got = 0; left > 0; left -= got) {
      const std::string piece = client.recv_some(std::min<std::uint64_t>(kMiB, left));
      REQUIRE_FALSE(piece.empty());
      got = piece.size();
    }
    if (cut)
      client.reset();
    else
      client.recv_to_end();
  }
  rig.weir().wait_for_access(1);
  // Nothing wakes it: a look each millisecond would be a thousand.
  std::this_thread::sleep_for(50ms);
  const std::uint64_t before = rig.process().voluntary_switches();
  std::this_thread::sleep_for(1s);
  CHECK(rig.process().voluntary_switches() - before < 200);
}

TEST_CASE("bulk in one direction leaves small messages in the other one intact") {
  const std::uint64_t size = scaled(64) * kMiB;
  const std::size_t words = 200;
  std::string words_seen;
  {
    Rig rig({scripted([&](Stream& stream) {
      std::thread bulk([&] { stream.send_pattern(BytePattern(7), size, patient(30s)); });
      words_seen = stream.recv_exact(words * 4);
      bulk.join();
    })});
    Stream client = rig.connect();
    std::thread talker([&] {
      for (std::size_t i = 0; i < words; ++i) client.send_all("word");
    });
    PatternChecker checker(7);
    CHECK(client.recv_to_end(checker, patient(30s)) == Ending::Eof);
    talker.join();
    CHECK(checker.received() == size);
    CHECK(checker.intact());
  }
  CHECK(words_seen.size() == words * 4);
}

TEST_CASE("sizes around a full buffer followed at once by a half-close come back exact") {
  const std::size_t rounds = scaled(500);
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(echoing(), config);
  for (const std::size_t size : {65'535U, 65'536U, 65'537U}) {
    for (std::size_t round = 0; round < rounds; ++round) {
      ConnectOptions options;
      options.source = client_source(round);
      Stream client = rig.connect(options);
      const std::string data = BytePattern(round).bytes(size);
      client.send_all(data);
      client.half_close();
      const Received echoed = client.recv_to_end();
      // One assertion for each round would dwarf the work.
      if (echoed.ending != Ending::Eof || echoed.data != data) {
        FAIL("size " << size << ", round " << round << ": got " << echoed.data.size() << " bytes");
      }
    }
  }
}

TEST_CASE("other sizes followed at once by a half-close come back exact") {
  Rig rig(echoing());
  const std::size_t size =
      GENERATE(0U, 1U, 2U, 4095U, 4096U, 16'384U, 131'071U, 131'072U, 131'073U, 262'145U, 1'048'577U);
  CAPTURE(size);
  for (std::uint64_t round = 0; round < 10; ++round) {
    Stream client = rig.connect();
    const std::string data = BytePattern(round).bytes(size);
    std::thread sender([&] {
      client.send_all(data);
      client.half_close();
    });
    const Received echoed = client.recv_to_end();
    sender.join();
    CHECK(echoed.ending == Ending::Eof);
    CHECK(echoed.data == data);
  }
}

TEST_CASE("10 000 one-byte writes arrive as they were sent") {
  Rig rig(echoing());
  Stream client = rig.connect();
  const std::string data = BytePattern(3).bytes(10'000);
  for (const char byte : data) client.send_all(std::string_view(&byte, 1));
  CHECK(client.recv_exact(data.size()) == data);
  CHECK(rig.backend().received() == data);
}

TEST_CASE("a client that never reads slows nobody else", "[alone]") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig({scripted(echo_or_flood)}, config);
  Stream other = rig.connect();
  REQUIRE(other.echoes("e"));
  const std::size_t memory_before = rig.process().resident_bytes();
  {
    Stream stalled = rig.connect();
    stalled.send_all("f");
    // The stall is complete when round trips of the other one have gone on beside it for a while.
    const auto times = round_trips(other, 2000);
    CHECK(percentile(times, 0.99) < patient(50ms));
    const double cpu_before = rig.process().cpu_seconds();
    std::this_thread::sleep_for(1s);  // nothing moves: what is measured is that nothing happens
    CHECK(rig.process().cpu_seconds() - cpu_before < 0.2);
    if (!kSanitized) CHECK(rig.process().resident_bytes() < memory_before + 8 * kMiB);
  }
}

TEST_CASE("a backend that never reads stops its own client and nobody else") {
  std::vector<FakeBackendOptions> backends(2);
  backends[0].greeting = "a";
  backends[0].then = Then::Stall;
  backends[0].receive_buffer = 16 * 1024;
  backends[1].greeting = "b";
  Rig rig(std::move(backends));
  Stream stalled = rig.connect();
  Stream other = rig.connect();
  REQUIRE(stalled.recv_exact(1) == "a");
  REQUIRE(other.recv_exact(1) == "b");
  const std::string piece(65536, 's');
  std::size_t taken = 0;
  auto last_taken = Clock::now();
  while (since(last_taken) < 500ms) {
    if (const std::size_t sent = stalled.send_some(piece); sent > 0) {
      taken += sent;
      last_taken = Clock::now();
    } else {
      CHECK(other.echoes("still here"));
    }
    REQUIRE(taken < 256 * kMiB);  // nobody bounds what the kernel may hold, but this is more than it does
  }
  CHECK(other.echoes("and still"));
}

TEST_CASE("a slow reader gets every byte", "[alone]") {
  const std::uint64_t size = scaled(8) * kMiB;
  FakeBackendOptions options =
      scripted([&](Stream& stream) { stream.send_pattern(BytePattern(5), size, 60s); });
  Rig rig({options});
  ConnectOptions small;
  small.receive_buffer = 4096;
  Stream client = rig.connect(small);
  PatternChecker checker(5);
  // Bursts with pauses fill every buffer between the two ends again and again.
  while (checker.received() < size) {
    const std::uint64_t burst_end = checker.received() + kMiB;
    while (checker.received() < std::min(burst_end, size)) checker.feed(client.recv_some());
    std::this_thread::sleep_for(50ms);
  }
  CHECK(checker.intact());
  CHECK(client.recv_to_end().ending == Ending::Eof);
}

TEST_CASE("an out-of-band byte leaves the in-band bytes intact and Weir at rest", "[alone]") {
  Rig rig(echoing());
  Stream client = rig.connect();
  REQUIRE(client.echoes("before"));
  client.send_all("one");
  client.send_out_of_band('!');
  client.send_all("two");
  const double cpu_before = rig.process().cpu_seconds();
  CHECK(client.recv_exact(6) == "onetwo");
  std::this_thread::sleep_for(1s);  // a wake-up that never ends would show in the CPU time
  CHECK(rig.process().cpu_seconds() - cpu_before < 0.2);
  CHECK(client.echoes("after"));
  client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Eof);
}

TEST_CASE("an out-of-band byte of the backend leaves the in-band bytes intact") {
  Rig rig({scripted([](Stream& stream) {
    stream.send_all("one");
    stream.send_out_of_band('!');
    stream.send_all("two");
  })});
  Stream client = rig.connect();
  const Received received = client.recv_to_end();
  CHECK(received.data == "onetwo");
  CHECK(received.ending == Ending::Eof);
}

TEST_CASE("an out-of-band byte as the last one before the end does not swallow the end") {
  Rig rig(echoing());
  Stream client = rig.connect();
  client.send_all("last");
  client.send_out_of_band('!');
  client.half_close();
  const Received received = client.recv_to_end();
  CHECK(received.data == "last");
  CHECK(received.ending == Ending::Eof);
}

TEST_CASE("sessions side by side never mix their bytes") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(echoing(), config);
  const std::size_t count = scaled(200);
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < count; ++i) clients.push_back(rig.connect());
  for (std::uint64_t round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < count; ++i) clients[i].send_all(BytePattern(i).bytes(1500, round * 1500));
    std::size_t intact = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (clients[i].recv_exact(1500) == BytePattern(i).bytes(1500, round * 1500)) ++intact;
    }
    CHECK(intact == count);
  }
}

TEST_CASE("where a sandbox refuses splice a bulk session is copied, whole and without an error") {
  ProcessOptions options;
  options.refuse_splice = GENERATE(EPERM, ENOSYS, EINVAL);
  CAPTURE(options.refuse_splice);
  Rig rig(echoing(), {}, {}, options);
  for (int session = 0; session < 2; ++session) {
    Stream client = rig.connect();
    const std::string data = BytePattern(3).bytes(3'000'000);
    std::thread sender([&] {
      client.send_all(data);
      client.half_close();
    });
    const Received echoed = client.recv_to_end();
    sender.join();
    CHECK(echoed.ending == Ending::Eof);
    CHECK(echoed.data == data);
  }
  for (const AccessLine& line : rig.weir().wait_for_access(2)) CHECK(line["end"] == "done");
}
