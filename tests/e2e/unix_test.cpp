#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/support/private_network.h"
#include "tests/support/rig.h"
#include "tests/support/skip.h"

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

TEST_CASE("socket files that somebody has removed are there again after a reload") {
  const TempDir dir;
  FakeBackend backend(at("127.0.0.1:0"));
  SimpleConfig config = between("unix:" + dir.file("front"), backend.address());
  config.admin = fmt::format("socket = \"{}\"", dir.file("weir.sock"));
  WeirDaemon weir(config);
  Stream before = Stream::connect("unix:" + dir.file("front"));
  REQUIRE(before.recv_exact(1) == "a");
  const auto status = [&] {
    return run_program({weir_binary(), "status", "--socket", dir.file("weir.sock")}).status;
  };
  REQUIRE(status() == 0);
  for (int round = 0; round < 2; ++round) {
    std::filesystem::remove(dir.file("front"));
    std::filesystem::remove(dir.file("weir.sock"));
    REQUIRE(status() == 5);
    weir.process().signal(SIGHUP);
    CHECK(eventually([&] { return status() == 0; }));
    Stream after = Stream::connect("unix:" + dir.file("front"));
    CHECK(after.recv_exact(1) == "a");
    CHECK(after.echoes("served"));
  }
  CHECK(before.echoes("not concerned"));
  before.close();
  // A reload that finds them in place changes nothing.
  const auto identity = [&] {
    struct stat info {};
    ::stat(dir.file("front").c_str(), &info);
    return std::pair(info.st_ino, info.st_ctim.tv_nsec);
  };
  const auto there = identity();
  CHECK(run_program({weir_binary(), "reload", "--socket", dir.file("weir.sock")}).status == 0);
  CHECK(identity() == there);
  CHECK(weir.stop() == 0);
  CHECK_FALSE(std::filesystem::exists(dir.file("front")));
  CHECK_FALSE(std::filesystem::exists(dir.file("weir.sock")));
}

TEST_CASE("what another has put in the place of a socket file is neither replaced nor removed") {
  const TempDir dir;
  FakeBackend backend(at("127.0.0.1:0"));
  SimpleConfig config = between("unix:" + dir.file("front"), backend.address());
  config.admin = fmt::format("socket = \"{}\"", dir.file("weir.sock"));
  WeirDaemon weir(config);
  for (const auto* name : {"front", "weir.sock"}) {
    std::filesystem::remove(dir.file(name));
    write_file(dir.file(name), "another's");
  }
  weir.process().signal(SIGHUP);
  CHECK(weir.process().wait_for_err("reload refused"));
  CHECK(weir.stop() == 0);
  CHECK(read_file(dir.file("front")) == "another's");
  CHECK(read_file(dir.file("weir.sock")) == "another's");
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

TEST_CASE("a unix client that sends and closes at once loses no byte") {
  const TempDir dir;
  const std::string address = "unix:" + dir.file("front");
  const bool unix_backend = GENERATE(false, true);
  FakeBackendOptions options;
  options.then = Then::Discard;
  if (unix_backend) options.address = "unix:" + dir.file("back");
  FakeBackend backend(options);
  WeirDaemon weir(between(address, backend.address()));
  for (int i = 0; i < 100; ++i) {
    Stream client = Stream::connect(address);
    client.send_all("request");
  }
  CHECK(weir.wait_for_access(100).size() == 100);
  CHECK(eventually([&] { return backend.bytes_received() == 700; }));
}

TEST_CASE("a unix client that closes and has sent nothing, before a backend is connected, is gone") {
  const TempDir dir;
  const std::string address = "unix:" + dir.file("front");
  const BlackHole backend;
  SimpleConfig config = between(address, backend.address());
  config.pool = "connect_timeout = \"30s\"";
  WeirDaemon weir(config);
  Stream client = Stream::connect(address);
  client.close();
  CHECK(weir.wait_for_access(1)[0]["end"] == "client_gone");
}

TEST_CASE("a unix side that passes descriptors along with its bytes has every byte delivered") {
  const TempDir dir;
  const bool from_client = GENERATE(true, false);
  CAPTURE(from_client);
  const auto say = [](Stream& stream) {
    for (int i = 0; i < 3; ++i) send_with_descriptor(stream.fd(), "a piece with a descriptor;");
    stream.send_all("the last one");
    stream.half_close();
  };
  std::string heard;
  const std::string address = "unix:" + dir.file("front");
  {
    FakeBackendOptions options;
    options.address = "unix:" + dir.file("back");
    options.script = [&](Stream& stream) {
      if (!from_client) say(stream);
      const Received received = stream.recv_to_end();
      if (from_client) heard = received.data;
    };
    FakeBackend backend(options);
    WeirDaemon weir(between(address, backend.address()));
    const std::size_t before = weir.process().descriptors();
    Stream client = Stream::connect(address);
    if (from_client) say(client);
    const Received received = client.recv_to_end();
    if (!from_client) heard = received.data;
    client.close();
    CHECK(weir.wait_for_access(1)[0]["end"] == "done");
    CHECK(eventually([&] { return weir.process().descriptors() <= before; }));
  }
  CHECK(heard ==
        "a piece with a descriptor;a piece with a descriptor;a piece with a descriptor;the last one");
}

TEST_CASE("abstract unix sockets serve as any other, and one that is taken back from its close serves on") {
  const TempDir dir;
  const FreePort port;
  FakeBackend backend(at(fmt::format("unix:@weir-test-back-{}", ::getpid())));
  const std::string address = fmt::format("unix:@weir-test-front-{}", ::getpid());
  SimpleConfig config = between("[\"" + address + "\", \"" + port.v4() + "\"]", backend.address());
  config.admin = "socket = \"" + dir.file("weir.sock") + "\"";
  WeirDaemon weir(config);
  const auto serves = [&] {
    Stream client = Stream::connect(address);
    return client.recv_exact(1) == "a" && client.echoes("hello");
  };
  CHECK(serves());
  const auto reload = [&] {
    write_file(weir.config_file(), config.toml());
    const auto done = run_program({weir_binary(), "reload", "--socket", dir.file("weir.sock")});
    CAPTURE(done.err);
    REQUIRE(done.status == 0);
  };
  for (int i = 0; i < 20; ++i) {
    config.bind = port.v4();
    reload();
    config.bind = "[\"" + address + "\", \"" + port.v4() + "\"]";
    reload();
    CHECK(serves());
  }
  const auto upgraded = run_program({weir_binary(), "upgrade", "--socket", dir.file("weir.sock")});
  CAPTURE(upgraded.err);
  REQUIRE(upgraded.status == 0);
  CHECK(serves());
  weir.expect_exit();
  run_program({weir_binary(), "stop", "--socket", dir.file("weir.sock")});
}

TEST_CASE("a unix listener's file has the mode and the owner that the configuration names") {
  SKIP_UNLESS(::geteuid() == 0, "only root can give files away");
  const TempDir dir;
  FakeBackend backend(at("127.0.0.1:0"));
  const std::string path = dir.file("front");
  SimpleConfig config = between("unix:" + path, backend.address());
  config.admin = "socket = \"" + dir.file("weir.sock") + "\"";
  config.listener = "mode = \"0620\"\nowner = \"12\"\ngroup = \"34\"";
  WeirDaemon weir(config);
  const auto access = [&] {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return fmt::format("{:o} {} {}", status.st_mode & 07777U, status.st_uid, status.st_gid);
  };
  CHECK(access() == "620 12 34");
  const auto reload = [&](const std::string& keys) {
    config.listener = keys;
    write_file(weir.config_file(), config.toml());
    REQUIRE(run_program({weir_binary(), "reload", "--socket", dir.file("weir.sock")}).status == 0);
  };
  reload("mode = \"0660\"\ngroup = \"35\"");
  CHECK(access() == "660 12 35");
  // What nothing is said of stays.
  reload("");
  CHECK(access() == "660 12 35");
}

TEST_CASE("a link-local address with its zone is bound and connected to") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const PrivateNetwork network;
  network.add_address("fe80::7/64");
  const FreePort port;
  FakeBackend backend(at("[fe80::7%lo]:0"));
  const std::string address = fmt::format("[fe80::7%lo]:{}", port.number());
  WeirDaemon weir(between(address, backend.address()));
  Stream client = Stream::connect(address);
  CHECK(client.recv_exact(1) == "a");
  CHECK(client.echoes("hello"));
}
