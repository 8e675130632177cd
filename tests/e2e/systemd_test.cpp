#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "tests/support/paths.h"
#include "tests/support/skip.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// Where a service manager listens for sd_notify's datagrams.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const int on = 1;
    REQUIRE(::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
  }

  ~NotifySocket() { ::shutdown(fd_.get(), SHUT_RDWR); }

  /// Whether `text` is said, from now on or before.
  bool hears(std::string_view text, milliseconds deadline = kPatience) {
    return eventually(deadline, [&] { return count(text) > 0; });
  }
  std::size_t count(std::string_view text) {
    const std::lock_guard lock(mutex_);
    std::size_t found = 0;
    for (auto at = said_.find(text); at != std::string::npos; at = said_.find(text, at + 1)) ++found;
    return found;
  }
  /// Who has said anything.
  std::set<pid_t> speakers() {
    const std::lock_guard lock(mutex_);
    return speakers_;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    said_.clear();
    speakers_.clear();
  }

 private:
  /// At once, as a manager does: the queue holds ten datagrams.
  void read_all() {
    char buffer[4096];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    for (;;) {
      iovec piece{buffer, sizeof buffer};
      msghdr message{};
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const ssize_t size = ::recvmsg(fd_.get(), &message, 0);
      if (size <= 0) return;
      const std::lock_guard lock(mutex_);
      said_.append(buffer, static_cast<std::size_t>(size));
      ucred sender{};
      const cmsghdr* const header = CMSG_FIRSTHDR(&message);
      if (header == nullptr || header->cmsg_type != SCM_CREDENTIALS) continue;
      std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
      speakers_.insert(sender.pid);
    }
  }

  weir::Fd fd_;
  std::mutex mutex_;
  std::string said_;
  std::set<pid_t> speakers_;
  std::jthread thread_{[this] { read_all(); }};
};

/// Listens on an address and starts Weir with that socket, as systemd does: descriptor 3, LISTEN_PID its own.
std::vector<std::string> activated(const std::string& config, const std::string& names) {
  return {"/bin/bash", "-c",
          fmt::format("exec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={} {} run -c {} 3<&209", names,
                      weir_binary(), config)};
}

}  // namespace

TEST_CASE("the service file is as strict as systemd-analyze can tell") {
  SKIP_UNLESS(have_program("systemd-analyze"), "systemd-analyze is not installed");
  const Finished done = run_program({"systemd-analyze", "security", "--offline=true", "--threshold=20",
                                     source_path("conf/systemd/weir.service").string()});
  CAPTURE(done.out, done.err);
  CHECK(done.status == 0);
  CHECK_THAT(done.out, Contains("Overall exposure level for weir.service"));
}

TEST_CASE("a service manager hears that Weir is ready, reloads, lives and stops") {
  TempDir dir;
  NotifySocket manager(dir.file("notify"));
  ProcessOptions options;
  options.environment = {{"NOTIFY_SOCKET", dir.file("notify")}, {"WATCHDOG_USEC", "200000"}};
  SimpleConfig config;
  config.workers = 2;
  Rig rig(echoing(), config, {}, options);
  CHECK(manager.hears("READY=1"));
  CHECK(manager.hears("STATUS=ready: 1 listener, "));
  CHECK(manager.hears("WATCHDOG=1"));
  manager.forget();
  CHECK(manager.hears("WATCHDOG=1"));
  manager.forget();
  rig.process().signal(SIGHUP);
  CHECK(manager.hears("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(manager.hears("READY=1"));
  rig.weir().expect_exit();
  rig.process().signal(SIGTERM);
  CHECK(manager.hears("STOPPING=1"));
  CHECK(rig.process().wait() == 0);
}

TEST_CASE("an upgrade tells the service manager the new process, and the old one falls silent") {
  TempDir dir;
  NotifySocket manager(dir.file("notify"));
  ProcessOptions options;
  options.environment = {{"NOTIFY_SOCKET", dir.file("notify")}, {"WATCHDOG_USEC", "200000"}};
  Upgradable weir(echoing(), {}, options);
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  const pid_t successor = weir.upgrade();
  CHECK(manager.hears(fmt::format("MAINPID={}\n", successor)));
  manager.forget();
  // The pings go on, and are the new process's alone. The old one's end says nothing to the manager.
  CHECK(eventually([&] { return manager.count("WATCHDOG=1") >= 5; }));
  CHECK(manager.speakers() == std::set<pid_t>{successor});
  session.close();
  CHECK(weir.rig().process().wait() == 0);
  CHECK(manager.count("STOPPING=1") == 0);
}

TEST_CASE("Weir serves on the socket it was activated with, and does not bind") {
  FakeBackend backend;
  const FreePort port;
  TempDir dir;
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  write_file(dir.file("weir.toml"), config.toml());
  const weir::Address address = to_address(port.v4());
  const weir::Fd listening(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::bind(listening.get(), address.data(), address.size()) == 0);
  REQUIRE(::listen(listening.get(), 16) == 0);
  // In the queue before there is a Weir.
  Stream early = Stream::connect(port.v4());
  const weir::Fd passed_on(::dup2(listening.get(), 209));
  auto weir = std::make_unique<Process>(activated(dir.file("weir.toml"), "web"));
  REQUIRE(weir->wait_for_err(" ready"));
  CHECK(early.echoes("early"));
  for (int i = 0; i < 20; ++i) CHECK(Stream::connect(port.v4()).echoes("x"));
  // The manager's socket outlives Weir: nobody is refused.
  early.close();
  weir->signal(SIGTERM);
  CHECK(weir->wait() == 0);
  CHECK(connect_failure(port.v4()).empty());
}

TEST_CASE(
    "a socket that no listener of the file wants is warned of, and another process's variables are ignored") {
  FakeBackend backend;
  const FreePort port;
  const FreePort other;
  TempDir dir;
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  write_file(dir.file("weir.toml"), config.toml());
  SECTION("no listener has that address") {
    const weir::Address address = to_address(other.v4());
    const weir::Fd listening(::socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(::bind(listening.get(), address.data(), address.size()) == 0);
    REQUIRE(::listen(listening.get(), 16) == 0);
    const weir::Fd passed_on(::dup2(listening.get(), 209));
    Process weir(activated(dir.file("weir.toml"), "odd"));
    REQUIRE(weir.wait_for_err(" ready"));
    CHECK_THAT(weir.err(), Contains(other.v4() + " is no listener"));
    CHECK(connect_failure(port.v4()).empty());
  }
  SECTION("LISTEN_PID is not its own") {
    ProcessOptions options;
    options.environment = {{"LISTEN_PID", "1"}, {"LISTEN_FDS", "1"}};
    Process weir({weir_binary(), "run", "-c", dir.file("weir.toml")}, options);
    REQUIRE(weir.wait_for_err(" ready"));
    CHECK_THAT(weir.err(), !Contains("activation"));
  }
}
