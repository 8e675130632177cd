#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "lb/base/fd.h"
#include "tests/support/steady_clients.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;
using Json = nlohmann::json;

namespace {

SimpleConfig with_workers(int workers) {
  SimpleConfig config;
  config.workers = workers;
  return config;
}

void replace_in_file(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = read_file(path);
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  write_file(path, text.replace(at, from.size(), to));
}

/// An executable that is no Weir.
std::string script(const std::string& path, const std::string& lines) {
  write_file(path, "#!/bin/sh\n" + lines + "\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

std::uint64_t active(const Json& status) {
  return status.at("sessions").at("active").get<std::uint64_t>();
}

}  // namespace

TEST_CASE("an upgrade under load refuses nobody, resets nobody and changes no byte") {
  const int workers = GENERATE(1, 2);
  CAPTURE(workers);
  Upgradable weir(echoing(2), with_workers(workers));
  SteadyClients clients(weir.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(100)));
  const pid_t successor = weir.upgrade();
  REQUIRE(clients.wait_for_more(scaled(200)));
  CHECK(successor != weir.rig().process().pid());
  // What is new is served by the new process alone: the old one ends, although sessions are begun all the
  // time.
  CHECK(weir.rig().process().wait() == 0);
  REQUIRE(clients.wait_for_more(scaled(100)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("a session that an upgrade leaves behind lives on, in view and in reach of the new process") {
  Upgradable weir(echoing(2), with_workers(2));
  Stream old_one = weir.rig().connect();
  REQUIRE(old_one.echoes("before"));
  weir.upgrade();
  CHECK(old_one.echoes("after"));
  Stream new_one = weir.rig().connect();
  REQUIRE(new_one.echoes("new"));

  const Json status = weir.get("status");
  CHECK(active(status) == 2);
  CHECK(status.at("sessions").at("total") == 2);
  CHECK(status.at("listeners").at(0).at("active") == 2);
  REQUIRE(status.at("predecessors").size() == 1);
  CHECK(status.at("predecessors").at(0).at("pid") == weir.rig().process().pid());
  CHECK(status.at("predecessors").at(0).at("active") == 1);
  std::uint64_t of_backends = 0;
  std::uint64_t bytes = 0;
  for (const Json& backend : status.at("pools").at(0).at("backends")) {
    of_backends += backend.at("active").get<std::uint64_t>();
    bytes += backend.at("bytes_to_backend").get<std::uint64_t>();
  }
  CHECK(of_backends == 2);
  CHECK(bytes == 14);

  const Json sessions = weir.get("sessions").at("sessions");
  REQUIRE(sessions.size() == 2);
  std::string id;
  for (const Json& session : sessions)
    if (session.at("client") == old_one.local_address()) id = session.at("id").get<std::string>();
  CHECK(id.starts_with(std::to_string(weir.rig().process().pid()) + "."));

  SECTION("killed by its id") {
    CHECK(weir.ask({"kill", id}).at("killed") == 1);
    CHECK(old_one.recv_to_end().ending == Ending::Reset);
    CHECK(new_one.echoes("untouched"));
  }
  SECTION("killed by a filter that both pass") {
    CHECK(weir.ask({"kill", "--pool", "web"}).at("killed") == 2);
    CHECK(old_one.recv_to_end().ending == Ending::Reset);
    CHECK(new_one.recv_to_end().ending == Ending::Reset);
  }
  SECTION("left alone when the new one is killed by its id") {
    for (const Json& session : sessions)
      if (session.at("client") == new_one.local_address())
        CHECK(weir.ask({"kill", session.at("id").get<std::string>()}).at("killed") == 1);
    CHECK(new_one.recv_to_end().ending == Ending::Reset);
    CHECK(old_one.echoes("untouched"));
  }
  SECTION("counted by a drain, and closed by its deadline") {
    const Json drained = weir.ask({"drain", "web/*", "--force"}).at("changed");
    std::uint64_t left = 0;
    for (const Json& one : drained) left += one.at("sessions").get<std::uint64_t>();
    CHECK(left == 2);
    CHECK(old_one.echoes("goes on"));
    const Finished closed =
        weir.cli({"drain", "web/*", "--force", "--timeout", "100ms", "--then", "close", "--wait"});
    CHECK(closed.status == 0);
    CHECK(old_one.recv_to_end().ending == Ending::Reset);
    CHECK(new_one.recv_to_end().ending == Ending::Reset);
  }
  old_one.close();
  CHECK(weir.rig().process().wait() == 0);
  const Json after = weir.get("status");
  CHECK(after.at("predecessors").empty());
  // Its private socket has gone with it.
  CHECK(!std::filesystem::exists(fmt::format("{}.{}", weir.socket(), weir.rig().process().pid())));
}

TEST_CASE("weir upgrade says what has happened") {
  Upgradable weir(echoing());
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  const Finished done = weir.cli({"upgrade"});
  CAPTURE(done.err);
  CHECK(done.status == 0);
  CHECK_THAT(done.out,
             Contains(fmt::format("the old process {} finishes 1 session", weir.rig().process().pid())));
  const Json status = weir.get("status");
  CHECK(status.at("predecessors").size() == 1);
  weir.upgrade();  // ends the process whose id only the text names
}

TEST_CASE("a new binary that exits at once leaves the old process serving, and the caller hears why") {
  Upgradable weir(echoing());
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("before"));
  const Finished done = weir.cli({"upgrade", "--binary", "/bin/false"});
  CHECK(done.status == 1);
  CHECK_THAT(done.err, Contains("/bin/false exited with status 1 before it served"));
  CHECK(session.echoes("after"));
  CHECK(connect_failure(weir.address()).empty());
  // It takes changes again, and an upgrade that works.
  CHECK(weir.cli({"drain", "web/a", "--force"}).status == 0);
  CHECK(weir.cli({"enable", "web/a"}).status == 0);
  weir.upgrade();
  CHECK(session.echoes("still"));
}

TEST_CASE("what a new process wrote before it failed is told to the caller and is in the log") {
  Upgradable weir(echoing());
  const std::string failing =
      script(weir.file("failing"), "echo 'no such library' >&2; printf 'and no end' >&2; exit 3");
  const Finished done = weir.cli({"upgrade", "--binary", failing});
  CHECK(done.status == 1);
  CHECK_THAT(done.err, Contains("exited with status 3 before it served") && Contains("no such library\n") &&
                           Contains("and no end"));
  CHECK(weir.rig().process().wait_for_err("no such library\n"));
  CHECK(weir.rig().process().wait_for_err("and no end\n"));
}

TEST_CASE("the new process's log goes where the old one's went, also when that has ended") {
  Upgradable weir(echoing());
  const pid_t successor = weir.upgrade();
  CHECK(weir.rig().process().wait() == 0);
  ::kill(successor, SIGHUP);
  CHECK(weir.rig().process().wait_for_err("reloaded: "));
}

TEST_CASE("stop ends the older processes, too") {
  const std::string grace = GENERATE("0s", "100ms");
  CAPTURE(grace);
  Upgradable weir(echoing());
  Stream old_session = weir.rig().connect();
  REQUIRE(old_session.echoes("old"));
  weir.upgrade();
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("new"));
  const Finished stopped = weir.cli({"stop", "--grace", grace});
  CAPTURE(stopped.err);
  CHECK(stopped.status == 0);
  CHECK(session.recv_to_end().ending == Ending::Reset);
  CHECK(old_session.recv_to_end().ending == Ending::Reset);
  CHECK(weir.rig().process().wait() == 0);
}

TEST_CASE("a new binary that hangs is given up, and the caller hears of it", "[long]") {
  Upgradable weir(echoing());
  Stream session = weir.rig().connect();
  const std::string hanging = script(weir.file("hanging"),
                                     "trap '' TERM; echo $$ > \"$0.pid\"; echo 'waiting for Godot' >&2\n"
                                     "while :; do sleep 0.1; done");
  const Finished done = run_program(
      {weir_binary(), "upgrade", "--binary", hanging, "--socket", weir.socket()}, {}, patient(90s));
  CHECK(done.status == 1);
  CHECK_THAT(done.err, Contains("did not serve within 1m") && Contains("waiting for Godot"));
  CHECK(::kill(std::stoi(read_file(hanging + ".pid")), 0) != 0);
  CHECK(session.echoes("served on"));
  weir.upgrade();
}

TEST_CASE("an upgrade to what is no program, or to no absolute path, is refused") {
  Upgradable weir(echoing());
  const Finished missing = weir.cli({"upgrade", "--binary", "/nowhere/weir"});
  CHECK(missing.status == 1);
  CHECK_THAT(missing.err, Contains("/nowhere/weir"));
  write_file(weir.file("junk"), "no program");
  std::filesystem::permissions(weir.file("junk"), std::filesystem::perms::owner_all);
  const Finished junk = weir.cli({"upgrade", "--binary", weir.file("junk")});
  CHECK(junk.status == 1);
  CHECK_THAT(junk.err, Contains("junk"));
  CHECK(connect_failure(weir.address()).empty());
}

TEST_CASE("a configuration that is broken on disk refuses the upgrade, and the caller is told its faults") {
  Upgradable weir(echoing());
  const std::string file = weir.rig().weir().config_file();
  replace_in_file(file, "bind = ", "bindd = ");
  const Finished done = weir.cli({"upgrade"});
  CHECK(done.status == 1);
  CHECK_THAT(done.err, Contains("did you mean") && Contains("bindd"));
  CHECK(connect_failure(weir.address()).empty());
  replace_in_file(file, "bindd = ", "bind = ");
  weir.upgrade();
}

TEST_CASE("changes are answered with \"upgrading, ask again\" during the hand-over, and done after it") {
  Upgradable weir(echoing(2));
  const std::string gate = weir.file("gate");
  const std::string slow =
      script(weir.file("slow"), fmt::format("touch {0}.begun; while [ ! -e {0} ]; do sleep 0.02; done\n"
                                            "exec {1} \"$@\"",
                                            gate, weir_binary()));
  Process upgrade({weir_binary(), "upgrade", "--binary", slow, "--socket", weir.socket(), "-o", "json"});
  REQUIRE(eventually([&] { return std::filesystem::exists(gate + ".begun"); }));
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"drain", "web/a"},
                                             {"weight", "web/a", "3"},
                                             {"reload"},
                                             {"upgrade"},
                                             {"add", "web", "z", "127.0.0.1:9"},
                                             {"remove", "web/a"}}) {
    CAPTURE(command[0]);
    const Finished refused = weir.cli(command);
    CHECK(refused.status == 1);
    CHECK_THAT(refused.err, Contains("upgrading, ask again"));
  }
  CHECK(weir.cli({"status"}).status == 0);
  CHECK(connect_failure(weir.address()).empty());
  write_file(gate, "");
  REQUIRE(upgrade.wait(patient(60s)) == 0);
  const Descendant successor(Json::parse(upgrade.out()).at("pid").get<pid_t>());
  CHECK(weir.cli({"drain", "web/a"}).status == 0);
}

TEST_CASE("who was let in by the old process and asks only when that has no session left is answered") {
  Upgradable weir(echoing());
  Stream early = Stream::connect("unix:" + weir.socket());
  // Served in the order of arrival: the first one has been let in, too.
  REQUIRE(weir.cli({"status"}).status == 0);
  weir.upgrade();
  std::this_thread::sleep_for(300ms);
  early.send_all("GET /v1/version HTTP/1.1\r\nHost: weir\r\n\r\n");
  const Received reply = early.recv_to_end();
  CHECK_THAT(reply.data, StartsWith("HTTP/1.1 200 "));
  CHECK(reply.ending == Ending::Eof);
}

TEST_CASE("what an operator said survives the upgrade, with a state file and without one") {
  SimpleConfig config;
  const bool with_file = GENERATE(true, false);
  CAPTURE(with_file);
  Upgradable weir(lettered(2), config);
  if (!with_file) {
    replace_in_file(weir.rig().weir().config_file(), "state_file = ", "state_file = \"\" # ");
    REQUIRE(weir.cli({"reload"}).status == 0);
  }
  REQUIRE(weir.cli({"drain", "web/a"}).status == 0);
  REQUIRE(weir.cli({"weight", "web/b", "7"}).status == 0);
  weir.upgrade();
  CHECK(weir.rig().letters(4) == "bbbb");
  const Json backends = weir.get("status").at("pools").at(0).at("backends");
  CHECK(backends.at(0).at("admin") == "drained");
  CHECK(backends.at(1).at("weight") == 7);
  CHECK(weir.cli({"enable", "web/a"}).status == 0);
  CHECK_THAT(weir.rig().letters(8), Contains("a"));
}

TEST_CASE("a closing that an old process has planned is in view, and off once its backend is enabled") {
  Upgradable weir(lettered(2));
  SimpleConfig config = weir.rig().config();
  const auto reload_with = [&](const std::string& more) {
    config.backends[0].more = more;
    write_file(weir.rig().weir().config_file(), config.toml());
    REQUIRE(weir.cli({"reload"}).status == 0);
  };
  const auto status_of_a = [&] { return weir.get("status").at("pools").at(0).at("backends").at(0); };
  Stream session = weir.rig().connect();
  REQUIRE(session.recv_exact(1) == "a");
  {
    Process gone(
        {weir_binary(), "drain", "web/a", "--timeout", "6s", "--then", "close", "--socket", weir.socket()});
    REQUIRE(eventually([&] { return status_of_a().contains("closes_at"); }));
    gone.signal(SIGKILL);
    gone.wait();
  }
  weir.upgrade();
  CHECK(status_of_a().contains("closes_at"));
  reload_with("admin = \"drained\"");
  reload_with("");
  CHECK(status_of_a().at("admin") == "enabled");
  CHECK(eventually([&] { return !status_of_a().contains("closes_at"); }));
  std::this_thread::sleep_for(7s);
  CHECK(session.echoes("left alone"));
}

TEST_CASE("an upgrade that would leave the old process out of reach is refused, and changes nothing") {
  const TempDir dir;
  const FakeBackend backend;
  const FreePort port;
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  // As long as a path may be: the old process's own, beside it, would be longer.
  std::string socket = dir.file("");
  socket.append(107 - socket.size(), 's');
  config.admin = fmt::format("socket = \"{}\"", socket);
  WeirDaemon weir(config);
  const Finished refused = run_program({weir_binary(), "upgrade", "--socket", socket}, {}, patient(90s));
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("out of sight") && Contains(socket + "."));
  CHECK(run_program({weir_binary(), "drain", "web/a", "--force", "--socket", socket}).status == 0);
}

TEST_CASE("an upgrade that fails while its file is read leaves workers and probes as they were", "[long]") {
  SimpleConfig config;
  config.health = "probe = \"exec\"\ncommand = [\"/bin/true\"]\ninterval = \"50ms\"";
  Upgradable weir(echoing(), config);
  const std::string file = weir.rig().weir().config_file();
  const std::string text = read_file(file);
  std::filesystem::remove(file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  {
    // A file that goes on and on: it is read for longer than a new process may be silent.
    const weir::Fd writer(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    std::atomic<bool> over{false};
    std::thread drip([&] {
      while (!over) {
        CHECK(::write(writer.get(), "#", 1) == 1);
        std::this_thread::sleep_for(500ms);
      }
    });
    const Finished done = weir.cli({"upgrade"});
    over = true;
    drip.join();
    CHECK(done.status == 1);
    CHECK_THAT(done.err, Contains("did not serve within 1m"));
  }
  std::filesystem::remove(file);
  write_file(file, text);
  CHECK(weir.cli({"reload"}).status == 0);
  SteadyClients clients(weir.address(), 3);
  CHECK(clients.wait_for_more(scaled(2'000)));
  weir.upgrade();
  CHECK(clients.wait_for_more(scaled(500)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("upgrades follow one another, and the sessions of every process stay in view") {
  Upgradable weir(echoing(), with_workers(2));
  std::vector<Stream> streams;
  for (int generation = 0; generation < 3; ++generation) {
    streams.push_back(weir.rig().connect());
    REQUIRE(streams.back().echoes("x"));
    weir.upgrade();
  }
  streams.push_back(weir.rig().connect());
  for (Stream& stream : streams) CHECK(stream.echoes("still there"));
  const Json status = weir.get("status");
  CHECK(active(status) == 4);
  CHECK(status.at("predecessors").size() == 3);
  CHECK(weir.get("sessions").at("sessions").size() == 4);
  CHECK(weir.ask({"kill", "--pool", "web"}).at("killed") == 4);
  for (Stream& stream : streams) CHECK(stream.recv_to_end().ending == Ending::Reset);
  CHECK(eventually([&] { return weir.get("status").at("predecessors").empty(); }));
}

TEST_CASE("an upgrade with --max-age ends what the old process still serves then, with a reset") {
  Upgradable weir(echoing());
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  const auto begin = Clock::now();
  weir.upgrade({"--max-age", "700ms"});
  CHECK(session.recv_to_end().ending == Ending::Reset);
  CHECK(since(begin) >= 700ms);
  CHECK(weir.rig().process().wait() == 0);
  CHECK(weir.rig().weir().wait_for_access(1)[0]["end"] == "shutdown");
}

TEST_CASE("SIGTERM to a superseded process lets its sessions finish and leaves the new one alone") {
  Upgradable weir(echoing());
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  weir.upgrade();
  weir.rig().process().signal(SIGTERM);
  REQUIRE(weir.rig().process().wait_for_err("SIGTERM"));
  CHECK(session.echoes("y"));
  session.half_close();
  CHECK(session.recv_to_end().ending == Ending::Eof);
  CHECK(weir.rig().process().wait() == 0);
  CHECK(connect_failure(weir.address()).empty());
  CHECK(weir.cli({"status"}).status == 0);
}

TEST_CASE("a predecessor that is killed is forgotten, and its socket removed") {
  Upgradable weir(echoing());
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  weir.upgrade();
  const std::string private_socket = fmt::format("{}.{}", weir.socket(), weir.rig().process().pid());
  CHECK(std::filesystem::exists(private_socket));
  struct stat info {};
  REQUIRE(::stat(private_socket.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
  weir.rig().process().signal(SIGKILL);
  REQUIRE(weir.rig().process().wait());
  const Json status = weir.get("status");
  CHECK(status.at("predecessors").empty());
  CHECK(active(status) == 0);
  CHECK(!std::filesystem::exists(private_socket));
}

TEST_CASE("a listener on a unix path survives the upgrade under load, and the new process removes it") {
  TempDir dir;
  const std::string path = dir.file("front");
  FakeBackend backend;
  SimpleConfig config;
  config.workers = 2;
  config.bind = "unix:" + path;
  config.backends = {{"a", backend.address()}};
  config.admin = fmt::format("socket = \"{}\"", dir.file("weir.sock"));
  WeirDaemon weir(config);
  weir.expect_exit();
  SteadyClients clients("unix:" + path, 2);
  REQUIRE(clients.wait_for_more(scaled(50)));
  const Finished done = run_program(
      {weir_binary(), "upgrade", "--socket", dir.file("weir.sock"), "-o", "json"}, {}, patient(60s));
  CAPTURE(done.err);
  REQUIRE(done.status == 0);
  const Descendant successor(Json::parse(done.out).at("pid").get<pid_t>());
  CHECK(weir.process().wait() == 0);
  REQUIRE(clients.wait_for_more(scaled(100)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
  ::kill(successor.pid(), SIGTERM);
  CHECK(eventually([&] { return !successor.running(); }));
  CHECK(!std::filesystem::exists(path));
  CHECK(!std::filesystem::exists(dir.file("weir.sock")));
}

TEST_CASE("a failed upgrade leaves unix paths and the admin socket where they are") {
  TempDir dir;
  const std::string path = dir.file("front");
  FakeBackend backend;
  SimpleConfig config;
  config.bind = "unix:" + path;
  config.backends = {{"a", backend.address()}};
  config.admin = fmt::format("socket = \"{}\"", dir.file("weir.sock"));
  WeirDaemon weir(config);
  // The new process gets as far as its sockets, and then cannot have its access log.
  replace_in_file(weir.config_file(), "access = \"stdout\"",
                  fmt::format("access = \"{}\"", dir.file("later/access.log")));
  std::filesystem::create_directory(dir.file("later"));
  std::filesystem::create_directory(dir.file("later/access.log"));
  const Finished done =
      run_program({weir_binary(), "upgrade", "--socket", dir.file("weir.sock")}, {}, patient(60s));
  CHECK(done.status == 1);
  CHECK(connect_failure("unix:" + path).empty());
  CHECK(run_program({weir_binary(), "status", "--socket", dir.file("weir.sock")}).status == 0);
}

TEST_CASE("an upgrade changes the number of workers, either way, and loses nobody") {
  const auto [before, after] = GENERATE(std::pair(1, 3), std::pair(3, 1), std::pair(3, 2));
  CAPTURE(before, after);
  Upgradable weir(echoing(), with_workers(before));
  SteadyClients clients(weir.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(50)));
  replace_in_file(weir.rig().weir().config_file(), fmt::format("workers = {}", before),
                  fmt::format("workers = {}", after));
  weir.upgrade();
  CHECK(weir.rig().process().wait() == 0);
  REQUIRE(clients.wait_for_more(scaled(200)));
  CHECK(weir.get("status").at("workers") == after);
  weir.upgrade();
  REQUIRE(clients.wait_for_more(scaled(100)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("an address that the new configuration does not have any more is refused after the upgrade") {
  FreePort other;
  Upgradable weir(echoing());
  const std::string file = weir.rig().weir().config_file();
  replace_in_file(
      file, "[[pool]]",
      fmt::format("[[listener]]\nname = \"other\"\nbind = \"{}\"\npool = \"web\"\n\n[[pool]]", other.v4()));
  REQUIRE(weir.cli({"reload"}).status == 0);
  Stream session = Stream::connect(other.v4());
  REQUIRE(session.echoes("x"));
  const std::string text = read_file(file);
  const auto begin = text.find("[[listener]]\nname = \"other\"");
  write_file(file, text.substr(0, begin) + text.substr(text.find("[[pool]]")));
  weir.upgrade();
  CHECK(session.echoes("y"));
  CHECK(eventually([&] { return !connect_failure(other.v4()).empty(); }));
  CHECK(connect_failure(weir.address()).empty());
}

TEST_CASE("a second Weir that is no upgrade is refused while a superseded process still lives") {
  Upgradable weir(echoing());
  Stream session = weir.rig().connect();
  REQUIRE(session.echoes("x"));
  weir.upgrade();
  const Finished second = run_program({weir_binary(), "run", "-c", weir.rig().weir().config_file()});
  CHECK(second.status == 1);
  CHECK_THAT(second.err, Contains(weir.address()));
}

TEST_CASE("a replaced binary is what an upgrade starts") {
  Upgradable weir(echoing());
  // The path as it was started is found anew, whatever lies there.
  const std::string link = weir.file("weir");
  std::filesystem::create_symlink(weir_binary(), link);
  TempDir dir;
  const std::string config = dir.file("weir.toml");
  FakeBackend backend;
  const FreePort port;
  SimpleConfig simple;
  simple.bind = port.v4();
  simple.backends = {{"a", backend.address()}};
  simple.admin = fmt::format("socket = \"{}\"", dir.file("s"));
  write_file(config, simple.toml());
  Process first({link, "run", "-c", config});
  REQUIRE(first.wait_for_err(" ready"));
  std::filesystem::remove(link);
  std::filesystem::create_symlink("/bin/false", link);
  const Finished done = run_program({weir_binary(), "upgrade", "--socket", dir.file("s")}, {}, patient(60s));
  CHECK(done.status == 1);
  CHECK_THAT(done.err, Contains(link + " exited with status 1"));
  first.signal(SIGTERM);
  CHECK(first.wait() == 0);
}

TEST_CASE("a reload that was still reading when an upgrade began changes nothing, and says why") {
  Upgradable weir({{.greeting = "a"}}, with_workers(1));
  const std::string file = weir.rig().weir().config_file(), good = read_file(file);
  std::filesystem::remove(file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  weir::Fd to_come(::open(file.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  REQUIRE(to_come);
  Process reload({weir_binary(), "reload", "--socket", weir.socket()});
  // Nothing comes out of it yet: the upgrade's own look at the file is the next one.
  const auto is_read = [&] {
    const auto open_files = fmt::format("/proc/{}/fd", weir.rig().process().pid());
    std::error_code gone;
    for (const auto& one : std::filesystem::directory_iterator(open_files))
      if (std::filesystem::read_symlink(one, gone) == file) return true;
    return false;
  };
  REQUIRE(eventually(is_read));
  write_file(file + ".next", good);
  std::filesystem::rename(file + ".next", file);
  Process upgrade({weir_binary(), "upgrade", "--socket", weir.socket(), "-o", "json"});
  const auto is_upgrading = [&] {
    return weir.cli({"enable", "web/b0"}).err.find("upgrading") != std::string::npos;
  };
  REQUIRE(eventually(is_upgrading));
  std::string other = good;
  const auto at = other.find("[[pool]]\n");
  REQUIRE(at != std::string::npos);
  other.insert(at + 9, "slow_start = \"7s\"\n");
  REQUIRE(::write(to_come.get(), other.data(), other.size()) == static_cast<ssize_t>(other.size()));
  to_come.reset();
  CHECK(reload.wait() == 1);
  CHECK_THAT(reload.err(), Contains("upgrading, ask again"));
  REQUIRE(upgrade.wait() == 0);
  const Descendant successor(Json::parse(upgrade.out()).at("pid").get<pid_t>());
  Stream client = weir.rig().connect();
  CHECK(client.recv_exact(1) == "a");
}

TEST_CASE("an older process that hangs is named by whatever cannot tell of its sessions") {
  Upgradable weir({{.greeting = "a"}}, with_workers(1));
  Stream held = weir.rig().connect();
  REQUIRE(held.recv_exact(1) == "a");
  weir.upgrade();
  const std::string named = fmt::format("the older process {} has not answered", weir.rig().process().pid());
  CHECK(weir.cli({"sessions"}).err.empty());
  weir.rig().process().signal(SIGSTOP);
  CHECK_THAT(weir.cli({"sessions"}).err, Contains(named));
  CHECK_THAT(weir.cli({"kill", "--pool", "web"}).err, Contains(named));
  CHECK_THAT(weir.cli({"drain", "web/*", "--force"}).err, Contains(named));
  weir.rig().process().signal(SIGCONT);
  CHECK(eventually([&] { return weir.cli({"sessions"}).err.empty(); }));
}
