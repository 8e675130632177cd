// What becomes of a listener while its pools have nobody: listener.when_down.
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/operated.h"
#include "tests/support/upgradable.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

constexpr auto kQuick = "probe = \"tcp\"\ninterval = \"100ms\"\nfall = 1\nrise = 1";

SimpleConfig closing(int workers = 1, std::string pool = "") {
  SimpleConfig config;
  config.workers = workers;
  config.listener = "when_down = \"close\"";
  config.pool = std::move(pool);
  config.health = kQuick;
  return config;
}

bool refuses(const std::string& address) {
  return eventually([&] { return connect_failure(address).find("refused") != std::string::npos; });
}
bool takes(const std::string& address) {
  return eventually([&] { return connect_failure(address).empty(); });
}

}  // namespace

TEST_CASE(
    "while no backend is eligible the kernel refuses clients, and the listener takes them again with one") {
  const int workers = GENERATE(1, 3);
  Operated weir(lettered(1), closing(workers));
  REQUIRE(takes(weir.address()));
  for (int round = 0; round < 2; ++round) {
    weir.backend().stop_listening();
    REQUIRE(refuses(weir.address()));
    // Every worker's socket.
    for (int i = 0; i < 20; ++i) CHECK(connect_failure(weir.address()).find("refused") != std::string::npos);
    CHECK_THAT(weir.get("status")["problems"].dump(),
               Contains("listener web is closed: no pool of it has an eligible backend"));
    weir.backend().listen_again();
    REQUIRE(takes(weir.address()));
    CHECK(weir.letters(20) == std::string(20, 'a'));
    CHECK(weir.get("status")["problems"].empty());
  }
  CHECK(weir.says("is closed, no pool of it has an eligible backend"));
  CHECK(weir.says("is open again"));
}

TEST_CASE("sessions that live go on while their listener is closed") {
  Operated weir(echoing(1), closing());
  Stream client = weir.connect();
  REQUIRE(client.echoes("before"));
  REQUIRE(weir.status({"drain", "web/a", "--force"}) == 0);
  REQUIRE(refuses(weir.address()));
  CHECK(client.echoes("while it is closed"));
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  REQUIRE(takes(weir.address()));
  CHECK(client.echoes("and after"));
}

TEST_CASE(
    "where every enabled backend is used all the same, and by default, nobody is refused by the kernel") {
  SimpleConfig config = closing();
  const bool by_default = GENERATE(false, true);
  if (by_default)
    config.listener = "";
  else
    config.pool = "on_all_down = \"try_all\"";
  Operated weir(lettered(1), config);
  weir.backend().stop_listening();
  REQUIRE(eventually([&] { return weir.backend_status("a")["health"] == "down"; }));
  CHECK(connect_failure(weir.address()).empty());
}

TEST_CASE("a listener with routes is closed only when all of its pools have nobody") {
  FakeBackend web({.greeting = "w"}), shop({.greeting = "s"});
  FreePort port;
  TempDir dir;
  const std::string socket = dir.file("weir.sock");
  const auto pool = [](const char* name, const FakeBackend& backend) {
    return fmt::format(
        "[[pool]]\nname = \"{}\"\n[pool.health]\n{}\n[[pool.backend]]\nname = \"a\"\naddress = \"{}\"\n",
        name, kQuick, backend.address());
  };
  WeirDaemon weir(
      fmt::format("workers = 2\nstate_file = \"\"\n[admin]\nsocket = \"{}\"\n[[listener]]\nname = \"l\"\n"
                  "bind = \"{}\"\npool = \"web\"\nwhen_down = \"close\"\n[[listener.route]]\n"
                  "client = \"127.0.0.2\"\npool = \"shop\"\n{}{}",
                  socket, port.v4(), pool("web", web), pool("shop", shop)));
  REQUIRE(takes(port.v4()));
  web.stop_listening();
  REQUIRE(weir.process().wait_for_err("web/a up → down"));
  CHECK(Stream::connect(port.v4(), {.source = weir::test::to_address("127.0.0.2:0")}).recv_exact(1) == "s");
  shop.stop_listening();
  REQUIRE(refuses(port.v4()));
  web.listen_again();
  REQUIRE(takes(port.v4()));
  CHECK(Stream::connect(port.v4()).recv_exact(1) == "w");
}

TEST_CASE("an upgrade takes a closed listener over as it is, and opens it when there is somebody") {
  Upgradable weir(lettered(1), closing(2));
  REQUIRE(takes(weir.address()));
  REQUIRE(weir.cli({"drain", "web/a", "--force"}).status == 0);
  REQUIRE(refuses(weir.address()));
  weir.upgrade();
  for (int i = 0; i < 20; ++i) CHECK(connect_failure(weir.address()).find("refused") != std::string::npos);
  REQUIRE(weir.cli({"enable", "web/a"}).status == 0);
  REQUIRE(takes(weir.address()));
  CHECK(weir.rig().letters(20) == std::string(20, 'a'));
}

TEST_CASE("reloads change what becomes of a listener that is closed") {
  Operated weir(lettered(1), closing(2));
  REQUIRE(takes(weir.address()));
  REQUIRE(weir.status({"drain", "web/a", "--force"}) == 0);
  REQUIRE(refuses(weir.address()));
  SECTION("it is not to be closed any more") {
    weir.config.listener = "";
    REQUIRE(weir.reload().status == 0);
    CHECK(takes(weir.address()));
    // A reset, by Weir.
    CHECK(weir.connect().recv_to_end().ending == Ending::Reset);
  }
  SECTION("it is removed and comes back") {
    const std::string bind = weir.config.bind;
    FreePort other;
    weir.config.bind = other.v4();
    REQUIRE(weir.reload().status == 0);
    REQUIRE(refuses(other.v4()));
    weir.config.bind = bind;
    REQUIRE(weir.reload().status == 0);
    REQUIRE(weir.status({"enable", "web/a"}) == 0);
    REQUIRE(takes(weir.address()));
  }
  SECTION("it has another name") {
    std::string toml = weir.config.toml();
    toml.replace(toml.find("name = \"web\""), 12, "name = \"new\"");
    write_file(weir.weir().config_file(), toml);
    REQUIRE(weir.cli({"reload"}).status == 0);
    CHECK(refuses(weir.address()));
    REQUIRE(weir.status({"enable", "web/a"}) == 0);
    REQUIRE(takes(weir.address()));
    CHECK(weir.letters(8) == "aaaaaaaa");
  }
}

TEST_CASE(
    "workers that share a service manager's socket close it and open it again, and it is whole after that") {
  FakeBackend backend;
  const FreePort port;
  TempDir dir;
  SimpleConfig config = closing(2);
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  const std::string socket = dir.file("weir.sock");
  config.admin = fmt::format("socket = \"{}\"", socket);
  write_file(dir.file("weir.toml"), config.toml());
  const weir::Address address = to_address(port.v4());
  // Without SO_REUSEPORT: the workers cannot have one each.
  const weir::Fd listening(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::bind(listening.get(), address.data(), address.size()) == 0);
  REQUIRE(::listen(listening.get(), 16) == 0);
  const weir::Fd passed_on(::dup2(listening.get(), 208));
  const auto start = [&] {
    auto weir = std::make_unique<Process>(std::vector<std::string>{
        "/bin/bash", "-c",
        fmt::format("exec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web {} run -c {} 3<&208",
                    weir_binary(), dir.file("weir.toml"))});
    REQUIRE(weir->wait_for_err(" ready"));
    return weir;
  };
  const auto command = [&](const char* verb) {
    std::vector<std::string> words{weir_binary(), verb, "web/a", "--socket", socket};
    if (std::string(verb) == "drain") words.emplace_back("--force");
    return run_program(std::move(words)).status;
  };
  // Whoever says nothing at first has not finished.
  const auto serves_the_silent = [&] {
    std::vector<Stream> clients;
    for (int i = 0; i < 8; ++i) clients.push_back(Stream::connect(port.v4()));
    std::this_thread::sleep_for(100ms);
    for (Stream& client : clients) CHECK(client.echoes("after a while"));
  };
  auto weir = start();
  REQUIRE(takes(port.v4()));
  for (int round = 0; round < 3; ++round) {
    REQUIRE(command("drain") == 0);
    REQUIRE(refuses(port.v4()));
    REQUIRE(command("enable") == 0);
    REQUIRE(takes(port.v4()));
    serves_the_silent();
  }
  // One that has died while the socket was closed leaves it so; the next one opens it.
  REQUIRE(command("drain") == 0);
  REQUIRE(refuses(port.v4()));
  weir->signal(SIGKILL);
  weir->wait();
  weir = start();
  REQUIRE(takes(port.v4()));
  serves_the_silent();
  REQUIRE(command("drain") == 0);
  REQUIRE(refuses(port.v4()));
  weir->signal(SIGTERM);
  CHECK(weir->wait(patient(5s)) == 0);
  // The manager's socket listens again.
  CHECK(connect_failure(port.v4()).empty());
}

TEST_CASE("a listener on a unix socket cannot be closed for a while") {
  SimpleConfig config = closing();
  config.bind = "unix:/tmp/weir-when-down.sock";
  config.backends.push_back({"a", "127.0.0.1:1"});
  const Finished said = run_weir({"check", "-c", "{}"}, config.toml());
  CHECK(said.status == 1);
  CHECK_THAT(
      said.err,
      Contains("listener.when_down = \"close\": a unix socket that is closed so cannot be opened again"));
}
