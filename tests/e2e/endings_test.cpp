#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMiB = 1024 * 1024;

bool delivered(const Stream& stream) {
  return eventually([&] { return unacknowledged(stream) == 0; });
}

}  // namespace

TEST_CASE("after the backend has finished the client goes on sending and its end arrives last") {
  PatternChecker checker(9);
  std::atomic<bool> ended_well{false};
  {
    Rig rig({scripted([&](Stream& stream) {
      stream.send_all("a");  // one that has said nothing would be taken for one that failed
      stream.half_close();
      ended_well = stream.recv_to_end(checker) == Ending::Eof;
    })});
    Stream client = rig.connect();
    const Received received = client.recv_to_end();
    CHECK(received.data == "a");
    CHECK(received.ending == Ending::Eof);
    for (std::uint64_t i = 0; i < 3; ++i) {
      if (i > 0) std::this_thread::sleep_for(300ms);  // the pause is the case
      client.send_all(BytePattern(9).bytes(kMiB, i * kMiB));
    }
    client.half_close();
    CHECK(rig.weir().wait_for_access(1)[0]["end"] == "done");
  }
  CHECK(checker.received() == 3 * kMiB);
  CHECK(checker.intact());
  CHECK(ended_well);
}

TEST_CASE("after the client has finished the backend's answer still arrives whole") {
  Rig rig({scripted([](Stream& stream) {
    const Received request = stream.recv_to_end();
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(100ms);  // the client has long finished
      stream.send_all(std::string(kMiB, 'x'));
    }
    stream.send_all(request.data);
  })});
  Stream client = rig.connect();
  client.send_all("request");
  client.half_close();
  const Received answer = client.recv_to_end();
  CHECK(answer.ending == Ending::Eof);
  CHECK(answer.data.size() == 3 * kMiB + 7);
  CHECK(answer.data.ends_with("request"));
}

TEST_CASE("a slow backend gets all bytes before the client's end") {
  PatternChecker checker(4);
  std::atomic<bool> clean{false};
  const std::uint64_t size = scaled(16) * kMiB;
  {
    FakeBackendOptions options = scripted([&](Stream& stream) {
      std::this_thread::sleep_for(300ms);  // the client's FIN is waiting behind its bytes by now
      clean = stream.recv_to_end(checker) == Ending::Eof;
    });
    options.receive_buffer = 8192;
    Rig rig({options});
    Stream client = rig.connect();
    client.send_pattern(BytePattern(4), size);
    client.half_close();
    CHECK(client.recv_to_end().ending == Ending::Eof);
  }
  CHECK(clean);
  CHECK(checker.received() == size);
  CHECK(checker.intact());
}

TEST_CASE("10 bytes and a reset of the backend are 10 bytes and a reset for the client") {
  const milliseconds pause = GENERATE(0ms, 200ms);
  CAPTURE(pause.count());
  Rig rig({scripted([&](Stream& stream) {
    stream.send_all("ten bytes!");
    std::this_thread::sleep_for(pause);
    stream.reset();
  })});
  const std::size_t rounds = pause == 0ms ? 50 : 1;
  for (std::size_t i = 0; i < rounds; ++i) {
    Stream client = rig.connect();
    const Received received = client.recv_to_end();
    CHECK(received.data == "ten bytes!");
    CHECK(received.ending == Ending::Reset);
  }
  const auto log = rig.weir().wait_for_access(rounds);
  CHECK(log[0]["end"] == "backend_reset");
  CHECK(log[0]["bytes_to_client"] == "10");
}

TEST_CASE("bytes that came before the backend's reset reach even a slow client first") {
  const std::size_t size = GENERATE(60'000U, 200'000U);
  Rig rig({scripted([&](Stream& stream) {
    stream.send_all(BytePattern(6).bytes(size));
    if (delivered(stream)) stream.reset();
  })});
  ConnectOptions small;
  small.receive_buffer = 4096;
  Stream client = rig.connect(small);
  REQUIRE(eventually([&] { return rig.backend().accepted() == 1 && rig.backend().open() == 0; }));
  PatternChecker checker(6);
  CHECK(client.recv_to_end(checker) == Ending::Reset);
  CHECK(checker.received() == size);
  CHECK(checker.intact());
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "backend_reset");
}

TEST_CASE("bytes that came before the client's reset reach the backend first") {
  PatternChecker checker(8);
  std::atomic<bool> was_reset{false};
  {
    FakeBackendOptions options = scripted([&](Stream& stream) {
      std::this_thread::sleep_for(200ms);  // the reset is there before the first byte is read
      was_reset = stream.recv_to_end(checker) == Ending::Reset;
    });
    options.receive_buffer = 4096;
    Rig rig({options});
    Stream client = rig.connect();
    client.send_all(BytePattern(8).bytes(60'000));
    REQUIRE(delivered(client));
    client.reset();
    CHECK(rig.weir().wait_for_access(1)[0]["end"] == "client_reset");
  }
  CHECK(was_reset);
  CHECK(checker.received() == 60'000);
  CHECK(checker.intact());
}

TEST_CASE("a reset waits for a side that takes nothing no longer than half_close_timeout", "[alone]") {
  SimpleConfig config;
  config.pool = "half_close_timeout = \"1s\"";
  std::atomic<bool> has_reset{false};
  Rig rig({scripted([&](Stream& stream) {
            const std::string piece(65536, 'x');
            auto last = Clock::now();
            while (since(last) < 300ms) {
              if (stream.send_some(piece) > 0) last = Clock::now();
            }
            stream.reset();
            has_reset = true;
          })},
          config);
  ConnectOptions small;
  small.receive_buffer = 4096;
  Stream client = rig.connect(small);
  REQUIRE(eventually([&] { return has_reset.load(); }));
  const auto log = rig.weir().wait_for_access(1, patient(3s));
  CHECK(log[0]["end"] == "backend_reset");
  CHECK(client.recv_to_end().ending == Ending::Reset);
}

TEST_CASE("a backend that finishes its answer and then resets has still finished") {
  const std::size_t size = GENERATE(10U, 100'000U, 1'000'000U);
  CAPTURE(size);
  Rig rig({scripted([&](Stream& stream) {
    stream.send_all(BytePattern(2).bytes(size));
    stream.half_close();
    // Its FIN is acknowledged with its bytes; the reset comes behind it.
    if (delivered(stream)) stream.reset();
  })});
  ConnectOptions small;
  small.receive_buffer = 4096;
  Stream client = rig.connect(small);
  PatternChecker checker(2);
  CHECK(client.recv_to_end(checker) == Ending::Eof);
  CHECK(checker.received() == size);
  CHECK(checker.intact());
  client.close();
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "done");
}

TEST_CASE("an answer that ends before the request has been read arrives whole and ends clean") {
  // What a web server does with a body that is too large: answer, FIN, and a reset for what it left unread.
  Rig rig({scripted([](Stream& stream) {
    stream.recv_exact(1000);
    stream.send_all(std::string(50'000, 'n'));
    stream.half_close();
    if (delivered(stream)) stream.reset();
  })});
  Stream client = rig.connect();
  const std::string body(65536, 'b');
  client.send_all(body);
  REQUIRE(eventually([&] { return rig.backend().accepted() == 1 && rig.backend().open() == 0; }));
  const Received answer = client.recv_to_end();
  CHECK(answer.data == std::string(50'000, 'n'));
  CHECK(answer.ending == Ending::Eof);
}

TEST_CASE("a client's reset reaches the backend as a reset within a second and leaves no session") {
  const std::string_view moment = GENERATE("idle", "sending", "receiving");
  CAPTURE(moment);
  FakeBackendOptions options;
  if (moment == "receiving") options.then = Then::Flood;
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig({options}, config);
  Stream client = rig.connect();
  if (moment != "receiving") REQUIRE(client.echoes("hello"));
  if (moment == "sending") client.send_all(std::string(100'000, 's'));
  if (moment == "receiving") client.recv_exact(4 * kMiB);
  const auto start = Clock::now();
  client.reset();
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
  CHECK(since(start) < patient(1s));
  CHECK(rig.backend().resets() == 1);
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "client_reset");
}

TEST_CASE("a client that closes in the middle of an answer ends the session") {
  FakeBackendOptions options;
  options.then = Then::Flood;
  Rig rig({options});
  Stream client = rig.connect();
  client.recv_exact(4 * kMiB);
  client.close();  // unread input: a reset all the same
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "client_reset");
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
}

TEST_CASE("1 000 clients that connect and go at once leave no descriptor behind") {
  const bool with_reset = GENERATE(false, true);
  CAPTURE(with_reset);
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(1), config);
  rig.letters(20);
  rig.weir().wait_for_access(20);
  const std::size_t baseline = rig.process().descriptors();
  const std::size_t count = scaled(1000);
  for (std::size_t i = 0; i < count; ++i) {
    ConnectOptions options;
    options.source = client_source(i);
    Stream client = rig.connect(options);
    if (with_reset) client.reset();
  }
  CHECK(eventually([&] { return rig.process().descriptors() <= baseline; }));
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
  if (!with_reset) rig.weir().wait_for_access(20 + count);  // a reset in the backlog may be no session at all
}

TEST_CASE("sessions that end well free everything they had") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(echoing(), config);
  const auto bulk_session = [&] {
    Stream client = rig.connect();
    const std::string data = BytePattern(1).bytes(2 * kMiB);
    std::thread sender([&] {
      client.send_all(data);
      client.half_close();
    });
    const Received echoed = client.recv_to_end();
    sender.join();
    return echoed.ending == Ending::Eof && echoed.data == data;
  };
  for (int i = 0; i < 4; ++i) REQUIRE(bulk_session());
  REQUIRE(rig.weir().wait_for_access(4).size() == 4);
  const std::size_t baseline = rig.process().descriptors("socket:");
  for (int i = 0; i < 20; ++i) REQUIRE(bulk_session());
  CHECK(eventually([&] { return rig.process().descriptors("socket:") == baseline; }));
}

TEST_CASE("a session for which there is no backend is reset") {
  SimpleConfig config;
  Rig rig(lettered(1), config, {"admin = \"drained\""});
  Stream client = rig.connect();
  CHECK(client.recv_to_end().ending == Ending::Reset);
  const auto log = rig.weir().wait_for_access(1);
  CHECK(log[0]["end"] == "no_backend");
  CHECK(rig.backend().accepted() == 0);
}
