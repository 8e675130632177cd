// Who is calling, and may they: rules, limits, PROXY headers and routes, from outside.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "tests/support/operated.h"
#include "tests/support/rig.h"
#include "tests/support/slow_calls.h"
#include "tests/support/tls_hello.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

SimpleConfig with(std::string listener, std::string pool = "") {
  SimpleConfig config;
  config.listener = std::move(listener);
  config.pool = std::move(pool);
  return config;
}

/// Whether a session from there is served.
bool is_let_in(const Rig& rig, const std::string& source) {
  Stream client = rig.connect({.source = to_address(source + ":0")});
  try {
    return client.recv_exact(1) == "a";
  } catch (const StreamError&) {
    return false;
  }
}

/// The first that ended so; sessions that end together are logged in any order.
AccessLine line_of(const std::string& end, const std::vector<AccessLine>& log) {
  for (const AccessLine& line : log)
    if (line["end"] == end) return line;
  throw std::runtime_error("nobody ended as " + end);
}

const std::string kV1 = "PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\n";
/// Of the same client, with a TLV of a proxy's own.
const std::string kV2 = std::string("\r\n\r\n\0\r\nQUIT\n", 12) + std::string("\x21\x11\x00\x11", 4) +
                        std::string("\xcb\x00\x71\x09\xc6\x33\x64\x01\xc8\x22\x01\xbb", 12) +
                        std::string("\xe0\x00\x02hi", 5);

bool every_thread_has_stopped(pid_t pid) {
  for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid)))
    if (read_file(task.path() / "stat").find(") T ") == std::string::npos) return false;
  return true;
}

/// Pools "web" and "shop" of one backend each, whose letter each session is told once it has said something.
struct TwoPools {
  explicit TwoPools(const std::string& listener_lines, const std::string& default_pool = "pool = \"web\"")
      : weir(
            fmt::format("workers = 1\nstate_file = \"\"\n[admin]\nsocket = \"\"\n[log]\naccess = \"stdout\"\n"
                        "[[listener]]\nname = \"web\"\nbind = \"{}\"\n{}\n{}\n"
                        "[[pool]]\nname = \"web\"\n[pool.health]\nprobe = \"none\"\n"
                        "[[pool.backend]]\nname = \"a\"\naddress = \"{}\"\n"
                        "[[pool]]\nname = \"shop\"\n[pool.health]\nprobe = \"none\"\n"
                        "[[pool.backend]]\nname = \"b\"\naddress = \"{}\"\n",
                        port.v4(), default_pool, listener_lines, a.address(), b.address())) {}

  Stream connect() const { return Stream::connect(port.v4()); }
  /// Who serves a session that begins with `first`, which reaches it unchanged.
  std::string served_by(const std::string& first, std::size_t cut = std::string::npos) const {
    Stream client = connect();
    client.send_all(first.substr(0, cut));
    if (cut < first.size()) {
      std::this_thread::sleep_for(10ms);
      client.send_all(first.substr(cut));
    }
    const std::string letter = client.recv_exact(1);
    return client.recv_exact(first.size()) == first ? letter : letter + " with other bytes";
  }

  FreePort port;
  FakeBackend a{{.greeting = "a"}};
  FakeBackend b{{.greeting = "b"}};
  WeirDaemon weir;
};

}  // namespace

TEST_CASE("the longest network that contains a client decides whether it is let in") {
  Rig rig(lettered(1), with("allow = [\"127.0.0.0/8\"]\ndeny = [\"127.0.1.0/24\"]"));
  CHECK(is_let_in(rig, "127.0.0.5"));
  CHECK_FALSE(is_let_in(rig, "127.0.1.5"));
  CHECK(is_let_in(rig, "127.0.2.5"));
  const AccessLine line = line_of("denied", rig.weir().wait_for_access(3));
  CHECK(line["why"] == "deny 127.0.1.0/24");
  CHECK(line["pool"] == "-");
  CHECK(line["backend"] == "-");
  CHECK(rig.backend().accepted() == 2);
}

TEST_CASE("who is in no list is let in only if nobody is in allow") {
  Rig rig(lettered(1), with("allow = [\"127.0.7.0/24\"]"));
  CHECK(is_let_in(rig, "127.0.7.1"));
  CHECK_FALSE(is_let_in(rig, "127.0.8.1"));
  CHECK(line_of("denied", rig.weir().wait_for_access(2))["why"] == "not in allow");
}

TEST_CASE("networks are read from files, and again at a reload") {
  const TempDir dir;
  const std::string file = dir.file("deny");
  write_file(file, "# who has been rude\n127.0.1.0/24  # all of them\n");
  Rig rig(lettered(1), with(fmt::format("deny_file = \"{}\"", file)));
  CHECK_FALSE(is_let_in(rig, "127.0.1.5"));
  CHECK(is_let_in(rig, "127.0.2.5"));
  write_file(file, "127.0.2.0/24\n");
  rig.process().signal(SIGHUP);
  CHECK(eventually([&] { return is_let_in(rig, "127.0.1.5"); }));
  CHECK_FALSE(is_let_in(rig, "127.0.2.5"));
}

TEST_CASE("rules that a reload brings leave the sessions that there are alone") {
  Rig rig(lettered(1), with(""));
  Stream before = rig.connect();
  REQUIRE(before.recv_exact(1) == "a");
  SimpleConfig next = rig.config();
  next.listener = "allow = [\"127.0.9.0/24\"]";
  write_file(rig.weir().config_file(), next.toml());
  rig.process().signal(SIGHUP);
  CHECK(eventually([&] { return !is_let_in(rig, "127.0.0.1"); }));
  CHECK(before.echoes("still here"));
}

TEST_CASE("ten refusals a second have a line each, and the others of that second share one") {
  Rig rig(lettered(1), with("deny = [\"127.0.0.0/8\"]"));
  constexpr int kClients = 200;
  for (int i = 0; i < kClients; ++i) CHECK(rig.connect().recv_to_end().ending == Ending::Reset);
  const auto told = [&] {
    long all = 0;
    for (const AccessLine& line : rig.weir().access_log()) {
      if (line["end"] != "denied") continue;
      all += line["client"] == "-" ? std::stol(line["why"]) : 1;
    }
    return all;
  };
  CHECK(eventually([&] { return told() == kClients; }));
  CHECK(rig.weir().access_log().size() < kClients / 2);
}

TEST_CASE("a client has so many sessions at once, and the next when one of them ends") {
  Rig rig(lettered(1), with("sessions_per_client = 3"));
  std::vector<Stream> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(rig.connect({.source = to_address("127.0.0.5:0")}));
    REQUIRE(clients.back().recv_exact(1) == "a");
  }
  CHECK_FALSE(is_let_in(rig, "127.0.0.5"));
  CHECK(is_let_in(rig, "127.0.0.6"));
  CHECK(line_of("client_limit", rig.weir().wait_for_access(2))["why"] == "sessions_per_client = 3");
  clients.pop_back();
  CHECK(eventually([&] { return is_let_in(rig, "127.0.0.5"); }));
}

TEST_CASE("a client's limit holds exactly over all workers") {
  SimpleConfig config = with("sessions_per_client = 7");
  config.workers = 2;
  Rig rig(lettered(1), config);
  std::vector<Stream> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(Stream::begin_connect(rig.address()));
  std::size_t served = 0;
  for (Stream& client : clients) {
    try {
      if (client.recv_exact(1) == "a") ++served;
    } catch (const StreamError&) {
    }
  }
  CHECK(served == 7);
}

TEST_CASE("a client's new sessions have a rate, with a burst") {
  Rig rig(lettered(1), with("new_sessions_per_client = \"1/m\"\nburst = 4\nunlimited = [\"127.0.3.0/24\"]"));
  int served = 0;
  for (int i = 0; i < 8; ++i) served += is_let_in(rig, "127.0.0.5") ? 1 : 0;
  CHECK(served == 4);
  CHECK(is_let_in(rig, "127.0.0.6"));
  for (int i = 0; i < 8; ++i) CHECK(is_let_in(rig, "127.0.3.1"));
  CHECK(eventually([&] {
    std::size_t refused = 0;
    for (const AccessLine& line : rig.weir().access_log()) refused += line["end"] == "client_rate" ? 1u : 0u;
    return refused == 4;
  }));
}

TEST_CASE("beyond the rate of a listener clients wait, and none is refused") {
  Rig rig(lettered(1), with("new_sessions = \"20/s\"\nburst = 5"));
  const auto start = Clock::now();
  std::vector<Stream> clients;
  for (int i = 0; i < 25; ++i) clients.push_back(rig.connect());
  for (Stream& client : clients) CHECK(client.recv_exact(1) == "a");
  // Five at once, and twenty at 50 ms each.
  CHECK(since(start) >= 900ms);
}

TEST_CASE("a PROXY header of either version is the client's address, wherever it is cut") {
  const std::string header = GENERATE(kV1, kV2);
  Rig rig(lettered(1), with("proxy_from = [\"127.0.0.0/8\"]"));
  std::size_t sessions = 0;
  for (std::size_t cut = 0; cut <= header.size(); cut += 5) {
    Stream client = rig.connect();
    const std::string all = header + "hello";
    client.send_all(all.substr(0, cut));
    if (cut > 0) std::this_thread::sleep_for(2ms);
    client.send_all(all.substr(cut));
    CHECK(client.recv_exact(6) == "ahello");
    client.half_close();
    CHECK(client.recv_to_end().ending == Ending::Eof);
    ++sessions;
  }
  for (const AccessLine& line : rig.weir().wait_for_access(sessions)) {
    CHECK(line["client"] == "203.0.113.9:51234");
    CHECK(line["peer"].starts_with("127.0.0.1:"));
    CHECK(line["bytes_to_backend"] == "5");
    CHECK(line["end"] == "done");
  }
}

TEST_CASE("the rules judge the client that was announced, and proxy_from the connection") {
  Rig rig(lettered(1), with("proxy_from = [\"127.0.0.1\"]\ndeny = [\"203.0.113.0/24\"]"));
  Stream denied = rig.connect();
  denied.send_all(kV1);
  CHECK(denied.recv_to_end().ending == Ending::Reset);
  Stream stranger = rig.connect({.source = to_address("127.0.0.2:0")});
  CHECK(stranger.recv_to_end().ending == Ending::Reset);
  Stream welcome = rig.connect();
  welcome.send_all("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n");
  CHECK(welcome.recv_exact(1) == "a");
  const auto log = rig.weir().wait_for_access(2);
  CHECK(log[0]["client"] == "203.0.113.9:51234");
  CHECK(log[0]["end"] == "denied");
  CHECK(log[1]["why"] == "not in proxy_from");
}

TEST_CASE("a header that is missing, malformed, cut off or late is told from one another") {
  Rig rig(lettered(1), with("proxy_from = [\"127.0.0.0/8\"]\nheader_timeout = \"300ms\""));
  const auto refused = [&](const std::string& bytes, bool finish) {
    Stream client = rig.connect();
    if (!bytes.empty()) client.send_all(bytes);
    if (finish) client.half_close();
    return client.recv_to_end().ending;
  };
  CHECK(refused("GET / HTTP/1.1\r\n", false) == Ending::Reset);
  CHECK(refused("PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\n", false) == Ending::Reset);
  CHECK(refused(kV1.substr(0, 20), true) == Ending::Reset);
  CHECK(refused(kV1.substr(0, 20), false) == Ending::Reset);
  const auto log = rig.weir().wait_for_access(4);
  for (const AccessLine& line : log) CHECK(line["end"] == "bad_header");
  CHECK(log[2]["why"] == "the connection ended within the header");
  CHECK(log[3]["why"] == "no whole header within header_timeout = 300ms");
  // A look at whether somebody listens is nobody's session.
  CHECK(refused("", true) == Ending::Eof);
  Stream client = rig.connect();
  client.send_all(kV1);
  CHECK(client.recv_exact(1) == "a");
  client.half_close();
  client.recv_to_end();
  CHECK(rig.weir().wait_for_access(5)[4]["end"] == "done");
  CHECK(rig.backend().accepted() == 1);
}

TEST_CASE("a proxy that speaks for itself is the client itself") {
  Rig rig(lettered(1), with("proxy_from = [\"127.0.0.0/8\"]\nsessions_per_client = 1"));
  const std::string local = std::string("\r\n\r\n\0\r\nQUIT\n", 12) + std::string("\x20\x00\x00\x00", 4);
  std::vector<Stream> clients;
  for (const std::string& header : {local, std::string("PROXY UNKNOWN\r\n"), local}) {
    clients.push_back(rig.connect());
    clients.back().send_all(header);
    CHECK(clients.back().recv_exact(1) == "a");
  }
  clients.clear();
  for (const AccessLine& line : rig.weir().wait_for_access(3)) {
    CHECK(line["client"].starts_with("127.0.0.1:"));
    CHECK(line["peer"] == "-");
  }
}

TEST_CASE("slow headers hold half of the places, and the one that has waited longest gives way") {
  SimpleConfig config = with("proxy_from = [\"127.0.0.0/8\"]\nheader_timeout = \"1m\"");
  config.global = "max_connections = 8";
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(1), config);
  std::vector<Stream> silent;
  for (int i = 0; i < 4; ++i) {
    silent.push_back(rig.connect());
    std::this_thread::sleep_for(20ms);
  }
  Stream next = rig.connect();
  CHECK(silent[0].recv_to_end().ending == Ending::Reset);
  next.send_all(kV1);
  CHECK(next.recv_exact(1) == "a");
  silent[1].send_all(kV1);
  CHECK(silent[1].recv_exact(1) == "a");
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "bad_header");
}

TEST_CASE("a backend is told of the client by a header, once and first, also when the client is silent") {
  const std::string version = GENERATE("v1", "v2");
  const auto expected_v1 = [](const Stream& client, const Rig& rig) {
    return fmt::format("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", client.local_port(), rig.port().number());
  };
  Rig rig(echoing(1), with("", fmt::format("send_proxy = \"{}\"", version)));
  Stream client = rig.connect();
  std::string header;
  if (version == "v1") {
    header = client.recv_exact(expected_v1(client, rig).size());
    CHECK(header == expected_v1(client, rig));
  } else {
    header = client.recv_exact(16);
    CHECK(header.substr(0, 14) == std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14));
    const std::size_t more =
        static_cast<unsigned char>(header[14]) * 256u + static_cast<unsigned char>(header[15]);
    const std::string rest = client.recv_exact(more);
    CHECK(rest.substr(0, 8) == std::string("\x7f\0\0\x01\x7f\0\0\x01", 8));
    // UNIQUE_ID: what the log has.
    const std::string id = rest.substr(15);
    CHECK(rest[12] == 0x05);
    client.half_close();
    CHECK(client.recv_to_end().ending == Ending::Eof);
    CHECK(rig.weir().wait_for_access(1)[0]["id"] == id);
    return;
  }
  CHECK(client.echoes("and then what it says"));
  client.half_close();
  CHECK(client.recv_to_end().ending == Ending::Eof);
  const AccessLine line = rig.weir().wait_for_access(1)[0];
  CHECK(line["bytes_to_backend"] == "21");
}

TEST_CASE("what was announced is passed on, with what came along") {
  Rig rig(echoing(1), with("proxy_from = [\"127.0.0.0/8\"]", "send_proxy = \"v2\""));
  Stream client = rig.connect();
  client.send_all(kV2 + "GET");
  const std::string start = client.recv_exact(16);
  const std::size_t more =
      static_cast<unsigned char>(start[14]) * 256u + static_cast<unsigned char>(start[15]);
  const std::string rest = client.recv_exact(more);
  CHECK(rest.substr(0, 12) == kV2.substr(16, 12));
  CHECK(rest.substr(12, 5) == kV2.substr(28, 5));
  CHECK(client.recv_exact(3) == "GET");
}

TEST_CASE("a backend that refuses is told nothing, and the next one gets header and bytes whole") {
  FakeBackend gone;
  gone.stop_listening();
  SimpleConfig config = with("proxy_from = [\"127.0.0.0/8\"]", "send_proxy = \"v1\"");
  Rig rig(echoing(1), config);
  config.backends = {{"gone", gone.address()}, {"a", rig.backend().address()}};
  const FreePort port;
  config.bind = port.v4();
  WeirDaemon weir(config);
  for (int i = 0; i < 4; ++i) {
    Stream client = Stream::connect(port.v4());
    client.send_all(kV1 + "hello");
    CHECK(client.recv_exact(kV1.size() + 5) == kV1 + "hello");
  }
  weir.expect_exit();
  CHECK(weir.stop() == 0);
  bool tried = false;
  for (const AccessLine& line : weir.access_log()) tried = tried || line["tried"] == "gone";
  CHECK(tried);
}

TEST_CASE("a header and the client's first bytes are one segment for a backend") {
  std::atomic<std::size_t> first_read{0};
  FakeBackendOptions options = scripted([&](Stream& stream) {
    first_read = stream.recv_some().size();
    stream.send_all("a");
    stream.recv_to_end();
  });
  Rig rig({options}, with("proxy_from = [\"127.0.0.0/8\"]", "send_proxy = \"v1\""));
  Stream client = rig.connect();
  client.send_all(kV1 + "hello");
  CHECK(client.recv_exact(1) == "a");
  CHECK(first_read == kV1.size() + 5);
}

TEST_CASE("a session goes where its first message asks to go, unchanged, wherever it is cut") {
  TwoPools rig("[[listener.route]]\nsni = [\"shop.example.org\", \"*.shop.example.org\"]\npool = \"shop\"\n");
  for (const std::size_t cut : {std::string::npos, std::size_t{1}, std::size_t{5}, std::size_t{60}}) {
    CAPTURE(cut);
    CHECK(rig.served_by(tls_hello("shop.example.org"), cut) == "b");
    CHECK(rig.served_by(tls_hello("SHOP.example.org."), cut) == "b");
    CHECK(rig.served_by(tls_hello("a.b.shop.example.org"), cut) == "b");
    CHECK(rig.served_by(tls_hello("www.example.org"), cut) == "a");
    CHECK(rig.served_by(tls_hello(""), cut) == "a");
  }
  CHECK(rig.served_by("GET / HTTP/1.1\r\n\r\n") == "a");
  CHECK(eventually([&] {
    for (const AccessLine& line : rig.weir.access_log())
      if (line["sni"] == "shop.example.org") return line["pool"] == "shop";
    return false;
  }));
}

TEST_CASE("a client that says nothing goes to the pool of those without a name, after header_timeout") {
  TwoPools rig(
      "header_timeout = \"200ms\"\n[[listener.route]]\nsni = \"shop.example.org\"\npool = \"shop\"\n");
  Stream client = rig.connect();
  CHECK(client.recv_exact(1) == "a");
  CHECK(client.echoes("late words"));
  Stream begun = rig.connect();
  begun.send_all(tls_hello("shop.example.org").substr(0, 30));
  CHECK(begun.recv_to_end().ending == Ending::Reset);
  CHECK(rig.weir.wait_for_access(1)[0]["end"] == "bad_hello");
}

TEST_CASE("whom no route takes is refused where the listener has no pool") {
  TwoPools rig("[[listener.route]]\nsni = \"shop.example.org\"\npool = \"shop\"\n", "");
  CHECK(rig.served_by(tls_hello("shop.example.org")) == "b");
  Stream client = rig.connect();
  client.send_all(tls_hello("www.example.org"));
  CHECK(client.recv_to_end().ending == Ending::Reset);
  CHECK(eventually([&] {
    for (const AccessLine& line : rig.weir.access_log())
      if (line["end"] == "no_route") return line["sni"] == "www.example.org" && line["pool"] == "-";
    return false;
  }));
}

TEST_CASE("routes go by protocol and by address, and ask for no message where the address decides") {
  TwoPools by_protocol("[[listener.route]]\nalpn = \"h2\"\npool = \"shop\"\n");
  CHECK(by_protocol.served_by(tls_hello("x.org", std::string("\x02h2\x08http/1.1", 12))) == "b");
  CHECK(by_protocol.served_by(tls_hello("x.org", std::string("\x08http/1.1", 9))) == "a");
  TwoPools by_address("[[listener.route]]\nclient = [\"127.0.4.0/24\"]\npool = \"shop\"\n");
  Stream there = Stream::connect(by_address.port.v4(), {.source = to_address("127.0.4.1:0")});
  CHECK(there.recv_exact(1) == "b");
  CHECK(by_address.connect().recv_exact(1) == "a");
}

TEST_CASE("a reload that takes a route and its pool away costs no session") {
  const std::string route = "[[listener.route]]\nclient = [\"127.0.0.0/8\"]\npool = \"shop\"\n";
  TwoPools rig(route);
  const std::string with_route = read_file(rig.weir.config_file());
  std::string without = with_route;
  without.erase(without.find(route), route.size());
  without.erase(without.find("[[pool]]\nname = \"shop\""));
  std::atomic<bool> done{false};
  std::atomic<int> lost{0}, served{0};
  std::thread clients([&] {
    while (!done) {
      try {
        Stream client = rig.connect();
        const std::string letter = client.recv_exact(1);
        (letter == "a" || letter == "b" ? served : lost) += 1;
      } catch (const StreamError&) {
        ++lost;
      }
    }
  });
  for (int i = 0; i < 10; ++i) {
    write_file(rig.weir.config_file(), i % 2 == 0 ? without : with_route);
    rig.weir.process().signal(SIGHUP);
    std::this_thread::sleep_for(60ms);
  }
  done = true;
  clients.join();
  CHECK(lost == 0);
  CHECK(served > 20);
}

TEST_CASE("explain judges who announces a client, and says what keeps connections waiting") {
  const TempDir dir;
  const std::string socket = dir.file("admin");
  SimpleConfig config = with(
      "proxy_from = [\"10.0.0.0/8\"]\nnew_sessions = \"1/h\"\nmax_connections = 5\nwhen_down = \"close\"");
  config.admin = fmt::format("socket = \"{}\"", socket);
  Rig rig(lettered(1), config);
  const auto explain = [&](std::vector<std::string> more) {
    std::vector<std::string> command{weir_binary(), "explain", "--socket", socket, "--listener", "web"};
    command.insert(command.end(), more.begin(), more.end());
    return run_program(command).out;
  };
  CHECK_THAT(explain({"192.0.2.1"}), Catch::Contains("192.0.2.1 itself may not connect: not in proxy_from") &&
                                         Catch::Contains("192.0.2.1 would get web/a"));
  CHECK_THAT(explain({"192.0.2.1", "--peer", "10.1.2.3"}),
             Catch::Contains("10.1.2.3 is in proxy_from: it may announce the client") &&
                 Catch::Contains("the listener has 0 of 5 sessions") &&
                 Catch::Contains("new_sessions = 1/h: there is room") &&
                 Catch::Contains("192.0.2.1 would get web/a"));
  CHECK_THAT(explain({"192.0.2.1", "--peer", "11.1.2.3"}),
             Catch::Contains("would be refused by listener web: denied") &&
                 Catch::Contains("11.1.2.3 is not in proxy_from"));
  // Its token is given back when it is refused: only who is let in takes one.
  CHECK(run_program({weir_binary(), "disable", "--force", "--socket", socket, "web/a"}).status == 0);
  CHECK(eventually([&] {
    return explain({"192.0.2.1"}).find("would be refused by listener web: closed") != std::string::npos;
  }));
}

TEST_CASE("explain says of a client whether it would be let in, where to, and why") {
  const TempDir dir;
  const std::string socket = dir.file("admin");
  SimpleConfig config = with(
      "deny = [\"203.0.113.0/24\"]\nsessions_per_client = 1\n"
      "[[listener.route]]\nsni = \"shop.example.org\"\npool = \"web\"");
  config.admin = fmt::format("socket = \"{}\"", socket);
  Rig rig(lettered(1), config);
  const auto explain = [&](std::vector<std::string> more) {
    std::vector<std::string> command{weir_binary(), "explain", "--socket", socket, "--listener", "web"};
    command.insert(command.end(), more.begin(), more.end());
    return run_program(command);
  };
  const Finished denied = explain({"203.0.113.7"});
  CHECK(denied.status == 0);
  CHECK_THAT(denied.out, Catch::Contains("203.0.113.7 would be refused by listener web: denied"));
  CHECK_THAT(denied.out, Catch::Contains("deny 203.0.113.0/24"));
  const Finished let_in = explain({"192.0.2.1", "--sni", "shop.example.org"});
  CHECK_THAT(let_in.out, Catch::Contains("192.0.2.1 would get web/a"));
  CHECK_THAT(let_in.out, Catch::Contains("route 1 fits"));
  Stream held = rig.connect();
  held.send_all("not TLS");
  REQUIRE(held.recv_exact(1) == "a");
  const Finished full = explain({"127.0.0.1"});
  CHECK_THAT(full.out, Catch::Contains("client_limit"));
  CHECK_THAT(full.out, Catch::Contains("it has 1 of 1 sessions"));
  CHECK(rig.connect().recv_to_end().ending == Ending::Reset);
  const Finished status = run_program({weir_binary(), "status", "--socket", socket, "-o", "json"});
  CHECK_THAT(status.out, Catch::Contains("\"turned_away\":{\"client_limit\":1}"));
  CHECK(explain({"192.0.2.1", "more"}).status == 2);
  CHECK(run_program({weir_binary(), "explain", "--socket", socket, "web"}).status == 2);
  const Finished unknown =
      run_program({weir_binary(), "explain", "--socket", socket, "--listener", "wbe", "1.2.3.4"});
  CHECK(unknown.status == 3);
  CHECK_THAT(unknown.err, Catch::Contains("no listener wbe") && Catch::Contains("web"));
}

TEST_CASE("whoever is at the door while a reload takes it away is served as it was asked to come in") {
  const std::string route = "[[listener.route]]\nsni = \"shop.example.org\"\npool = \"shop\"\n";
  TwoPools rig("header_timeout = \"10m\"\n" + route);
  Stream client = rig.connect();
  REQUIRE(rig.served_by("not TLS") == "a");  // whoever came before has been accepted, too
  std::string without = read_file(rig.weir.config_file());
  without.erase(without.find(route), route.size());
  write_file(rig.weir.config_file(), without);
  rig.weir.process().signal(SIGHUP);
  REQUIRE(rig.weir.process().wait_for_err("reloaded"));
  // A newcomer is asked nothing any more, from when the worker has heard of the reload, too.
  CHECK(eventually([&] { return rig.connect().recv_to_end(100ms).data == "a"; }));
  client.send_all(tls_hello("shop.example.org"));
  CHECK(client.recv_exact(1) == "b");
}

TEST_CASE("a reload is said to be done once whoever comes from then on meets the new rules") {
  const TempDir dir;
  const std::string hang = dir.file("hang");
  ProcessOptions options;
  options.environment = with_slow_calls({{"WEIR_TEST_HANG_ACCEPT", hang}});
  Operated weir(lettered(1), with("", ""), options);
  REQUIRE(weir.letters(1) == "a");
  write_file(hang, "");
  Stream holds_the_worker_up = weir.connect();
  weir.config.listener = "deny = [\"127.0.0.0/8\"]";
  weir.write_config();
  Process reload({weir_binary(), "reload", "--socket", weir.socket()});
  // The control thread has long done its part.
  REQUIRE(eventually([&] { return weir.get("status").at("generation") == 2; }));
  CHECK_FALSE(eventually(500ms, [&] { return !reload.running(); }));
  CHECK(weir.log().find("reloaded") == std::string::npos);
  std::filesystem::remove(hang);
  REQUIRE(reload.wait() == 0);
  CHECK(weir.connect().recv_to_end().ending == Ending::Reset);
  CHECK(holds_the_worker_up.recv_exact(1) == "a");
}

TEST_CASE("a reset right behind a header ends its session before a backend hears of it") {
  Rig rig(lettered(1), with("proxy_from = [\"127.0.0.0/8\"]"));
  Stream client = rig.connect();
  std::this_thread::sleep_for(50ms);
  rig.process().signal(SIGSTOP);
  REQUIRE(eventually([&] { return every_thread_has_stopped(rig.process().pid()); }));
  client.send_all(kV1);
  client.reset();
  rig.process().signal(SIGCONT);
  CHECK(rig.weir().wait_for_access(1)[0]["end"] == "client_gone");
  CHECK(rig.backend().accepted() == 0);
}

TEST_CASE("who is not let in takes no token of its listener's rate") {
  Rig rig(lettered(1), with("new_sessions = \"1/m\"\nburst = 2\ndeny = [\"127.0.1.0/24\"]"));
  for (int i = 0; i < 10; ++i) CHECK_FALSE(is_let_in(rig, "127.0.1.1"));
  CHECK(is_let_in(rig, "127.0.0.1"));
  CHECK(is_let_in(rig, "127.0.0.1"));
}

TEST_CASE("silent clients do not lock a listener with a limit of its own, however low") {
  const int limit = GENERATE(1, 4);
  Rig rig(lettered(1),
          with(fmt::format("proxy_from = [\"127.0.0.0/8\"]\nheader_timeout = \"1m\"\nmax_connections = {}",
                           limit)));
  std::vector<Stream> silent;
  for (int i = 0; i < (limit == 1 ? 0 : 3); ++i) silent.push_back(rig.connect());
  Stream client = rig.connect();
  client.send_all(kV1);
  CHECK(client.recv_exact(1) == "a");
}

TEST_CASE("a client that has been announced is known by its address while it has yet to name a server") {
  TwoPools rig(
      "proxy_from = [\"127.0.0.0/8\"]\n[[listener.route]]\nsni = \"shop.example.org\"\npool = \"shop\"\n");
  Stream client = rig.connect();
  client.send_all(kV1);
  std::this_thread::sleep_for(50ms);
  client.reset();
  const AccessLine line = rig.weir.wait_for_access(1)[0];
  CHECK(line["client"] == "203.0.113.9:51234");
  CHECK(line["peer"].starts_with("127.0.0.1:"));
}

TEST_CASE("what a listener asks of its clients is read with every fault at its place, once") {
  SimpleConfig config = with(
      "proxy_from = [\"10.0.0.1/8\"]\nallow_file = \"/nonexistent\"\nnew_sessions = \"20 per second\"\n"
      "client_prefix = [64, 32]\n[[listener.route]]\nsni = \"*x.org\"\npool = \"wbe\"\n"
      "[[listener.route]]\npool = \"web\"");
  config.bind = "127.0.0.1:8080";
  config.backends = {{"a", "127.0.0.1:1"}};
  const Finished check = run_weir({"check", "-c", "{}"}, config.toml());
  CHECK(check.status == 1);
  for (const char* said :
       {"10.0.0.0/8 is meant, or the one address 10.0.0.1", "No such file or directory",
        "\"20 per second\" is no rate", "listener.client_prefix[0] = 64: must be 1 to 32",
        "is not the whole of its first label", "no pool has this name: did you mean \"web\"?",
        "a route asks for a name (sni), a protocol (alpn) or a client"})
    CHECK_THAT(check.err, Catch::Contains(said));
  CHECK(std::count(check.err.begin(), check.err.end(), '\n') == 7);
}

TEST_CASE("a list that is empty lets nobody in by mistake") {
  const TempDir dir;
  write_file(dir.file("allow"), "# lost on its way\n");
  SimpleConfig config = with(fmt::format("allow_file = \"{}\"", dir.file("allow")));
  config.bind = "127.0.0.1:8080";
  config.backends = {{"a", "127.0.0.1:1"}};
  CHECK_THAT(run_weir({"check", "-c", "{}"}, config.toml()).err,
             Catch::Contains("without any in allow everybody would be let in"));
}
