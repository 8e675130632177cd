// Weir and its CLI, whoever has started them and however.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "tests/support/operated.h"
#include "tests/support/skip.h"
#include "tests/support/slow_calls.h"
#include "tests/support/stream.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// A Weir in front of one backend that greets with "a", started by the shell after `preparation`.
class Peculiar {
 public:
  explicit Peculiar(const std::string& preparation, const std::string& health = "probe = \"none\"") {
    SimpleConfig config;
    config.bind = port_.v4();
    config.backends = {{"a", backend_.address()}};
    config.admin = fmt::format("socket = \"{}\"", socket());
    config.state_file = dir_.file("state.json");
    config.log = fmt::format("access = \"{}\"", dir_.file("access.log"));
    config.health = health;
    write_file(dir_.file("weir.toml"), config.toml());
    process_ = std::make_unique<Process>(std::vector<std::string>{
        "/bin/sh", "-c", preparation, "sh", weir_binary(), "run", "-c", dir_.file("weir.toml")});
    REQUIRE(eventually([&] { return cli("status").status == 0; }));
  }

  std::string socket() const { return dir_.file("weir.sock"); }
  std::string file(std::string_view name) const { return dir_.file(name); }
  Process& process() { return *process_; }
  Finished cli(const std::string& command, const std::string& argument = "") const {
    std::vector<std::string> arguments{weir_binary(), command, "--socket", socket()};
    if (!argument.empty()) arguments.push_back(argument);
    return run_program(std::move(arguments));
  }
  /// What the daemon has said shows up where that throws.
  bool serves() const {
    try {
      return one_session(port_.v4()) == 'a';
    } catch (const StreamError&) {
      UNSCOPED_INFO("weir said:\n" << process_->err() << "accepted by the backend: " << backend_.accepted());
      throw;
    }
  }

 private:
  TempDir dir_;
  FreePort port_;
  FakeBackend backend_{lettered(1)[0]};
  std::unique_ptr<Process> process_;
};

std::string link_of(const Process& process, int fd) {
  std::error_code error;
  return std::filesystem::read_symlink(fmt::format("/proc/{}/fd/{}", process.pid(), fd), error).string();
}

/// Gone, or not yet reaped by whoever has inherited it.
bool has_ended(pid_t pid) {
  const std::string file = fmt::format("/proc/{}/stat", pid);
  if (!std::filesystem::exists(file)) return true;
  const std::string stat = read_file(file);
  return stat.empty() || stat.find(") Z ") != std::string::npos;
}

}  // namespace

TEST_CASE(
    "with any of the descriptors 0 to 2 closed Weir serves, and nothing of its own gets their numbers") {
  const std::string closed = GENERATE("<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-");
  INFO(closed);
  Peculiar weir("exec \"$@\" " + closed);
  for (int i = 0; i < 5; ++i) CHECK(weir.serves());
  CHECK(weir.cli("drain", "web/a").status == 1);  // the last one
  CHECK(weir.cli("reload").status == 0);
  if (closed.find('<') != std::string::npos) CHECK(link_of(weir.process(), 0) == "/dev/null");
  if (closed.find(" >") != std::string::npos || closed[0] == '>')
    CHECK(link_of(weir.process(), 1) == "/dev/null");
  if (closed.find("2>") != std::string::npos) CHECK(link_of(weir.process(), 2) == "/dev/null");
  CHECK(weir.serves());
  weir.process().signal(SIGTERM);
  CHECK(weir.process().wait() == 0);
}

TEST_CASE("signals that a parent has blocked or ignored mean what they always mean") {
  const std::string how = GENERATE("--block-signal", "--ignore-signal");
  INFO(how);
  Peculiar weir(fmt::format("exec env {} \"$@\"", how),
                "probe = \"exec\"\ncommand = [\"/bin/true\"]\ninterval = \"100ms\"");
  CHECK(eventually([&] { return weir.serves(); }));  // the end of a command is a signal, too
  weir.process().signal(SIGHUP);
  CHECK(weir.process().wait_for_err("reloaded: "));
  weir.process().signal(SIGTERM);
  CHECK(weir.process().wait() == 0);
}

TEST_CASE("a strange umask changes no file's mode") {
  const std::string mask = GENERATE("000", "777");
  INFO(mask);
  Peculiar weir(fmt::format("umask {}; exec \"$@\"", mask));
  CHECK(weir.serves());
  CHECK(weir.cli("weight", "web/a").status == 2);
  CHECK(run_program({weir_binary(), "weight", "web/a", "5", "--socket", weir.socket()}).status == 0);
  const auto mode_of = [&](std::string_view name) {
    struct stat info {};
    REQUIRE(::stat(weir.file(name).c_str(), &info) == 0);
    return info.st_mode & 07777U;
  };
  CHECK(mode_of("weir.sock") == 0660U);
  CHECK((mode_of("state.json") & ~0644U) == 0U);
  CHECK((mode_of("state.json") & 0600U) == 0600U);
  CHECK((mode_of("access.log") & ~0644U) == 0U);
  CHECK((mode_of("access.log") & 0600U) == 0600U);
}

TEST_CASE("an answer that cannot be written is exit 1, in every command") {
  const std::string to = GENERATE("> /dev/full", ">&-");
  const std::string command =
      GENERATE("status", "status -o json", "sessions", "explain web 10.0.0.1", "reload", "version", "--help",
               "drain web/a", "enable web/a", "weight web/a 5", "kill --pool web", "completion bash", "man",
               "check -c \"$WEIR_FILE\"", "check -c \"$WEIR_FILE\" --diff");
  INFO(command << " " << to);
  static Operated weir(lettered(2));
  const Finished finished = run_program(
      {"/bin/sh", "-c", fmt::format("\"$0\" {} {}", command, to), weir_binary()},
      {.environment = {{"WEIR_SOCKET", weir.socket()}, {"WEIR_FILE", weir.weir().config_file()}}});
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Contains("weir: standard output: "));
}

TEST_CASE("a daemon that is stopped holds no command for longer than --timeout says") {
  Operated weir(lettered(1));
  weir.process().signal(SIGSTOP);
  const std::string command = GENERATE("status", "reload", "sessions");
  const auto begin = Clock::now();
  const Finished finished = weir.cli({command, "--timeout", "300ms"});
  CHECK(since(begin) < patient(3s));
  CHECK(finished.status == 5);
  CHECK_THAT(finished.err, Contains("has not answered within 300ms"));
  weir.process().signal(SIGCONT);
  CHECK(weir.status({"status"}) == 0);
}

TEST_CASE("names arrive at the daemon as they were given") {
  Operated weir(lettered(2));
  SECTION("known ones") {
    const std::string name = GENERATE("..", ".", "...", "[::1]:80");
    INFO(name);
    REQUIRE(weir.status({"add", "web", name, "127.0.0.1:9"}) == 0);
    CHECK(weir.answer({"drain", "web/" + name}).at("changed").at(0).at("backend") == "web/" + name);
    CHECK(weir.status({"status", "web/" + name}) == 0);
    CHECK(weir.status({"remove", "web/" + name}) == 0);
  }
  SECTION("unknown ones") {
    const std::string name = GENERATE("..", "%2e%2e", "a?b", "a#b", "a%00b", "a b", "a~b", "a&b=c", "%", "+");
    INFO(name);
    const Finished finished = weir.cli({"drain", "web/" + name});
    CHECK(finished.status == 3);
    CHECK_THAT(finished.err, Contains("web/" + name));
    CHECK(weir.cli({"status", name}).status == 3);
    CHECK(weir.cli({"remove", name + "/a"}).status == 3);
  }
}

TEST_CASE("a probe's command has the descriptor limit Weir was started with, and nothing outlives its end") {
  const TempDir dir;
  const std::string script =
      fmt::format("ulimit -n > {0}; sleep 1000 & echo $! > {1}", dir.file("limit"), dir.file("left"));
  Peculiar weir(
      "ulimit -Sn 512; exec \"$@\"",
      fmt::format("probe = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"{}\"]\ninterval = \"200ms\"", script));
  const auto look = [&] {
    std::filesystem::remove(dir.file("limit"));
    CHECK(eventually([&] {
      return std::filesystem::exists(dir.file("limit")) && read_file(dir.file("limit")) == "512\n";
    }));
  };
  look();
  CHECK(eventually([&] {
    const std::string left = read_file(dir.file("left"));
    return !left.empty() && has_ended(std::stoi(left));
  }));
  CHECK(weir.serves());
  const Finished upgraded = weir.cli("upgrade", "-ojson");
  REQUIRE(upgraded.status == 0);
  weir.process().wait();
  look();
  CHECK(weir.serves());
  const auto successor = nlohmann::json::parse(upgraded.out).at("pid").get<pid_t>();
  ::kill(successor, SIGTERM);
  CHECK(eventually([&] { return has_ended(successor); }));
}

TEST_CASE("a probe's command never sees another descriptor limit, however soon it looks") {
  const TempDir dir;
  std::string preload;
  for (const auto& [name, value] : with_slow_calls()) preload += fmt::format("{}='{}' ", name, value);
  Peculiar weir(fmt::format("ulimit -Sn 512; {} exec \"$@\"", preload),
                fmt::format("probe = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"ulimit -n >> {}\"]\n"
                            "interval = \"50ms\"\nfast_interval = \"50ms\"",
                            dir.file("limits")));
  const auto limits = [&] { return read_file(dir.file("limits")); };
  REQUIRE(eventually([&] { return limits().size() >= 5 * std::string_view("512\n").size(); }));
  CHECK(limits().substr(0, 20) == "512\n512\n512\n512\n512\n");
}

TEST_CASE("process 1 hands the sockets that it was started with to the process that serves") {
  SKIP_UNLESS(::geteuid() == 0 && have_program("unshare"), "needs root and unshare");
  FakeBackend backend{lettered(1)[0]};
  const FreePort port;
  const TempDir dir;
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  write_file(dir.file("weir.toml"), config.toml());
  const weir::Address address = to_address(port.v4());
  const weir::Fd listening(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::bind(listening.get(), address.data(), address.size()) == 0);
  REQUIRE(::listen(listening.get(), 16) == 0);
  const weir::Fd passed_on(::dup2(listening.get(), 209));
  Process weir({"/bin/bash", "-c",
                fmt::format("exec env LISTEN_PID=1 LISTEN_FDS=1 LISTEN_FDNAMES=web unshare --pid --fork "
                            "--kill-child --mount-proc {} run -c {} 3<&209",
                            weir_binary(), dir.file("weir.toml"))});
  REQUIRE(weir.wait_for_err(" ready"));
  CHECK(one_session(port.v4()) == 'a');
  // It is the very same socket: it goes on listening when Weir has ended.
  std::istringstream children(read_file(fmt::format("/proc/{0}/task/{0}/children", weir.pid())));
  pid_t first = 0;
  REQUIRE(children >> first);
  ::kill(first, SIGTERM);
  CHECK(weir.wait() == 0);
  CHECK(connect_failure(port.v4()).empty());
}

TEST_CASE("process 1 ends with the exit status of the process that served last, crash or not") {
  SKIP_UNLESS(::geteuid() == 0 && have_program("unshare"), "needs root and unshare");
  Peculiar weir("exec unshare --pid --fork --kill-child --mount-proc \"$@\"");
  const auto children_of = [](pid_t pid) {
    std::set<pid_t> out;
    std::istringstream text(read_file(fmt::format("/proc/{0}/task/{0}/children", pid)));
    for (pid_t child = 0; text >> child;) out.insert(child);
    return out;
  };
  const auto first = children_of(weir.process().pid());
  REQUIRE(first.size() == 1);
  const auto serving = children_of(*first.begin());
  REQUIRE(serving.size() == 1);
  REQUIRE(weir.cli("upgrade").status == 0);
  // The old one ends well, and that is not the end.
  REQUIRE(eventually([&] { return has_ended(*serving.begin()); }));
  std::set<pid_t> successor;
  REQUIRE(eventually([&] {
    successor = children_of(*first.begin());
    successor.erase(*serving.begin());
    return successor.size() == 1;
  }));
  CHECK(weir.serves());
  CHECK(weir.process().running());
  ::kill(*successor.begin(), SIGSEGV);
  CHECK(weir.process().wait() == 128 + SIGSEGV);
}

TEST_CASE("as process 1 of a container Weir reaps orphans, and outlives upgrades") {
  SKIP_UNLESS(::geteuid() == 0 && have_program("unshare"), "needs root and unshare");
  const TempDir dir;
  // A probe whose command leaves an orphan in a session of its own, which no process group reaches.
  Peculiar weir("exec unshare --pid --fork --kill-child --mount-proc \"$@\"",
                "probe = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"setsid sleep 0.05 & exit 0\"]\ninterval "
                "= \"100ms\"");
  const auto children_of = [](pid_t pid) {
    std::vector<pid_t> out;
    std::istringstream text(read_file(fmt::format("/proc/{0}/task/{0}/children", pid)));
    for (pid_t child = 0; text >> child;) out.push_back(child);
    return out;
  };
  const std::vector<pid_t> first = children_of(weir.process().pid());
  REQUIRE(first.size() == 1);
  std::this_thread::sleep_for(1s);
  int zombies = 0;
  for (const pid_t child : children_of(first[0]))
    zombies += read_file(fmt::format("/proc/{}/stat", child)).find(") Z ") != std::string::npos ? 1 : 0;
  CHECK(zombies < 3);  // of some ten
  for (int i = 0; i < 2; ++i) {
    const Finished upgraded = weir.cli("upgrade");
    CAPTURE(upgraded.out, upgraded.err);
    REQUIRE(upgraded.status == 0);
    CHECK(eventually([&] { return weir.serves(); }));
    CHECK(weir.process().running());
  }
  CHECK(eventually(
      [&] { return nlohmann::json::parse(weir.cli("status", "-ojson").out).at("predecessors").empty(); }));
  ::kill(first[0], SIGHUP);
  CHECK(weir.process().wait_for_err("reloaded: "));
  CHECK(weir.serves());
  ::kill(first[0], SIGTERM);
  CHECK(weir.process().wait() == 0);
  CHECK(weir.cli("status").status == 5);
}
