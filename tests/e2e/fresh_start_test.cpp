// A start that is no upgrade, after an upgrade whose new process has been killed: older ones live on.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "lb/base/fd.h"
#include "tests/support/skip.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using Json = nlohmann::json;

namespace {

SimpleConfig with_workers(int workers) {
  SimpleConfig config;
  config.workers = workers;
  return config;
}

/// Upgrades, and kills whoever has taken over before it can hand anything on.
void lose_successor(Upgradable& weir) {
  const pid_t successor = weir.upgrade();
  ::kill(successor, SIGKILL);
  // Its parent has reaped it.
  REQUIRE(eventually([&] { return ::kill(successor, 0) != 0; }));
}

/// As a service manager starts it: nobody tells it of an older process.
std::unique_ptr<Process> start_anew(Upgradable& weir, const ProcessOptions& options = {}) {
  return std::make_unique<Process>(
      std::vector<std::string>{weir_binary(), "run", "-c", weir.rig().weir().config_file()}, options);
}

/// What the first `weir status` that is answered at all says.
Json first_status(const Upgradable& weir) {
  Finished status;
  REQUIRE(eventually([&] {
    status = weir.cli({"status", "-o", "json"});
    return status.status == 0;
  }));
  return Json::parse(status.out);
}

std::vector<int> pids(const Json& predecessors) {
  std::vector<int> out;
  for (const Json& one : predecessors) out.push_back(one.at("pid").get<int>());
  std::ranges::sort(out);
  return out;
}

/// The first client that the new process can let in: it has come before that accepts.
Stream first_client(const Upgradable& weir) {
  std::optional<Stream> client;
  REQUIRE(eventually([&] {
    try {
      client = Stream::connect(weir.address());
    } catch (const StreamError&) {
    }
    return client.has_value();
  }));
  return std::move(*client);
}

std::uint64_t bytes_to_backends(const Json& status) {
  std::uint64_t out = 0;
  for (const Json& backend : status.at("pools").at(0).at("backends"))
    out += backend.at("bytes_to_backend").get<std::uint64_t>();
  return out;
}

std::string socket_beside(const Upgradable& weir, pid_t pid) {
  return fmt::format("{}.{}", weir.socket(), pid);
}

/// Says to everybody what a superseded Weir of process `pid` says, and whether anybody has asked.
class Impostor {
 public:
  Impostor(const std::string& path, pid_t pid, bool superseded = true)
      : body_(
            fmt::format(R"({{"version":"9","pid":{},"read_only":false,"superseded":{}}})", pid, superseded)),
        backend_({.script = [this](Stream& stream) { answer(stream); }, .address = "unix:" + path}) {}
  bool was_asked() const { return asked_; }

 private:
  void answer(Stream& stream) {
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const std::string more = stream.recv_some();
      if (more.empty()) return;
      asked_ = true;
      head += more;
    }
    stream.send_all(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body_.size(), body_));
  }

  const std::string body_;
  std::atomic<bool> asked_{false};
  FakeBackend backend_;  // last: it uses the others
};

}  // namespace

TEST_CASE("a fresh start has the sessions of an older process in view and in reach from its first answer") {
  Upgradable weir(echoing(2), with_workers(2));
  Process& older = weir.rig().process();
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("before"));
  lose_successor(weir);
  CHECK(session.echoes("still served"));
  const auto fresh = start_anew(weir);

  const Json status = first_status(weir);
  CHECK(status.at("sessions").at("active") == 1);
  CHECK(pids(status.at("predecessors")) == std::vector<int>{older.pid()});
  const Json sessions = weir.get("sessions").at("sessions");
  REQUIRE(sessions.size() == 1);
  const auto id = sessions.at(0).at("id").get<std::string>();
  CHECK(id.starts_with(std::to_string(older.pid()) + "."));

  SECTION("killed by its id") {
    CHECK(weir.ask({"kill", id}).at("killed") == 1);
    CHECK(session.recv_to_end().ending == Ending::Reset);
    CHECK(older.wait() == 0);
  }
  SECTION("waited for by a drain") {
    CHECK(weir.cli({"drain", "web/*", "--force", "--wait", "--timeout", "300ms"}).status == 4);
    CHECK(session.echoes("goes on"));
    session.close();
    CHECK(weir.cli({"drain", "web/*", "--force", "--wait"}).status == 0);
    CHECK(older.wait() == 0);
  }
  SECTION("ended by a stop") {
    CHECK(weir.cli({"stop", "--grace", "0s"}).status == 0);
    CHECK(session.recv_to_end().ending == Ending::Reset);
    CHECK(older.wait() == 0);
    CHECK(fresh->wait() == 0);
  }
  SECTION("counted when it has ended") {
    REQUIRE(session.echoes(std::string(1000, 'x')));
    session.close();
    CHECK(older.wait() == 0);
    const Json after = weir.get("status");
    CHECK(after.at("predecessors").empty());
    CHECK(bytes_to_backends(after) >= 1000);
    CHECK_THAT(older.err(), !Contains("is lost"));
  }
  SECTION("handed on by the next upgrade") {
    weir.upgrade();
    CHECK(fresh->wait() == 0);
    const Json after = weir.get("status");
    CHECK(after.at("sessions").at("active") == 1);
    CHECK(pids(after.at("predecessors")) == std::vector<int>{older.pid()});
  }
}

TEST_CASE("a fresh start knows every older process that upgrades have left behind") {
  Upgradable weir(echoing());
  std::vector<Stream> sessions;
  sessions.push_back(weir.rig().connect());
  REQUIRE(sessions.back().echoes("first"));
  const pid_t second = weir.upgrade();
  sessions.push_back(weir.rig().connect());
  REQUIRE(sessions.back().echoes("second"));
  lose_successor(weir);
  const auto fresh = start_anew(weir);
  const Json status = first_status(weir);
  CHECK(status.at("sessions").at("active") == 2);
  std::vector<int> both{weir.rig().process().pid(), second};
  std::ranges::sort(both);
  CHECK(pids(status.at("predecessors")) == both);
  CHECK(weir.ask({"kill", "--pool", "web"}).at("killed") == 2);
}

TEST_CASE("an older process that hangs is named by a fresh start, and joins it when it answers") {
  Upgradable weir(echoing());
  Process& older = weir.rig().process();
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  lose_successor(weir);
  older.signal(SIGSTOP);
  const auto fresh = start_anew(weir);
  const Json status = first_status(weir);
  CHECK(pids(status.at("predecessors")) == std::vector<int>{older.pid()});
  CHECK_THAT(weir.cli({"sessions"}).err, Contains(fmt::format("process {} has not answered", older.pid())));
  // It serves although nobody has told what is elsewhere.
  Stream served = weir.rig().connect();
  CHECK(served.echoes("served"));
  CHECK_THAT(fresh->err(), Contains(fmt::format("process {} ", older.pid())));
  older.signal(SIGCONT);
  CHECK(eventually([&] { return weir.get("status").at("sessions").at("active") == 2; }));
}

TEST_CASE("limits count the sessions of an older process from a fresh start's first client on") {
  SimpleConfig config;
  const bool of_clients = GENERATE(true, false);
  CAPTURE(of_clients);
  if (of_clients) config.listener = "sessions_per_client = 1";
  Upgradable weir({{.greeting = "a"}}, config);
  Stream session = weir.rig().connect();
  REQUIRE(session.recv_exact(1) == "a");
  lose_successor(weir);
  if (!of_clients) {
    const std::string file = weir.rig().weir().config_file();
    write_file(file, read_file(file) + "max_sessions = 1\n");
  }
  const auto fresh = start_anew(weir);
  CHECK(first_client(weir).recv_to_end().data.empty());
  session.close();
  CHECK(eventually([&] { return weir.rig().connect().recv_to_end(100ms).data == "a"; }));
}

TEST_CASE("the socket of a process that is no more is removed at a start, and nothing else is") {
  Upgradable weir(echoing());
  const Process ended({"/bin/true"});
  const std::string dead = socket_beside(weir, ended.pid());
  const weir::Fd bound(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = to_address("unix:" + dead);
  REQUIRE(::bind(bound.get(), address.data(), address.size()) == 0);
  const std::string plain = socket_beside(weir, ended.pid()) + "0";
  write_file(plain, "no socket");
  // It speaks like a Weir, by a name that is another process's.
  Impostor by_another_name(socket_beside(weir, ::getppid()), ::getppid());
  // It has the name of its process, and is no Weir.
  FakeBackend no_weir({.greeting = "220 ready\r\n",
                       .then = Then::Finish,
                       .address = "unix:" + socket_beside(weir, ::getpid())});
  weir.rig().process().signal(SIGKILL);
  REQUIRE(weir.rig().process().wait());
  const auto fresh = start_anew(weir);
  CHECK(first_status(weir).at("predecessors").empty());
  CHECK(!std::filesystem::exists(dead));
  CHECK(read_file(plain) == "no socket");
  CHECK(std::filesystem::is_socket(socket_beside(weir, ::getppid())));
  CHECK(std::filesystem::is_socket(socket_beside(weir, ::getpid())));
  CHECK(!by_another_name.was_asked());
}

TEST_CASE("a Weir with an admin socket of its own at such a name is nobody's older process") {
  Upgradable weir(echoing());
  weir.rig().process().signal(SIGKILL);
  REQUIRE(weir.rig().process().wait());
  Impostor other(socket_beside(weir, ::getpid()), ::getpid(), false);
  const auto fresh = start_anew(weir);
  CHECK(first_status(weir).at("predecessors").empty());
  CHECK(std::filesystem::is_socket(socket_beside(weir, ::getpid())));
  CHECK(other.was_asked());
}

TEST_CASE("another user's process is nobody's older process, whatever it answers") {
  SKIP_UNLESS(::geteuid() == 0, "only root can have a socket of another user's");
  constexpr uid_t kNobody = 65534;
  Upgradable weir(echoing());
  const std::string path = socket_beside(weir, ::getpid());
  std::filesystem::permissions(std::filesystem::path(path).parent_path(), std::filesystem::perms::all);
  std::unique_ptr<Impostor> theirs;
  // Of this thread alone: whoever listens is who the kernel names to those who connect.
  std::thread([&] {
    ::syscall(SYS_setresuid, -1, kNobody, -1);
    theirs = std::make_unique<Impostor>(path, ::getpid());
  }).join();
  const bool looks_like_ours = GENERATE(true, false);
  CAPTURE(looks_like_ours);
  if (looks_like_ours) REQUIRE(::chown(path.c_str(), 0, 0) == 0);
  weir.rig().process().signal(SIGKILL);
  REQUIRE(weir.rig().process().wait());
  const auto fresh = start_anew(weir);
  CHECK(first_status(weir).at("predecessors").empty());
  CHECK(std::filesystem::is_socket(path));
  CHECK(!theirs->was_asked());
}
