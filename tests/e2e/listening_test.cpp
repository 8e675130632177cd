// How listening sockets come and go, whenever they are asked to.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>

#include "tests/support/operated.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// A Weir whose first probes do not end before let_begin(): clients wait in the kernel's queue.
class Beginning {
 public:
  explicit Beginning(int workers, std::vector<std::string> bind = {}) {
    FakeBackendOptions options;
    options.greeting = "a";
    backend_ = std::make_unique<FakeBackend>(options);
    config.workers = workers;
    if (bind.empty()) bind.push_back(port.v4());
    config.bind = bind.front();
    config.backends = {{"a", backend_->address()}};
    config.health = fmt::format(
        "probe = \"exec\"\ntimeout = \"10s\"\ninterval = \"10s\"\n"
        "command = [\"/bin/sh\", \"-c\", \"touch {0}.begun; while [ ! -e {0} ]; do sleep 0.02; done\"]",
        dir.file("go"));
    write_config();
  }
  void write_config(const std::string& more = "") const { write_file(file(), config.toml() + more); }
  void start(std::vector<std::string> command = {}) {
    if (command.empty()) command = {weir_binary(), "run", "-c", file()};
    process = std::make_unique<Process>(std::move(command));
    REQUIRE(eventually([&] { return std::filesystem::exists(dir.file("go.begun")); }));
    CHECK_THAT(process->err(), !Contains(" ready"));
  }
  void let_begin() const { write_file(dir.file("go"), ""); }
  std::string file() const { return dir.file("weir.toml"); }

  TempDir dir;
  FreePort port;
  SimpleConfig config;
  std::unique_ptr<Process> process;

 private:
  std::unique_ptr<FakeBackend> backend_;
};

std::string listener(const std::string& name, const std::string& bind) {
  return fmt::format("\n[[listener]]\nname = \"{}\"\nbind = \"{}\"\npool = \"web\"\n", name, bind);
}

bool is_served(Stream& client) {
  client.half_close();
  const Received received = client.recv_to_end();
  return received.data == "a" && received.ending == Ending::Eof;
}

/// Listens on an address as a service manager does, and is the command that starts Weir with that socket.
class ServiceManagersSocket {
 public:
  ServiceManagersSocket(const std::string& at, std::string config_file)
      : fd_(listen_at(at)), file_(std::move(config_file)) {}
  std::vector<std::string> command() const {
    passed_on_ = weir::Fd(::dup2(fd_.get(), 209));
    return {"/bin/bash", "-c",
            fmt::format("exec env LISTEN_PID=$$ LISTEN_FDS=1 {} run -c {} 3<&209", weir_binary(), file_)};
  }

 private:
  static weir::Fd listen_at(const std::string& at) {
    const weir::Address address = to_address(at);
    weir::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(fd.get(), address.data(), address.size()) == 0);
    REQUIRE(::listen(fd.get(), 64) == 0);
    return fd;
  }

  weir::Fd fd_;
  std::string file_;
  mutable weir::Fd passed_on_;
};

/// Takes every descriptor that it does not have yet from a running process, and gives them back.
class Shortage {
 public:
  explicit Shortage(const Process& process) : pid_(process.pid()) {
    REQUIRE(::prlimit(pid_, RLIMIT_NOFILE, nullptr, &before_) == 0);
    const rlimit none{3, before_.rlim_max};
    REQUIRE(::prlimit(pid_, RLIMIT_NOFILE, &none, nullptr) == 0);
  }
  void end() const { REQUIRE(::prlimit(pid_, RLIMIT_NOFILE, &before_, nullptr) == 0); }

 private:
  pid_t pid_;
  rlimit before_{};
};

}  // namespace

TEST_CASE("SIGHUP while first probes run disturbs nobody who waits") {
  Beginning weir(GENERATE(1, 2));
  weir.start();
  Stream waiting = Stream::connect(weir.config.bind);
  const FreePort more;
  weir.write_config(listener("more", more.v4()));
  weir.process->signal(SIGHUP);
  REQUIRE(weir.process->wait_for_err("reloaded"));
  Stream joined = Stream::connect(more.v4());
  weir.let_begin();
  CHECK(is_served(waiting));
  CHECK(is_served(joined));
  CHECK(weir.process->running());
}

TEST_CASE("a reload that is refused while first probes run disturbs nobody who waits") {
  Beginning weir(GENERATE(1, 2));
  weir.start();
  Stream waiting = Stream::connect(weir.config.bind);
  FakeBackend holder;
  const FreePort free;
  weir.write_config(listener("fine", free.v4()) + listener("taken", holder.address()));
  weir.process->signal(SIGHUP);
  REQUIRE(weir.process->wait_for_err("reload refused"));
  CHECK_FALSE(connect_failure(free.v4()).empty());
  weir.let_begin();
  CHECK(is_served(waiting));
  CHECK(weir.process->running());
}

TEST_CASE("a listener that is taken away, brought back and moved before it was opened serves who waits") {
  Beginning weir(2);
  const FreePort other;
  weir.write_config(listener("other", other.v4()));
  weir.start();
  Stream waiting = Stream::connect(other.v4());
  const auto reload = [&](const std::string& more, const char* what) {
    weir.write_config(more);
    weir.process->signal(SIGHUP);
    REQUIRE(weir.process->wait_for_err(what));
  };
  reload("", "- listener other");
  SECTION("and is gone") {
    weir.let_begin();
    CHECK(is_served(waiting));
    CHECK(eventually([&] { return !connect_failure(other.v4()).empty(); }));
  }
  SECTION("and is back under another name") {
    reload(listener("again", other.v4()), "+ listener again");
    weir.let_begin();
    CHECK(is_served(waiting));
    CHECK(one_session(other.v4()) == 'a');
  }
}

TEST_CASE("SIGHUP while first probes run keeps the socket of a service manager") {
  Beginning weir(GENERATE(1, 2));
  const ServiceManagersSocket manager(weir.config.bind, weir.file());
  weir.start(manager.command());
  Stream waiting = Stream::connect(weir.config.bind);
  weir.process->signal(SIGHUP);
  REQUIRE(weir.process->wait_for_err("reloaded"));
  weir.let_begin();
  CHECK(is_served(waiting));
  CHECK(weir.process->running());
}

TEST_CASE("SIGTERM while first probes run still serves who waits") {
  Beginning weir(GENERATE(1, 2));
  weir.start();
  Stream waiting = Stream::connect(weir.config.bind);
  weir.process->signal(SIGTERM);
  REQUIRE(weir.process->wait_for_err("SIGTERM"));
  weir.let_begin();
  CHECK(is_served(waiting));
  CHECK(weir.process->wait() == 0);
}

TEST_CASE("a listener removed by one reload can be brought back by the next") {
  SimpleConfig config;
  config.workers = 2;
  Operated weir(lettered(1), config);
  const FreePort port;
  const std::string bind =
      std::vector{port.v4(), port.v6(), "unix:" + weir.dir().file("front")}[GENERATE(0U, 1U, 2U)];
  const std::string without = weir.config.toml();
  const std::string with = without + listener("more", bind);
  std::size_t refused = 0;
  std::size_t unserved = 0;
  // A sanitizer makes each command take a second.
  for (int i = 0; i < (kSanitized ? 8 : 30); ++i) {
    for (const std::string& toml : {with, without}) {
      write_file(weir.weir().config_file(), toml);
      if (weir.cli({"reload"}).status != 0) ++refused;
      if (toml == with && one_session(bind) != 'a') ++unserved;
    }
  }
  CHECK(refused == 0);
  CHECK(unserved == 0);
  CHECK(eventually([&] { return !connect_failure(bind).empty(); }));
}

TEST_CASE("a service manager's socket can be left by one reload and taken again by the next") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  const bool on_a_path = GENERATE(false, true);
  const TempDir dir;
  const FreePort port;
  const FreePort activated;
  FakeBackendOptions options;
  options.greeting = "a";
  const FakeBackend backend(options);
  const std::string bind = on_a_path ? "unix:" + dir.file("front") : activated.v4();
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  config.admin = fmt::format("socket = \"{}\"", dir.file("weir.sock"));
  const std::string file = dir.file("weir.toml");
  const auto reload = [&](const std::string& toml) {
    write_file(file, toml);
    return run_program({weir_binary(), "reload", "--socket", dir.file("weir.sock")});
  };
  write_file(file, config.toml() + listener("activated", bind));
  const ServiceManagersSocket manager(bind, file);
  const auto weir = std::make_unique<Process>(manager.command());
  REQUIRE(weir->wait_for_err(" ready"));
  CHECK(one_session(bind) == 'a');
  for (int i = 0; i < 3; ++i) {
    REQUIRE(reload(config.toml()).status == 0);
    // The manager's socket is still there: its queue is nobody's for now.
    Stream early = Stream::connect(bind);
    const Finished back = reload(config.toml() + listener("activated", bind));
    CAPTURE(back.err);
    REQUIRE(back.status == 0);
    CHECK(is_served(early));
    for (int k = 0; k < 4; ++k) CHECK(one_session(bind) == 'a');
  }
}

TEST_CASE("a path at which another process listens by now is not removed") {
  SimpleConfig config;
  Operated weir(lettered(1), config);
  const std::string path = weir.dir().file("front");
  write_file(weir.weir().config_file(), weir.config.toml() + listener("more", "unix:" + path));
  REQUIRE(weir.cli({"reload"}).status == 0);
  std::filesystem::remove(path);
  FakeBackendOptions options;
  options.address = "unix:" + path;
  options.greeting = "z";
  const FakeBackend other(options);
  REQUIRE(weir.reload().status == 0);
  CHECK(std::filesystem::exists(path));
  CHECK(one_session("unix:" + path) == 'z');
}

TEST_CASE("after SIGTERM whoever waits for a descriptor is served within the grace") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  config.global = "shutdown_grace = \"20s\"";
  Rig rig(lettered(1), config);
  REQUIRE(rig.letters(2) == "aa");
  rig.weir().expect_exit();
  const Shortage shortage(rig.process());
  std::vector<Stream> waiting;
  for (int i = 0; i < 8; ++i) waiting.push_back(rig.connect());
  rig.process().signal(SIGTERM);
  REQUIRE(rig.process().wait_for_err("no new sessions"));
  CHECK_FALSE(rig.process().wait(500ms).has_value());
  shortage.end();
  for (Stream& client : waiting) CHECK(is_served(client));
  CHECK(rig.process().wait() == 0);
}

TEST_CASE("when the grace is over Weir says that queues were left") {
  SimpleConfig config;
  config.global = "shutdown_grace = \"300ms\"";
  // LeakSanitizer would need descriptors at the end.
  Rig rig(lettered(1), config, {}, {.environment = {{"LSAN_OPTIONS", "detect_leaks=0"}}});
  rig.weir().expect_exit();
  const Shortage shortage(rig.process());
  Stream waiting = rig.connect();
  rig.process().signal(SIGTERM);
  CHECK(rig.process().wait() == 0);
  CHECK_THAT(rig.process().err(), Contains("1 listener") && Contains("queue"));
  CHECK(waiting.recv_to_end().ending == Ending::Reset);
}

TEST_CASE("a listener that is wanted again while its queue is served out keeps address and queue") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Operated weir(lettered(1), config);
  const FreePort port;
  const auto write = [&](const std::string& more) {
    write_file(weir.weir().config_file(), weir.config.toml() + more);
  };
  const auto reload = [&](const std::string& what) {
    weir.process().signal(SIGHUP);
    REQUIRE(weir.says(what));
  };
  const std::string more = listener("more", port.v4()) + "max_connections = 2\n";
  write(more);
  reload("+ listener more");
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < 1500; ++i) {
    ConnectOptions options;
    options.source = client_source(i);
    clients.push_back(Stream::connect(port.v4(), options));
  }
  // Its close goes beyond the limit, and takes a while.
  write("");
  weir.process().signal(SIGHUP);
  REQUIRE(weir.says("- listener more"));
  write(listener("again", port.v4()));
  reload("+ listener again");
  std::size_t served = 0;
  for (Stream& client : clients)
    if (is_served(client)) ++served;
  CHECK(served == clients.size());
  for (int i = 0; i < 4; ++i) CHECK(one_session(port.v4()) == 'a');
  CHECK_THAT(weir.log(), !Contains("reload refused"));
}
