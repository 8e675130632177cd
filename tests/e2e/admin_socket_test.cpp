// The admin socket under strangers, nonsense and crowds.
#include <fmt/format.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/support/operated.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

std::string unix_address(const Operated& weir) {
  return "unix:" + weir.socket();
}

/// What the daemon says to `bytes` and hangs up; it may do so before it has taken them all.
std::string reply_to(const Operated& weir, std::string_view bytes) {
  Stream stream = Stream::connect(unix_address(weir));
  try {
    stream.send_all(bytes);
  } catch (const StreamError&) {
  }
  return stream.recv_to_end().data;
}

/// SimpleConfig and a socket's path that the test itself prepares.
SimpleConfig with_socket(const FreePort& port, const FakeBackend& backend, const std::string& path) {
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  config.admin = fmt::format("socket = \"{}\"", path);
  return config;
}

weir::Fd bound_unix_socket(const std::string& path, bool listens) {
  weir::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = to_address("unix:" + path);
  REQUIRE(::bind(fd.get(), address.data(), address.size()) == 0);
  if (listens) REQUIRE(::listen(fd.get(), 5) == 0);
  return fd;
}

constexpr uid_t kNobody = 65'534;

/// The errno of a connect by that user, without groups and capabilities; 0 when it works. The child calls
/// what is safe after a fork only.
int connect_as(uid_t user, const std::string& path) {
  const auto address = to_address("unix:" + path);
  const pid_t child = ::fork();
  if (child == 0) {
    if (user != 0 &&
        (::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0 || ::geteuid() != user))
      ::_exit(255);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ::_exit(::connect(fd, address.data(), address.size()) == 0 ? 0 : errno);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode : 0;
}

}  // namespace

TEST_CASE("the admin socket never has another mode than its own") {
  const std::string mode = GENERATE("0600", "0660");
  FakeBackend backend;
  const FreePort port;
  const TempDir dir;
  SimpleConfig config = with_socket(port, backend, dir.file("weir.sock"));
  config.admin += fmt::format("\nmode = \"{}\"", mode);
  std::atomic<bool> stop{false};
  std::atomic<mode_t> wider{0};
  std::thread watcher([&] {
    const auto allowed = static_cast<mode_t>(std::stoul(mode, nullptr, 8));
    while (!stop) wider |= mode_of(dir.file("weir.sock")) & 0777U & ~allowed;
  });
  {
    WeirDaemon weir(config);
    CHECK((mode_of(dir.file("weir.sock")) & 0777U) == std::stoul(mode, nullptr, 8));
  }
  stop = true;
  watcher.join();
  CHECK(wider == 0);
  CHECK_FALSE(std::filesystem::exists(dir.file("weir.sock")));
}

TEST_CASE("a socket that a killed Weir has left is replaced") {
  FakeBackend backend;
  const FreePort port;
  const TempDir dir;
  const std::string path = dir.file("weir.sock");
  bound_unix_socket(path, false);
  REQUIRE(std::filesystem::exists(path));
  WeirDaemon weir(with_socket(port, backend, path));
  CHECK(run_program({weir_binary(), "status", "--socket", path}).status == 0);
}

TEST_CASE("a socket on which somebody listens is refused and left alone") {
  FakeBackend backend;
  const FreePort port;
  const TempDir dir;
  const std::string path = dir.file("weir.sock");
  const weir::Fd other = bound_unix_socket(path, true);
  const Finished finished = run_weir({"run", "-c", "{}"}, with_socket(port, backend, path).toml());
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Contains(path) && Contains("running"));
  CHECK_NOTHROW(Stream::connect("unix:" + path));
}

TEST_CASE("a symlink and a file in the socket's place are refused and left alone") {
  FakeBackend backend;
  const FreePort port;
  const TempDir dir;
  const std::string path = dir.file("weir.sock");
  const std::string target = dir.file("precious");
  const bool link = GENERATE(true, false);
  if (link) {
    bound_unix_socket(target, false);
    std::filesystem::create_symlink(target, path);
  } else {
    write_file(path, "precious");
  }
  const Finished finished = run_weir({"run", "-c", "{}"}, with_socket(port, backend, path).toml());
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Contains(path));
  CHECK((link ? std::filesystem::is_symlink(path) && std::filesystem::exists(target)
              : read_file(path) == "precious"));
  CHECK_FALSE(connect_failure(port.v4()).empty());
}

TEST_CASE("another user may not connect to the admin socket") {
  SKIP_UNLESS(!(::geteuid() != 0), "only root can become somebody else");
  Operated weir(lettered(1));
  std::filesystem::permissions(weir.dir().path(), std::filesystem::perms(0755));
  CHECK(connect_as(kNobody, weir.socket()) == EACCES);
  CHECK(connect_as(0, weir.socket()) == 0);
  // It is the socket's mode that keeps them out, and nothing on the way to it.
  std::filesystem::permissions(weir.socket(), std::filesystem::perms(0666));
  CHECK(connect_as(kNobody, weir.socket()) == 0);
}

TEST_CASE("nonsense on the admin socket costs bounded memory and no traffic") {
  Operated weir(lettered(1));
  Stream client = weir.connect();
  REQUIRE(client.recv_exact(1) == "a");
  const std::string mebibyte(1 << 20, 'x');
  reply_to(weir, mebibyte);
  const std::size_t before = weir.process().resident_bytes();
  const std::string head = "POST /v1/backends/web/a/drain HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n";
  for (int i = 0; i < 5; ++i) {
    reply_to(weir, mebibyte);
    reply_to(weir, "GET /" + mebibyte + " HTTP/1.1\r\n\r\n");
    reply_to(weir, std::string(100'000, '\0'));
    reply_to(weir, "\xff\xfe\xc3\x28\r\n\r\n");
    reply_to(weir, fmt::format("{}Content-Length: {}\r\n\r\n{}", head, mebibyte.size(), mebibyte));
    reply_to(weir, head + "Content-Length: 99999999999999999999\r\n\r\n{}");
    reply_to(weir, head + "Content-Length: -1\r\n\r\n{}");
  }
  CHECK(weir.process().resident_bytes() < before + (kSanitized ? 64U : 4U) * (1U << 20));
  CHECK_THAT(reply_to(weir, fmt::format("{}Content-Length: 70000\r\n\r\n{}", head, std::string(70'000, 'x'))),
             Contains(" 413 "));
  CHECK_THAT(reply_to(weir, head + "Content-Length: 4\r\n\r\n{\xff\xfe}"), Contains(" 400 "));
  const std::string deep = std::string(30'000, '[');
  CHECK_THAT(reply_to(weir, fmt::format("{}Content-Length: {}\r\n\r\n{}", head, deep.size(), deep)),
             Contains(" 400 "));
  CHECK_THAT(reply_to(weir, "GET /v1/nothing HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n"),
             Contains(" 404 "));
  CHECK(client.echoes("not concerned"));
  CHECK(weir.letters(3) == "aaa");
  CHECK(weir.backend_status("a").at("admin") == "enabled");
}

TEST_CASE("a thousand idle admin connections cost bounded memory and no traffic") {
  raise_descriptor_limit();
  Operated weir(lettered(1));
  Stream client = weir.connect();
  REQUIRE(client.recv_exact(1) == "a");
  const std::size_t memory = weir.process().resident_bytes();
  const std::size_t descriptors = weir.process().descriptors();
  {
    std::vector<Stream> idle;
    for (int i = 0; i < 1000; ++i) {
      idle.push_back(Stream::connect(unix_address(weir)));
      if (i % 3 == 1) idle.back().send_some("GET /v1/sta");
      if (i % 100 == 0) CHECK(client.echoes("still here"));
    }
    CHECK(weir.letters(20) == std::string(20, 'a'));
    CHECK(client.echoes("still here"));
    CHECK(weir.process().descriptors() <= descriptors + 100);
    CHECK(weir.process().resident_bytes() < memory + (kSanitized ? 64U : 8U) * (1U << 20));
    const double cpu = weir.process().cpu_seconds();
    const auto start = Clock::now();
    std::this_thread::sleep_for(1s);
    const double busy =
        (weir.process().cpu_seconds() - cpu) / std::chrono::duration<double>(since(start)).count();
    CHECK(busy < (kSanitized ? 0.5 : 0.2));
  }
  CHECK(weir.status({"status"}) == 0);
}

TEST_CASE("callers who say nothing, drip or take no answers lock no operator out") {
  raise_descriptor_limit();
  Operated weir(lettered(1));
  constexpr std::string_view kRequest = "GET /v1/status HTTP/1.1\r\nHost: weir\r\nX-Padding: ";
  const std::string way = GENERATE("silent", "dripping", "taking no answers");
  INFO(way);
  std::vector<Stream> callers;
  for (int i = 0; i < 100; ++i) {
    callers.push_back(Stream::connect(unix_address(weir)));
    if (way == "dripping") callers.back().send_all(kRequest);
    if (way == "taking no answers")
      for (int n = 0; n < 50; ++n) callers.back().send_some("GET /v1/status HTTP/1.1\r\nHost: weir\r\n\r\n");
  }
  std::atomic<bool> stop{false};
  std::thread dripping([&] {
    while (way == "dripping" && !stop) {
      for (Stream& caller : callers) try {
          caller.send_some("x");
        } catch (const StreamError&) {
        }
      std::this_thread::sleep_for(200ms);
    }
  });
  for (int i = 0; i < 5; ++i) CHECK(weir.status({"status"}) == 0);
  stop = true;
  dripping.join();
  CHECK(weir.process().descriptors() < 200);
}

TEST_CASE("a request that does not come to its end within 10 s is given up") {
  Operated weir(lettered(1));
  Stream caller = Stream::connect(unix_address(weir));
  caller.send_all("GET /v1/status HTTP/1.1\r\nHost: weir\r\nX-Padding: ");
  const auto begin = Clock::now();
  const bool ended = eventually(patient(20s), [&] {
    try {
      caller.send_all("x");
    } catch (const StreamError&) {
      return true;
    }
    std::this_thread::sleep_for(200ms);
    return false;
  });
  CHECK(ended);
  CHECK(since(begin) > 9s);
}

TEST_CASE("a limit on open files below those that are open leaves the admin socket answering and calm") {
  raise_descriptor_limit();
  SimpleConfig config;
  // ThreadSanitizer takes the log's queue for a race (tests/tsan.supp), and without a descriptor does not
  // find out its name.
  config.log = "access = \"off\"";
  Operated weir(lettered(1), config);
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < 100; ++i) clients.push_back(weir.connect());
  for (Stream& client : clients) REQUIRE(client.recv_exact(1) == "a");
  const rlimit lowered{64, raise_descriptor_limit()};
  REQUIRE(::prlimit(weir.process().pid(), RLIMIT_NOFILE, &lowered, nullptr) == 0);
  for (int i = 0; i < 20; ++i) CHECK(weir.status({"status"}) == 0);
  std::vector<Stream> callers;
  for (int i = 0; i < 20; ++i) callers.push_back(Stream::connect(unix_address(weir)));
  const double cpu = weir.process().cpu_seconds();
  std::this_thread::sleep_for(1s);
  CHECK(weir.process().cpu_seconds() - cpu < (kSanitized ? 0.5 : 0.2));
  callers.clear();
  CHECK(weir.status({"status"}) == 0);
  for (Stream& client : clients) CHECK(client.echoes("not concerned"));
}

TEST_CASE("an admin socket that is brought back answers, however few descriptors are left") {
  raise_descriptor_limit();
  Operated weir(lettered(1));
  weir.connect().recv_exact(1);
  const rlimit enough{raise_descriptor_limit(), raise_descriptor_limit()};
  const auto set_limit = [&](const rlimit& limit) {
    REQUIRE(::prlimit(weir.process().pid(), RLIMIT_NOFILE, &limit, nullptr) == 0);
  };
  const auto said = [&](const std::string& what, std::size_t since) {
    return weir.log().find(what, since) != std::string::npos;
  };
  const auto answers = [&] {
    try {
      return weir.get("status").contains("pools");
    } catch (const std::exception&) {
      return false;
    }
  };
  std::size_t came_back = 0;
  for (std::size_t left = 0; left < 16; ++left) {
    CAPTURE(left);
    const std::size_t limit = weir.process().descriptors() + left;
    set_limit({limit, enough.rlim_max});
    std::filesystem::remove(weir.socket());
    auto seen = weir.log().size();
    weir.process().signal(SIGHUP);
    REQUIRE(eventually([&] {
      return said("it is there again", seen) || said("somebody has removed", seen) ||
             said("reload refused", seen);
    }));
    if (said("it is there again", seen)) {
      ++came_back;
      // Sessions take what is left.
      std::vector<Stream> clients;
      for (int i = 0; i < 20; ++i) clients.push_back(weir.connect());
      eventually(200ms, [&] { return weir.process().descriptors() >= limit; });
      for (int i = 0; i < 3; ++i) CHECK(answers());
    }
    set_limit(enough);
    seen = weir.log().size();
    if (!answers()) {
      weir.process().signal(SIGHUP);
      CHECK(eventually([&] { return said("it is there again", seen); }));
    }
    CHECK(answers());
  }
  CHECK(came_back > 0);
  CHECK(weir.letters(1) == "a");
}

TEST_CASE("newlines and escapes of a command stay escaped in the log") {
  Operated weir(lettered(2));
  const std::string evil = "web/x\nforged line\x1b[31m\"\\";
  const Finished finished = weir.cli({"drain", evil});
  CHECK(finished.status == 3);
  CHECK(weir.status({"add", "web", "a\nb", "127.0.0.1:9\n"}) == 2);
  REQUIRE(weir.says("forged line"));
  const std::string log = weir.log();
  CHECK(log.find("\nforged") == std::string::npos);
  CHECK(log.find('\x1b') == std::string::npos);
  CHECK_THAT(log, Contains("\\nforged line\\x1b[31m"));
  CHECK(finished.err.find('\x1b') == std::string::npos);
  CHECK(finished.err.find("\nforged") == std::string::npos);
}

TEST_CASE("every command that changes something is in the log with its caller") {
  Operated weir(lettered(2));
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  CHECK_THAT(weir.log(), Contains(fmt::format("/v1/backends/web/a/drain by uid {}", ::geteuid())));
  CHECK_THAT(weir.log(), Contains("web/a enabled → drained by an operator"));
}

TEST_CASE("fifty clients that toggle a backend under load break nothing and the last command wins") {
  SimpleConfig config;
  config.workers = 2;
  Operated weir(lettered(3), config);
  std::atomic<bool> stop{false};
  std::atomic<int> bad_sessions{0};
  std::atomic<int> sessions{0};
  std::atomic<int> bad_commands{0};
  std::atomic<int> commands{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      ConnectOptions options;
      options.source = client_source(i);
      while (!stop) {
        try {
          one_session(weir.address(), options);
          ++sessions;
        } catch (const StreamError&) {
          ++bad_sessions;
        }
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, i] {
      const std::string target = i % 3 == 0 ? "web/b" : "web/a";
      for (int n = i; n == i || !stop; ++n) {  // each at least once
        const std::string verb = n % 2 == 0 ? "drain" : "enable";
        if (weir.cli({verb, target}).status != 0) ++bad_commands;
        ++commands;
      }
    });
  }
  std::this_thread::sleep_for(3s);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(bad_sessions == 0);
  CHECK(bad_commands == 0);
  CHECK(sessions > 0);
  CHECK(commands >= 50);
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  CHECK(weir.backend_status("a").at("admin") == "enabled");
  CHECK(weir.backend_status("b").at("admin") == "drained");
  CHECK(weir.letters(20).find('b') == std::string::npos);
  weir.restart();
  CHECK(weir.backend_status("b").at("admin") == "drained");
  CHECK(weir.backend_status("a").at("admin") == "enabled");
}

TEST_CASE("on the read-only socket everything can be seen and nothing be changed") {
  SimpleConfig config;
  const TempDir dir;
  config.backends = {};
  FakeBackend backend(lettered(1)[0]);
  const FreePort port;
  config = with_socket(port, backend, dir.file("weir.sock"));
  config.admin += fmt::format("\nread_only_socket = \"{}\"", dir.file("look.sock"));
  WeirDaemon weir(config);
  CHECK((mode_of(dir.file("look.sock")) & 0777U) == 0666U);
  const auto look = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), weir_binary());
    arguments.insert(arguments.end(), {"--socket", dir.file("look.sock")});
    return run_program(std::move(arguments));
  };
  CHECK(look({"status"}).status == 0);
  CHECK(look({"sessions"}).status == 0);
  CHECK(look({"explain", "web", "10.0.0.1"}).status == 0);
  for (const std::vector<std::string>& change : {std::vector<std::string>{"drain", "web/a", "--force"},
                                                 {"weight", "web/a", "5"},
                                                 {"reload"},
                                                 {"kill", "--pool", "web"},
                                                 {"remove", "web/a", "--force"},
                                                 {"add", "web", "b", "127.0.0.1:9"},
                                                 {"upgrade"},
                                                 {"check", "-c", weir.config_file(), "--diff"}}) {
    const Finished finished = look(change);
    INFO(change.front());
    CHECK(finished.status == 1);
    CHECK_THAT(finished.err, Contains("this socket is for looking only"));
  }
  CHECK(run_program({weir_binary(), "weight", "web/a", "5", "--socket", dir.file("weir.sock")}).status == 0);
  CHECK(weir.stop() == 0);
  CHECK_FALSE(std::filesystem::exists(dir.file("look.sock")));
}

TEST_CASE("somebody else who may use the admin socket may have no other program started") {
  SKIP_UNLESS(!(::geteuid() != 0), "only root can become somebody else");
  const bool any = GENERATE(false, true);
  FakeBackend backend(lettered(1)[0]);
  const FreePort port;
  const TempDir dir;
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
  SimpleConfig config = with_socket(port, backend, dir.file("weir.sock"));
  config.admin += "\nmode = \"0666\"";
  if (any) config.admin += "\nupgrade = \"any\"";
  WeirDaemon weir(config);
  // The program is one that ends at once: whether it was started is what matters.
  const auto upgrade = [&](std::optional<uid_t> user) {
    return run_program({"/usr/bin/curl", "-s", "--unix-socket", dir.file("weir.sock"), "-X", "POST", "-d",
                        R"({"binary": "/bin/false"})", "http://weir/v1/upgrade"},
                       {.user = user})
        .out;
  };
  const std::string theirs = upgrade(kNobody);
  if (any)
    CHECK_THAT(theirs, Contains("exited with status"));
  else
    CHECK_THAT(theirs, Contains("admin.upgrade") && Contains("lets you start"));
  CHECK_THAT(upgrade(std::nullopt), Contains("exited with status"));
}
