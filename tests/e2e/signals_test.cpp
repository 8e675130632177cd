#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lb/base/address.h"
#include "tests/support/private_network.h"
#include "tests/support/rig.h"
#include "tests/support/skip.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

SimpleConfig with_grace(std::string grace, int workers = 1) {
  SimpleConfig config;
  config.workers = workers;
  config.global = fmt::format("shutdown_grace = \"{}\"", grace);
  return config;
}

/// How the session of the client at `name` ended; its line is waited for.
std::string end_of(WeirDaemon& weir, const std::string& name) {
  std::string end;
  eventually([&] {
    for (const AccessLine& line : weir.access_log()) {
      if (line["client"] == name) end = line["end"];
    }
    return !end.empty();
  });
  return end;
}

}  // namespace

TEST_CASE("a signal to stop without sessions ends Weir at once with status 0") {
  const int number = GENERATE(SIGTERM, SIGINT);
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(1), config);
  REQUIRE(rig.letters(2) == "aa");
  rig.weir().expect_exit();
  const auto start = Clock::now();
  rig.process().signal(number);
  CHECK(rig.process().wait() == 0);
  CHECK(since(start) < patient(3s));  // far below the grace of 30 s
}

TEST_CASE("a name server that does not answer holds up neither the end nor its status") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root, ip, nft and unshare");
  const PrivateNetwork network;
  const weir::Fd silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const weir::Address dns = weir::Address::parse_ip_port("127.0.0.1:53").value();
  REQUIRE(::bind(silent.get(), dns.data(), dns.size()) == 0);
  const TempDir directory;
  write_file(directory.file("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n");
  SimpleConfig config;
  config.bind = "127.0.0.1:8080";
  config.backends = {{"named", "backend.example:80"}};
  write_file(directory.file("weir.toml"), config.toml());
  Process weir({"unshare", "-m", "sh", "-c",
                "mount --bind \"$1\" /etc/resolv.conf && exec \"$2\" run -c \"$3\"", "sh",
                directory.file("resolv.conf"), weir_binary(), directory.file("weir.toml")});
  pollfd asked{silent.get(), POLLIN, 0};
  REQUIRE(::poll(&asked, 1, static_cast<int>(patient(10s).count())) == 1);
  const auto start = Clock::now();
  weir.signal(SIGTERM);
  CHECK(weir.wait(patient(10s)) == 0);
  CHECK(since(start) < patient(5s));
}

TEST_CASE("after SIGTERM sessions finish in peace and new clients are refused") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(1), config);
  Stream client = rig.connect();
  REQUIRE(client.recv_exact(1) == "a");
  const std::string name = client.local_address();
  rig.weir().expect_exit();
  rig.process().signal(SIGTERM);
  CHECK(eventually([&] { return !connect_failure(rig.address()).empty(); }));
  CHECK_THAT(connect_failure(rig.address()), Catch::Contains("refused"));
  CHECK(client.echoes(BytePattern(1).bytes(100'000)));
  CHECK(rig.process().running());
  client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Eof);
  CHECK(rig.process().wait() == 0);
  CHECK(end_of(rig.weir(), name) == "done");
}

TEST_CASE("when the grace is over what is left is reset and the status is 0", "[alone]") {
  Rig rig(lettered(1), with_grace("1s", GENERATE(1, 2)));
  Stream client = rig.connect();
  REQUIRE(client.recv_exact(1) == "a");
  rig.weir().expect_exit();
  const auto start = Clock::now();
  rig.process().signal(SIGTERM);
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(since(start) >= 990ms);
  CHECK(since(start) < patient(2s));
  CHECK(rig.process().wait() == 0);
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "shutdown");
  CHECK(eventually([&] { return rig.backend().open() == 0; }));
}

TEST_CASE("a second signal cuts the sessions at once and the status says so") {
  const int second = GENERATE(SIGTERM, SIGINT);
  Rig rig(lettered(1));
  Stream client = rig.connect();
  REQUIRE(client.recv_exact(1) == "a");
  const std::string name = client.local_address();
  rig.weir().expect_exit();
  rig.process().signal(SIGTERM);
  REQUIRE(eventually([&] { return !connect_failure(rig.address()).empty(); }));
  CHECK(client.echoes("not yet"));
  rig.process().signal(second);
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(rig.process().wait() == 1);
  CHECK(end_of(rig.weir(), name) == "shutdown");
}

TEST_CASE("sessions that are still connecting end with the shutdown too") {
  BlackHole hole;
  FreePort port;
  SimpleConfig config = with_grace("300ms");
  config.bind = port.v4();
  config.pool = "connect_timeout = \"60s\"";
  config.backends = {{"a", hole.address()}};
  const std::size_t hanging = sockets_in_state("02", to_address(hole.address()).port());
  WeirDaemon weir(config);
  Stream client = Stream::connect(port.v4());
  REQUIRE(eventually([&] { return sockets_in_state("02", to_address(hole.address()).port()) > hanging; }));
  CHECK(weir.stop() == 0);
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(weir.wait_for_access(1)[0]["end"] == "shutdown");
}

TEST_CASE("clients that had connected before SIGTERM came are served") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(1), config);
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < 50; ++i) {
    ConnectOptions options;
    options.source = client_source(i);
    clients.push_back(rig.connect(options));
  }
  rig.weir().expect_exit();
  rig.process().signal(SIGTERM);
  std::size_t served = 0;
  for (Stream& client : clients) {
    client.half_close();
    const Received received = client.recv_to_end();
    if (received.data == "a" && received.ending == Ending::Eof) ++served;
  }
  CHECK(served == clients.size());
  CHECK(rig.process().wait() == 0);
}

TEST_CASE("SIGUSR1 reopens the access log after it has been renamed") {
  const TempDir dir;
  const std::string path = dir.file("access.log");
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  config.log = fmt::format("access = \"{}\"", path);
  Rig rig(lettered(1), config);
  const auto lines_in = [](const std::string& file) { return parse_access_log(read_file(file)).size(); };
  rig.letters(3);
  REQUIRE(eventually([&] { return lines_in(path) == 3; }));
  std::filesystem::rename(path, path + ".1");
  rig.letters(1);
  CHECK(eventually([&] { return lines_in(path + ".1") == 4; }));
  rig.process().signal(SIGUSR1);
  CHECK(eventually([&] { return std::filesystem::exists(path); }));
  rig.letters(2);
  CHECK(eventually([&] { return lines_in(path) == 2; }));
  CHECK(lines_in(path + ".1") == 4);
}

TEST_CASE("SIGUSR1 to the new process reopens the log of the superseded ones as well") {
  const TempDir dir;
  const std::string path = dir.file("access.log");
  SimpleConfig config;
  config.log = fmt::format("access = \"{}\"", path);
  Upgradable weir(lettered(1), config);
  std::vector<Stream> live;
  std::vector<pid_t> pids;
  for (int i = 0; i < 2; ++i) {
    live.push_back(weir.rig().connect());
    REQUIRE(live.back().recv_exact(1) == "a");
    pids.push_back(weir.upgrade());
  }
  std::filesystem::rename(path, path + ".1");
  ::kill(pids.back(), SIGUSR1);
  REQUIRE(eventually([&] {
    const std::string log = weir.rig().process().err();  // of all three
    const std::string_view word = "logs reopened";
    int said = 0;
    for (auto at = log.find(word); at != std::string::npos; at = log.find(word, at + 1)) ++said;
    return said == 3 && std::filesystem::exists(path);
  }));
  for (Stream& session : live) {
    session.half_close();
    session.recv_to_end();
  }
  CHECK(eventually([&] { return parse_access_log(read_file(path)).size() == 2; }));
  CHECK(parse_access_log(read_file(path + ".1")).empty());
}

TEST_CASE("a client that vanishes while Weir writes to it does not end Weir") {
  FakeBackendOptions options;
  options.then = Then::Flood;
  Rig rig({options});
  for (int i = 0; i < 20; ++i) {
    Stream client = rig.connect();
    client.recv_exact(100'000);
    client.reset();
  }
  rig.weir().wait_for_access(20);
  CHECK(rig.process().running());
}

TEST_CASE("an access log on a closed pipe does not end Weir") {
  ProcessOptions options;
  options.broken_stdout = true;
  Rig rig(lettered(1), {}, {}, options);
  CHECK(rig.letters(5) == "aaaaa");
  CHECK(rig.weir().stop() == 0);
}

TEST_CASE("SIGTERM does not wait for a client that is only heard out") {
  SimpleConfig config;
  config.global = "shutdown_grace = \"30s\"";
  Rig rig({scripted([](Stream& stream) {
            stream.send_all("answer");
            stream.half_close();
            stream.recv_some();
            stream.reset();
          })},
          config);
  Stream client = rig.connect();
  REQUIRE(client.recv_exact(6) == "answer");
  client.send_all("x");
  REQUIRE(eventually([&] { return rig.backend().open() == 0; }));
  const auto start = Clock::now();
  CHECK(rig.weir().stop() == 0);
  CHECK(since(start) < patient(milliseconds(5'000)));
  CHECK(client.recv_to_end().ending == Ending::Eof);
  CHECK(rig.weir().access_log().at(0)["end"] == "done");
}

TEST_CASE("a SIGHUP to an older process reaches whoever serves after two upgrades") {
  Upgradable weir(echoing());
  Process& older = weir.rig().process();
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  const pid_t second = weir.upgrade();
  const pid_t third = weir.upgrade();
  const std::string exited = fmt::format("process {}, which took over, exited with status 0", second);
  REQUIRE(older.wait_for_err(exited));
  const std::string log = older.err();
  const auto line_begin = log.rfind('\n', log.find(exited)) + 1;
  CHECK_THAT(log.substr(line_begin, log.find(exited) - line_begin), Catch::Contains("info"));

  const std::string file = weir.rig().weir().config_file();
  write_file(file, read_file(file) + "weight = 7\n");
  older.signal(SIGHUP);
  CHECK(eventually(
      [&] { return weir.get("status").at("pools").at(0).at("backends").at(0).at("weight") == 7; }));
  CHECK(older.wait_for_err("reload: passed on to whoever serves at " + weir.socket()));

  // Where nobody serves, it says so.
  ::kill(third, SIGKILL);
  REQUIRE(eventually([&] { return weir.cli({"status"}).status == 5; }));
  older.signal(SIGHUP);
  CHECK(older.wait_for_err("reload: nobody serves at " + weir.socket()));
  CHECK(session.echoes("y"));
}
