// The CLI's other commands, its exit statuses and its JSON.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <regex>
#include <thread>

#include "tests/support/operated.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;

namespace {

SimpleConfig balanced(const std::string& kind, int workers = 2) {
  SimpleConfig config;
  config.workers = workers;
  config.pool = fmt::format("balance = \"{}\"", kind);
  return config;
}

std::vector<std::string> missing(const json& object, const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const std::string& name : names)
    if (!object.contains(name)) result.push_back(name);
  return result;
}

std::size_t count_of(const std::string& letters, char letter) {
  return static_cast<std::size_t>(std::count(letters.begin(), letters.end(), letter));
}

}  // namespace

TEST_CASE("twice the same command is done both times") {
  Operated weir(lettered(3));
  const std::vector<std::vector<std::string>> commands = {{"drain", "web/a"},
                                                          {"disable", "web/a"},
                                                          {"enable", "web/a"},
                                                          {"weight", "web/a", "5"},
                                                          {"weight", "web/a", "default"},
                                                          {"add", "web", "n", "127.0.0.1:9"},
                                                          {"remove", "web/n"},
                                                          {"reload"}};
  for (const auto& command : commands) {
    CAPTURE(command);
    CHECK(weir.status(command) == 0);
    CHECK(weir.status(command) == 0);
  }
}

TEST_CASE("an unknown name exits with 3, is repeated, and the nearest is suggested") {
  Operated weir(lettered(2));
  weir.config.backends[0].name = "frontend-1";
  REQUIRE(weir.reload().status == 0);
  for (const std::string verb : {"drain", "disable", "enable", "remove", "status"}) {
    CAPTURE(verb);
    const Finished backend = weir.cli({verb, "web/frontend-2"});
    CHECK(backend.status == 3);
    CHECK_THAT(backend.err, Contains("web/frontend-2") && Contains("web/frontend-1"));
    const Finished pool = weir.cli({verb, "wbe/b"});
    CHECK(pool.status == 3);
    CHECK_THAT(pool.err, Contains("wbe") && Contains("did you mean web"));
  }
  CHECK(weir.cli({"weight", "web/zzz", "3"}).status == 3);
  CHECK(weir.cli({"explain", "nosuch", "1.2.3.4"}).status == 3);
  CHECK(weir.cli({"add", "nosuch", "n", "127.0.0.1:9"}).status == 3);
  CHECK(weir.cli({"sessions", "--pool", "nosuch"}).status == 3);
  CHECK(weir.cli({"kill", "--backend", "web/nosuch"}).status == 3);
  CHECK(weir.cli({"drain", "web/zz*"}).status == 3);
}

TEST_CASE("wrong usage exits with 2 and says what is right") {
  Operated weir(lettered(2));
  const std::vector<std::vector<std::string>> commands = {{"drain"},
                                                          {"drain", "web"},
                                                          {"drain", "web/a", "--then", "close"},
                                                          {"drain", "web/a", "--timeout", "soon"},
                                                          {"drain", "web/a", "--timeout", "5"},
                                                          {"drain", "web/a", "--spread", "1s"},
                                                          {"weight", "web/a"},
                                                          {"weight", "web/a", "0"},
                                                          {"weight", "web/a", "257"},
                                                          {"weight", "web/a", "heavy"},
                                                          {"add", "web", "n", "nonsense"},
                                                          {"add", "web", "a name", "127.0.0.1:9"},
                                                          {"add", "web", "n", "127.0.0.1:9", "--weight", "0"},
                                                          {"explain", "web", "nobody"},
                                                          {"sessions", "--client", "10.0.0.0/99"},
                                                          {"sessions", "--backend", "a"},
                                                          {"kill"},
                                                          {"kill", "not-an-id"},
                                                          {"status", "-o", "xml"},
                                                          {"status", "--no-such-option"}};
  for (const auto& command : commands) {
    CAPTURE(command);
    const Finished finished = weir.cli(command);
    CHECK(finished.status == 2);
    CHECK_FALSE(finished.err.empty());
    CHECK(finished.out.empty());
  }
  CHECK(weir.letters(4) == "abab");
}

TEST_CASE("no daemon and no right to talk to it exit with 5 and are told apart") {
  const TempDir dir;
  const Finished none = run_program({weir_binary(), "status", "--socket", dir.file("none.sock")});
  CHECK(none.status == 5);
  CHECK_THAT(none.err, Contains("no daemon at " + dir.file("none.sock")));
  ProcessOptions named;
  named.environment = {{"WEIR_SOCKET", dir.file("other.sock")}};
  CHECK_THAT(run_program({weir_binary(), "status"}, named).err, Contains(dir.file("other.sock")));
  SKIP_UNLESS(!(::geteuid() != 0), "only root can become somebody else");
  Operated weir(lettered(1));
  std::filesystem::permissions(weir.dir().path(), std::filesystem::perms(0755));
  ProcessOptions stranger;
  stranger.user = 65'534;
  const Finished refused = run_program({weir_binary(), "status", "--socket", weir.socket()}, stranger);
  CHECK(refused.status == 5);
  CHECK_THAT(refused.err, Contains("no right") && Contains(weir.socket()));
}

TEST_CASE("a glob means every backend that it matches") {
  Operated weir(lettered(3));
  weir.config.backends[0].name = "old1";
  weir.config.backends[1].name = "old2";
  REQUIRE(weir.reload().status == 0);
  const json drained = weir.answer({"drain", "web/old*"});
  REQUIRE(drained.at("changed").size() == 2);
  CHECK(drained.at("changed").at(0).at("backend") == "web/old1");
  CHECK(weir.letters(6) == "cccccc");
  CHECK(weir.answer({"enable", "w*/old?"}).at("changed").size() == 2);
  CHECK(weir.status({"drain", "web/*"}) == 1);  // the last eligible is among them
  CHECK(count_of(weir.letters(6), 'c') == 2);
}

TEST_CASE("weights change from now on and default brings back the file's") {
  Operated weir(lettered(2));
  const json changed = weir.answer({"weight", "web/a", "3"});
  CHECK(changed.at("changed").at(0).at("weight") == 3);
  CHECK(count_of(weir.letters(40), 'a') == 30);
  CHECK(weir.backend_status("a").at("configured_weight") == 1);
  REQUIRE(weir.status({"weight", "web/a", "default"}) == 0);
  CHECK(count_of(weir.letters(40), 'a') == 20);
}

TEST_CASE("backends are added and removed until the next reload, which says so") {
  Operated weir(lettered(2));
  FakeBackend extra(lettered(3)[2]);
  REQUIRE(weir.status({"add", "web", "extra", extra.address(), "--weight", "2"}) == 0);
  CHECK(count_of(weir.letters(40), 'c') == 20);
  CHECK(weir.status({"add", "web", "extra", "127.0.0.1:9"}) == 1);
  const Finished twin = weir.cli({"add", "web", "twin", extra.address()});
  CHECK(twin.status == 0);
  CHECK_THAT(twin.err, Contains("web/extra has this address, too"));
  CHECK(weir.status({"add", "web", "circle", weir.address()}) == 1);
  REQUIRE(weir.status({"remove", "web/b"}) == 0);
  CHECK(count_of(weir.letters(30), 'b') == 0);
  const Finished reloaded = weir.cli({"reload"});
  CHECK(reloaded.status == 0);
  CHECK_THAT(reloaded.err, Contains("web/extra is gone") && Contains("web/b is back"));
  CHECK_THAT(weir.log(), Contains("web/extra is gone") && Contains("web/b is back"));
  const std::string letters = weir.letters(10);
  CHECK(count_of(letters, 'a') == 5);
  CHECK(count_of(letters, 'b') == 5);
}

TEST_CASE("sessions of a removed backend go on and it stays in view until they end") {
  Operated weir(lettered(2));
  HeldSession held = hold_session(weir);
  REQUIRE(held.letter == 'a');
  const Finished removed = weir.cli({"remove", "web/a"});
  CHECK_THAT(removed.out, Contains("web/a: removed, 1 session left"));
  CHECK(weir.backend_status("a").at("removed") == true);
  CHECK(held.stream.echoes("still here"));
  held.stream.close();
  CHECK(eventually([&] { return weir.backend_status("a").is_null(); }));
}

TEST_CASE("kill at a rate ends no more in a second, and only those that were there") {
  Operated weir(lettered(1));
  std::vector<Stream> held;
  for (std::size_t i = 0; i < 8; ++i) {
    held.push_back(weir.connect());
    REQUIRE(held.back().recv_exact(1) == "a");
  }
  const auto start = Clock::now();
  Process kill(
      {weir_binary(), "kill", "--pool", "web", "--rate", "4", "--socket", weir.socket(), "-o", "json"});
  REQUIRE(eventually([&] { return weir.get("sessions").at("sessions").size() < 8; }));
  Stream later = weir.connect();
  REQUIRE(later.recv_exact(1) == "a");
  REQUIRE(kill.wait() == 0);
  CHECK(since(start) >= 1750ms);  // the eighth at 7/4 of a second
  CHECK_THAT(kill.out(), Contains("\"killed\":8"));
  for (Stream& stream : held) CHECK(stream.recv_to_end(patient(1s)).ending == Ending::Reset);
  CHECK(later.echoes("still here"));
  CHECK(weir.status({"kill", "--pool", "web", "--rate", "0"}) == 2);
}

TEST_CASE("a drain that waits shows on a terminal what is left") {
  Operated weir(lettered(2));
  Stream session = weir.connect();
  REQUIRE(session.recv_exact(1) == "a");
  const std::string command =
      fmt::format("{} drain web/a --timeout 3s --socket {}", weir_binary(), weir.socket());
  const Finished shown = run_program({"script", "-qec", command, "/dev/null"}, {}, patient(20s));
  CHECK(shown.status == 4);
  // How often it looks depends on the machine; that the time left becomes less does not.
  std::vector<double> left;
  const std::regex line("1 session left, ([0-9.]+) s to go");
  for (std::sregex_iterator at(shown.out.begin(), shown.out.end(), line), end; at != end; ++at) {
    left.push_back(std::stod((*at)[1]));
  }
  CAPTURE(shown.out);
  REQUIRE(left.size() >= 2);
  CHECK(left.front() <= 3.0);
  CHECK(left.back() < left.front());
  CHECK_THAT(weir.cli({"drain", "web/a", "--timeout", "10ms"}).err, !Contains("to go"));
}

TEST_CASE("kill ends what its filters and ids name and nothing else") {
  Operated weir(lettered(2), balanced("round_robin"));
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < 8; ++i) held.push_back(hold_session(weir, i));
  const auto ended = [&](std::size_t i) {
    return held[i].stream.recv_to_end(patient(5s)).ending == Ending::Reset;
  };
  const json sessions = weir.answer({"sessions", "--client", "127.0.0.2"}).at("sessions");
  REQUIRE(sessions.size() == 1);
  CHECK(weir.answer({"kill", sessions.at(0).at("id").get<std::string>()}).at("killed") == 1);
  CHECK(ended(0));
  CHECK(weir.answer({"kill", "--client", "127.0.0.3/32"}).at("killed") == 1);
  CHECK(ended(1));
  CHECK(weir.answer({"kill", "--backend", "web/a", "--client", "127.0.0.4"}).at("killed") == 1);
  CHECK(ended(2));
  CHECK(weir.answer({"kill", "--pool", "web", "--backend", "a", "--client", "127.0.0.5"}).at("killed") == 0);
  CHECK(held[3].stream.echoes("of b"));
  CHECK(weir.cli({"kill", "--backend", "web/a"}).out == "2 sessions killed\n");
  CHECK(weir.answer({"kill", "--pool", "web"}).at("killed") == 3);
  CHECK(ended(3));
  CHECK(weir.get("sessions").at("sessions").empty());
  for (const AccessLine& line : weir.weir().wait_for_access(8)) CHECK(line["end"] == "killed");
}

TEST_CASE("explain tells the backend that a client then gets") {
  const std::string kind = GENERATE("round_robin", "least_connections", "source_hash");
  CAPTURE(kind);
  Operated weir(lettered(4), balanced(kind));
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  std::vector<HeldSession> held;
  for (std::size_t i = 0; i < 3; ++i) {
    const json told = weir.answer({"explain", "web", fmt::format("127.0.0.{}", 2 + i)});
    held.push_back(hold_session(weir, i));
    CHECK(told.at("backend") == std::string(1, held.back().letter));
    CHECK(missing(told, {"pool", "client", "backend", "because", "excluded"}).empty());
    CHECK_FALSE(told.at("because").empty());
    REQUIRE(told.at("excluded").size() == 1);
    CHECK(told.at("excluded").at(0).at("backend") == "b");
    CHECK_THAT(told.at("excluded").at(0).at("reason").get<std::string>(), Contains("drained"));
  }
  const Finished shown = weir.cli({"explain", "web", "127.0.0.2"});
  CHECK_THAT(shown.out, Contains("127.0.0.2 would get web/"));
}

TEST_CASE("the status has every field that is promised") {
  SimpleConfig config = balanced("round_robin", 2);
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"";
  Operated weir(lettered(2), config);
  HeldSession held = hold_session(weir);
  held.stream.echoes("12345");
  const json status = weir.get("status");
  CHECK(missing(status,
                {"version", "generation", "uptime_seconds", "workers", "sessions", "listeners", "pools"})
            .empty());
  CHECK(status.at("workers") == 2);
  CHECK(status.at("sessions").at("active") == 1);
  CHECK(status.at("sessions").at("total") == 1);
  CHECK(status.at("sessions").at("max").get<int>() > 0);
  const json& listener = status.at("listeners").at(0);
  CHECK(listener.at("name") == "web");
  CHECK(listener.at("bind") == json::array({weir.address()}));
  CHECK(listener.at("pool") == "web");
  CHECK(listener.at("active") == 1);
  CHECK(listener.at("total") == 1);
  const json& pool = status.at("pools").at(0);
  CHECK(pool.at("balance") == "round_robin");
  const json& backend = pool.at("backends").at(static_cast<std::size_t>(held.letter - 'a'));
  CHECK(missing(backend, {"name", "address", "weight", "configured_weight", "backup", "admin", "health",
                          "eligible", "reason", "since", "active", "total", "connect_failures",
                          "bytes_to_backend", "bytes_to_client"})
            .empty());
  CHECK(backend.at("admin") == "enabled");
  CHECK(backend.at("health") == "up");
  CHECK_THAT(backend.at("reason").get<std::string>(), Contains("probe passed (tcp"));
  CHECK(std::regex_match(backend.at("since").get<std::string>(),
                         std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)")));
  CHECK(backend.at("active") == 1);
  held.stream.half_close();
  held.stream.recv_to_end();
  weir.weir().wait_for_access(1);
  const json after = weir.backend_status(std::string(1, held.letter));
  CHECK(after.at("bytes_to_backend") == 5);
  CHECK(after.at("bytes_to_client") == 6);
  CHECK(after.at("active") == 0);
}

TEST_CASE("the status of one pool or backend shows only that") {
  Operated weir(lettered(3));
  CHECK(weir.answer({"status", "web"}).at("pools").at(0).at("backends").size() == 3);
  const json one = weir.answer({"status", "web/b"}).at("pools").at(0).at("backends");
  REQUIRE(one.size() == 1);
  CHECK(one.at(0).at("name") == "b");
  const Finished table = weir.cli({"status"});
  CHECK_THAT(table.out, Contains("BACKEND") && Contains(weir.backend(2).address()));
  CHECK(table.out.find('\x1b') == std::string::npos);  // no colour into a pipe
}

TEST_CASE("the list of sessions has every field that is promised") {
  Operated weir(lettered(1));
  HeldSession held = hold_session(weir, 3);
  REQUIRE(held.stream.echoes("12345678"));
  const json session = weir.get("sessions").at("sessions").at(0);
  CHECK(std::regex_match(session.at("id").get<std::string>(), std::regex("[0-9]+-[0-9a-f]+")));
  CHECK(session.at("listener") == "web");
  CHECK(session.at("client") == held.stream.local_address());
  CHECK(session.at("pool") == "web");
  CHECK(session.at("backend") == "a");
  CHECK(session.at("state") == "relaying");
  CHECK(session.at("age_seconds").get<double>() >= 0);
  CHECK(session.at("idle_seconds").get<double>() <= session.at("age_seconds").get<double>());
  CHECK(session.at("bytes_to_backend") == 8);
  CHECK(session.at("bytes_to_client") == 9);
  CHECK_THAT(weir.cli({"sessions"}).out, Contains(held.stream.local_address()));
}

TEST_CASE("every command answers in JSON when asked to") {
  Operated weir(lettered(3));
  const std::vector<std::vector<std::string>> commands = {
      {"status"},
      {"drain", "web/a"},
      {"drain", "web/a", "--wait"},
      {"disable", "web/a"},
      {"enable", "web/a"},
      {"weight", "web/a", "2"},
      {"add", "web", "n", "127.0.0.1:9"},
      {"remove", "web/n"},
      {"sessions"},
      {"kill", "--pool", "web"},
      {"explain", "web", "::1"},
      {"check", "-c", weir.weir().config_file()},
      {"check", "--diff", "-c", weir.weir().config_file()},
      {"reload"}};
  for (const auto& command : commands) {
    CAPTURE(command);
    CHECK(weir.answer(command).is_object());
  }
  const json changed = weir.answer({"drain", "web/a"}).at("changed").at(0);
  CHECK(missing(changed, {"backend", "admin", "weight", "sessions"}).empty());
  CHECK(changed.at("admin") == "drained");
  const Finished version = run_program({weir_binary(), "version", "-o", "json"});
  CHECK(json::parse(version.out).contains("version"));
}

TEST_CASE("sessions are sorted by what matters, cut, and counted by client") {
  SimpleConfig config;
  config.workers = 2;
  Operated weir(echoing(), config);
  std::vector<Stream> sessions;
  for (std::size_t i = 0; i < 6; ++i) {
    ConnectOptions options;
    options.source = client_source(i % 2);
    sessions.push_back(weir.connect(options));
    REQUIRE(sessions.back().echoes(std::string((i + 1) * 1000, 'x')));
  }
  const auto by_bytes = weir.answer({"sessions", "--sort", "bytes", "--limit", "3"});
  REQUIRE(by_bytes.at("sessions").size() == 3);
  CHECK(by_bytes.at("sessions").at(0).at("bytes_to_backend") == 6000);
  CHECK(by_bytes.at("sessions").at(1).at("bytes_to_backend") == 5000);
  CHECK(by_bytes.at("sessions").at(2).at("bytes_to_backend") == 4000);
  CHECK(by_bytes.at("left_out") == 3);
  const auto by_age = weir.answer({"sessions", "--sort", "age"});
  REQUIRE(by_age.at("sessions").size() == 6);
  CHECK(by_age.at("sessions").at(0).at("bytes_to_backend") == 1000);
  sessions.erase(sessions.begin());
  REQUIRE(eventually([&] { return weir.get("sessions").at("sessions").size() == 5; }));
  const auto clients = weir.answer({"sessions", "--by", "client"}).at("clients");
  REQUIRE(clients.size() == 2);
  CHECK(clients.at(0).at("sessions") == 3);
  CHECK(clients.at(0).at("bytes_to_backend") == 12'000);
  CHECK(clients.at(1).at("sessions") == 2);
  CHECK(weir.status({"sessions", "--by", "client"}) == 0);
  CHECK(weir.status({"sessions", "--by", "age"}) == 2);
  CHECK(weir.status({"sessions", "--sort", "name"}) == 2);
}

TEST_CASE("what is not known is answered with the nearest that is") {
  const auto [arguments, answer] = GENERATE(table<std::vector<std::string>, std::string>({
      {{"statu"}, "there is no command \"statu\"; did you mean status?"},
      {{"frobnicate"}, "there is no command \"frobnicate\"; weir --help lists them"},
      {{"status", "--watc"}, "weir status has no option --watc; did you mean --watch?"},
      {{"drain", "web/a", "--timout=5m"}, "weir drain has no option --timout; did you mean --timeout?"},
      {{"drain"}, "target is required"},
      {std::vector<std::string>(), "a command is needed"},
      {{"status", "a", "b"}, "status takes one POOL or POOL/BACKEND"},
  }));
  std::vector<std::string> command{weir_binary()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const Finished finished = run_program(command);
  CHECK(finished.status == 2);
  CHECK_THAT(finished.err, Contains(answer));
}

TEST_CASE("the version is said in the ways that people ask for it") {
  const std::string how = GENERATE("--version", "-V");
  const Finished finished = run_program({weir_binary(), how});
  CHECK(finished.status == 0);
  CHECK_THAT(finished.out, StartsWith("weir "));
}

TEST_CASE("check takes the file without an option, too") {
  const TempDir dir;
  write_file(dir.file("bad.toml"), "workers = -1\n");
  const Finished finished = run_program({weir_binary(), "check", dir.file("bad.toml")});
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Contains("bad.toml:1:11: "));
}

TEST_CASE("stop lets sessions finish, ends the daemon, and returns when it has ended") {
  Operated weir(echoing());
  std::optional<Stream> session(weir.connect());
  REQUIRE(session->echoes("before"));
  weir.weir().expect_exit();
  Process stop({weir_binary(), "stop", "--socket", weir.socket()});
  REQUIRE(stop.wait_for_err("stopping; 1 session has 30"));
  CHECK(session->echoes("still served"));
  CHECK_FALSE(connect_failure(weir.address()).empty());
  CHECK(stop.running());
  session.reset();
  CHECK(stop.wait() == 0);
  CHECK(stop.out() == "stopped\n");
  CHECK(weir.process().wait() == 0);
}

TEST_CASE("stop with a grace cuts what is left then, and a second one changes the time") {
  Operated weir(echoing());
  Stream session = weir.connect();
  REQUIRE(session.echoes("before"));
  weir.weir().expect_exit();
  Process stop({weir_binary(), "stop", "--grace", "10m", "--socket", weir.socket()});
  REQUIRE(stop.wait_for_err("stopping; 1 session has 10 m"));
  CHECK(session.echoes("still served"));
  CHECK(weir.status({"stop", "--grace", "100ms"}) == 0);
  CHECK(stop.wait() == 0);
  CHECK(session.recv_to_end().ending == Ending::Reset);
  CHECK(weir.process().wait() == 0);
}

TEST_CASE("status and version say which process answers") {
  Operated weir(lettered(1));
  CHECK(weir.get("status").at("pid") == weir.process().pid());
}

TEST_CASE("Ctrl-C while a drain is waited for says that it stays, and what ends it") {
  Operated weir(lettered(2));
  const HeldSession held = hold_session(weir);
  const std::string target = std::string("web/") + "*";
  Process drain({weir_binary(), "drain", target, "--force", "--wait", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").at("admin") == "drained"; }));
  std::this_thread::sleep_for(200ms);
  drain.signal(SIGINT);
  CHECK(drain.wait() == 128 + SIGINT);
  CHECK_THAT(drain.err(), Contains("the drain stays in force; \"weir enable web/*\" ends it"));
  CHECK(weir.backend_status("a").at("admin") == "drained");
}

TEST_CASE("what a diff says of a file never holds what the environment does") {
  ProcessOptions options;
  options.environment = {{"WEIR_SECRET", "hunter2"}, {"WEIR_PORT", "9"}};
  Operated weir(lettered(1), {}, options);
  const std::string text = read_file(weir.weir().config_file());
  const std::string file = weir.dir().file("asked.toml");
  write_file(file, text +
                       "\n[[pool]]\nname = \"${WEIR_SECRET}\"\n[[pool.backend]]\n"
                       "address = \"127.0.0.1:${WEIR_PORT}\"\n");
  const Finished valid = weir.cli({"check", "-c", file, "--diff"});
  CHECK(valid.status == 0);
  CHECK_THAT(valid.out + valid.err, !Contains("hunter2") && Contains("pool ${WEIR_SECRET}"));
  write_file(file, text + "\n[[pool]]\nname = \"web of ${WEIR_SECRET}\"\n");
  const Finished faulty = weir.cli({"check", "-c", file, "--diff", "-o", "json"});
  CHECK(faulty.status == 1);
  CHECK_THAT(faulty.out + faulty.err, !Contains("hunter2") && Contains("${WEIR_SECRET}"));
}

TEST_CASE("a drain that is waited for counts sessions though a reload takes the backend out of the file") {
  Operated weir(lettered(2));
  std::optional<HeldSession> held;
  for (std::size_t i = 0; !held || held->letter != 'a'; ++i) held = hold_session(weir, i);
  Process drain({weir_binary(), "drain", "web/a", "--wait", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").at("admin") == "drained"; }));
  std::erase_if(weir.config.backends, [](const BackendText& backend) { return backend.name == "a"; });
  REQUIRE(weir.reload().status == 0);
  std::this_thread::sleep_for(300ms);
  CHECK(drain.running());
  held.reset();
  CHECK(drain.wait() == 0);
}

TEST_CASE("a drain that somebody calls off while it is waited for is exit 1") {
  Operated weir(lettered(2));
  std::optional<HeldSession> held;
  for (std::size_t i = 0; !held || held->letter != 'a'; ++i) held = hold_session(weir, i);
  Process drain({weir_binary(), "drain", "web/a", "--wait", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").at("admin") == "drained"; }));
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  CHECK(drain.wait() == 1);
  CHECK_THAT(drain.err(), Contains("web/a has been enabled meanwhile"));
}
