#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

FakeBackendOptions at(const std::string& address, Then then = Then::Echo) {
  FakeBackendOptions options;
  options.greeting = "a";
  options.address = address;
  options.then = then;
  return options;
}

SimpleConfig between(const std::string& bind, const std::string& backend) {
  SimpleConfig config;
  config.workers = 2;
  config.bind = bind;
  config.backends = {{"a", backend}};
  return config;
}

}  // namespace

TEST_CASE("bytes pass unchanged over unix sockets on either side or both") {
  const TempDir dir;
  const FreePort port;
  const auto [front, back] = GENERATE(table<bool, bool>({{true, false}, {false, true}, {true, true}}));
  CAPTURE(front, back);
  FakeBackend backend(at(back ? "unix:" + dir.file("back") : "127.0.0.1:0"));
  const std::string address = front ? "unix:" + dir.file("front") : port.v4();
  WeirDaemon weir(between(address, backend.address()));
  Stream client = Stream::connect(address);
  REQUIRE(client.recv_exact(1) == "a");
  const std::string data = BytePattern(1).bytes(3'000'000);
  std::thread sender([&] {
    client.send_all(data);
    client.half_close();
  });
  const Received echoed = client.recv_to_end();
  sender.join();
  CHECK(echoed.data == data);
  CHECK(echoed.ending == Ending::Eof);
  const auto log = weir.wait_for_access(1);
  CHECK((log[0]["client"] == "unix") == front);
  CHECK(log[0]["backend_address"] == backend.address());
  CHECK(log[0]["end"] == "done");
  CHECK(log[0]["bytes_to_backend"] == "3000000");
  CHECK(log[0]["bytes_to_client"] == "3000001");
}

TEST_CASE("a client of a unix listener that finishes first still gets the answer") {
  const TempDir dir;
  const std::string address = "unix:" + dir.file("front");
  FakeBackend backend(at("127.0.0.1:0"));
  WeirDaemon weir(between(address, backend.address()));
  Stream client = Stream::connect(address);
  client.send_all("request");
  client.half_close();
  const Received answer = client.recv_to_end();
  CHECK(answer.data == "arequest");
  CHECK(answer.ending == Ending::Eof);
}

TEST_CASE("a client that closes its unix socket frees the backend") {
  const TempDir dir;
  const std::string address = "unix:" + dir.file("front");
  FakeBackend backend(at("127.0.0.1:0"));
  WeirDaemon weir(between(address, backend.address()));
  {
    Stream client = Stream::connect(address);
    CHECK(client.recv_exact(1) == "a");
  }
  CHECK(eventually([&] { return backend.open() == 0; }));
  CHECK(weir.wait_for_access(1).size() == 1);
}

TEST_CASE("a backend whose unix socket is missing is skipped") {
  const TempDir dir;
  FakeBackend live(at("unix:" + dir.file("live")));
  const FreePort port;
  SimpleConfig config = between(port.v4(), "unix:" + dir.file("missing"));
  config.backends.push_back({"b", live.address()});
  WeirDaemon weir(config);
  for (int i = 0; i < 4; ++i) CHECK(one_session(port.v4()) == 'a');
}

TEST_CASE("a unix backend that closes early closes the client and cuts nothing") {
  const TempDir dir;
  FakeBackend backend(at("unix:" + dir.file("back"), Then::Finish));
  const FreePort port;
  WeirDaemon weir(between(port.v4(), backend.address()));
  Stream client = Stream::connect(port.v4());
  const Received received = client.recv_to_end();
  CHECK(received.data == "a");
  CHECK(received.ending == Ending::Eof);
}

TEST_CASE("a unix listener's file goes with a clean end and one left by a crash is replaced") {
  const TempDir dir;
  const std::string path = dir.file("front");
  FakeBackend backend(at("127.0.0.1:0"));
  const SimpleConfig config = between("unix:" + path, backend.address());
  {
    WeirDaemon crashed(config);
    crashed.expect_exit();
    crashed.process().signal(SIGKILL);
    crashed.process().wait();
    CHECK(std::filesystem::exists(path));
  }
  WeirDaemon weir(config);
  CHECK(one_session("unix:" + path) == 'a');
  CHECK(weir.stop() == 0);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a second Weir on a unix path in use is refused and leaves it alone") {
  const TempDir dir;
  const std::string address = "unix:" + dir.file("front");
  FakeBackend backend(at("127.0.0.1:0"));
  const SimpleConfig config = between(address, backend.address());
  WeirDaemon weir(config);
  const Finished second = run_weir({"run", "-c", "{}"}, config.toml());
  CHECK(second.status == 1);
  CHECK_THAT(second.err, Catch::Contains(dir.file("front")));
  CHECK(one_session(address) == 'a');
}

TEST_CASE("a path that is a plain file is not taken for a listener") {
  const TempDir dir;
  write_file(dir.file("precious"), "data");
  const SimpleConfig config = between("unix:" + dir.file("precious"), "127.0.0.1:1");
  const Finished refused = run_weir({"run", "-c", "{}"}, config.toml());
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Catch::Contains("precious"));
  CHECK(read_file(dir.file("precious")) == "data");
}

TEST_CASE("a unix backend with a full backlog is retried until it has room") {
  const TempDir dir;
  const std::string text = "unix:" + dir.file("back");
  const weir::Address address = to_address(text);
  const weir::Fd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(listening.get(), address.data(), address.size()) == 0);
  REQUIRE(::listen(listening.get(), 0) == 0);
  std::vector<Stream> fillers;
  try {
    for (int i = 0; i < 10; ++i) fillers.push_back(Stream::begin_connect(text));
  } catch (const StreamError&) {
    // full
  }
  const FreePort port;
  SimpleConfig config = between(port.v4(), text);
  config.pool = "connect_timeout = \"10s\"";
  WeirDaemon weir(config);
  Stream client = Stream::connect(port.v4());
  client.send_all("hello");
  CHECK(client.recv_to_end(300ms).ending == Ending::Open);
  CHECK(weir.access_log().empty());
  // Taking the fillers out of the queue makes room.
  for (std::size_t i = 0; i < fillers.size(); ++i) {
    const weir::Fd filler(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(filler);
  }
  Stream backend(weir::Fd(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  CHECK(backend.recv_exact(5) == "hello");
}
