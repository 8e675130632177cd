// A backend that dies, hangs or falls silent under load, and comes back: what that costs, in numbers.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/backend_process.h"
#include "tests/support/fake_backend.h"
#include "tests/support/paced_clients.h"
#include "tests/support/private_network.h"
#include "tests/support/skip.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr milliseconds kInterval = 500ms;
constexpr milliseconds kTimeout = 500ms;
constexpr int kRise = 2;
constexpr int kFall = 3;
constexpr auto kTimes =
    "interval = \"500ms\"\nfast_interval = \"125ms\"\ntimeout = \"500ms\"\nrise = 2\nfall = 3\n";

/// What a loaded machine may add to a bound of Weir's.
constexpr milliseconds kSlack = kSanitized ? 1000ms : 300ms;
/// The workers take a Table that much after the log has told of the change.
constexpr milliseconds kAdoption = kSanitized ? 200ms : 50ms;

/// The spec's bound on the time after which a dead backend is down.
constexpr milliseconds down_within() {
  return kFall * std::max(kInterval * 11 / 10, kTimeout) + kTimeout;
}

/// By the same reckoning: a probe begins at most 1.1 intervals after the backend has come back, `rise` of
/// them follow one another by at most as much, and the last one takes at most a timeout.
constexpr milliseconds up_within() {
  return kRise * (kInterval * 11 / 10) + kTimeout;
}

/// A Weir in front of three processes "a", "b" and "c".
class Trio {
 public:
  /// `more` ends the file.
  explicit Trio(const std::string& probe, const std::string& pool_lines = "", const std::string& more = "") {
    SimpleConfig config;
    config.workers = 2;
    config.bind = port_.v4();
    config.health = kTimes + probe;
    config.pool = pool_lines;
    config.backends = backend_texts();
    weir_ = std::make_unique<WeirDaemon>(config.toml() + more);
  }

  std::string address() const { return port_.v4(); }
  BackendProcess& b() { return b_; }
  WeirDaemon& weir() { return *weir_; }

  /// `[[pool.backend]]` tables for a further pool of the same three.
  std::vector<BackendText> backend_texts() const {
    std::vector<BackendText> result;
    for (const auto* backend : {&a_, &b_, &c_}) result.push_back({backend->name(), backend->address()});
    return result;
  }

  /// When the log told of it, at most `latest` after `start`.
  Clock::time_point wait_for(const std::string& what, Clock::time_point start, milliseconds latest) {
    INFO(what << " within " << latest.count() << " ms; the log: " << weir_->process().err());
    REQUIRE(weir_->process().wait_for_err(what, kPatience));
    const auto now = Clock::now();
    CHECK(now - start <= latest);
    return now;
  }

 private:
  FreePort port_;
  BackendProcess a_{'a'};
  BackendProcess b_{'b'};
  BackendProcess c_{'c'};
  std::unique_ptr<WeirDaemon> weir_;
};

bool served_by(const PacedSession& session, char letter) {
  return session.answer == fmt::format("ready {}x", letter);
}

long milliseconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::round<milliseconds>(end - begin).count();
}

/// What became of one backend under load.
struct Course {
  Clock::time_point strike;  ///< it begins to fail
  Clock::time_point struck;  ///< it has failed for good
  Clock::time_point down;
  Clock::time_point cure;  ///< it begins to be well again
  Clock::time_point up;
};

struct Tally {
  std::size_t before = 0;     ///< sessions that had ended before
  std::size_t in_flight = 0;  ///< it served them when it happened, and they were cut: nothing can help those
  std::size_t after = 0;
  std::size_t failed = 0;        ///< all others that did
  std::size_t tried = 0;         ///< of those after: had more than one attempt
  std::size_t late = 0;          ///< tried it, or were given to it, although it had been found to be down
  milliseconds slowest{0};       ///< of those after, from beginning to end
  milliseconds first_again{-1};  ///< from the cure to the beginning of the first session it served again
};

struct Logged {
  std::string backend;
  long attempts = 0;
};

/// The access log by client.
std::map<std::string, Logged> logged(WeirDaemon& weir, std::size_t sessions) {
  std::map<std::string, Logged> result;
  for (const AccessLine& line : weir.wait_for_access(sessions))
    result[line["client"]] = {line["backend"], line.number("attempts")};
  return result;
}

Tally tally(const std::vector<PacedSession>& sessions, std::map<std::string, Logged> log,
            const Course& course) {
  Tally result;
  for (const PacedSession& session : sessions) {
    const bool before = session.ended < course.strike;
    if (!before && session.began < course.struck) {
      if (session.failure.empty()) continue;
      ++(log[session.client].backend == "b" ? result.in_flight : result.failed);
      continue;
    }
    ++(before ? result.before : result.after);
    if (!session.failure.empty()) {
      ++result.failed;
      UNSCOPED_INFO("failed " << milliseconds_between(course.struck, session.began)
                              << " ms after: " << session.failure << " after " << session.answer);
    }
    if (before) continue;
    const bool tried = log[session.client].attempts > 1;
    const bool between = session.began > course.down + kAdoption && session.began < course.cure;
    result.tried += tried ? 1 : 0;
    result.late += between && (tried || served_by(session, 'b')) ? 1 : 0;
    result.slowest =
        std::max(result.slowest, milliseconds(milliseconds_between(session.began, session.ended)));
    if (result.first_again < 0ms && session.began >= course.cure && served_by(session, 'b'))
      result.first_again = milliseconds(milliseconds_between(course.cure, session.began));
  }
  return result;
}

/// The numbers, for whoever reads the run.
void show(const char* what, const Course& course, const Tally& t) {
  WARN(fmt::format(
      "{}: down after {} ms (bound {}), up again after {} ms (bound {}), serving {} ms after; {} "
      "sessions before and {} after, {} failed; {} in flight cut; {} failed over, {} of them once "
      "it was down; the slowest took {} ms",
      what, milliseconds_between(course.struck, course.down), down_within().count(),
      milliseconds_between(course.cure, course.up), up_within().count(), t.first_again.count(), t.before,
      t.after, t.failed, t.in_flight, t.tried, t.late, t.slowest.count()));
}

}  // namespace

TEST_CASE(BackendProcess::kTestName, "[.backend]") {
  serve_as_backend();
}

TEST_CASE("a killed backend costs no session that begins afterwards, and serves again after its restart",
          "[alone]") {
  Trio trio("probe = \"tcp\"");
  PacedClients clients(trio.address(), 5ms);
  REQUIRE(clients.wait_for_more(100));
  Course course;
  course.strike = Clock::now();
  trio.b().kill();
  course.struck = Clock::now();
  course.down = trio.wait_for("web/b up → down", course.struck, down_within() + kSlack);
  REQUIRE(clients.wait_for_more(100));
  course.cure = Clock::now();
  trio.b().start();
  const auto started = Clock::now();
  course.up = trio.wait_for("web/b down → up", started, up_within() + kSlack);
  REQUIRE(clients.wait_for_more(50));
  const auto& sessions = clients.stop();
  const Tally t = tally(sessions, logged(trio.weir(), sessions.size()), course);
  show("kill -9", course, t);
  CHECK(t.failed == 0);
  CHECK(t.late == 0);
  CHECK(t.after > 200);
  CHECK(t.first_again >= 0ms);
}

TEST_CASE("a stopped backend still passes tcp, fails expect, and its waiting sessions end well", "[alone]") {
  const FreePort other_port;
  std::string other = fmt::format(
      "\n[[listener]]\nname = \"other\"\nbind = \"{}\"\npool = \"other\"\n[[pool]]\nname = \"other\"\n"
      "[pool.health]\nprobe = \"tcp\"\n{}",
      other_port.v4(), kTimes);
  const BackendProcess spare('s');
  other += fmt::format("[[pool.backend]]\nname = \"s\"\naddress = \"{}\"\n", spare.address());
  Trio trio("probe = \"expect\"\nexpect = \"ready\"", "", other);
  PacedClients clients(trio.address(), 10ms);
  REQUIRE(clients.wait_for_more(50));
  Course course;
  course.strike = Clock::now();
  trio.b().stop();
  spare.stop();
  course.struck = Clock::now();
  course.down = trio.wait_for("web/b up → down", course.struck, down_within() + kSlack);
  std::this_thread::sleep_until(course.struck + down_within() + kSlack);
  REQUIRE(clients.wait_for_more(20));
  course.cure = Clock::now();
  trio.b().go_on();
  spare.go_on();
  course.up = trio.wait_for("web/b down → up", course.cure, up_within() + kSlack);
  REQUIRE(clients.wait_for_more(20));
  const auto& sessions = clients.stop();
  const Tally t = tally(sessions, logged(trio.weir(), sessions.size()), course);
  show("SIGSTOP", course, t);
  std::size_t waited = 0;
  for (const PacedSession& session : sessions)
    waited += session.began < course.cure && session.ended > course.cure && served_by(session, 'b') ? 1 : 0;
  WARN(
      fmt::format("{} sessions were accepted for the stopped backend by its kernel: they waited for it, and "
                  "were served",
                  waited));
  CHECK(waited > 0);
  CHECK(t.failed == 0);
  CHECK(t.in_flight == 0);
  CHECK(t.late == 0);
  CHECK(t.first_again >= 0ms);
  const std::string log = trio.weir().process().err();
  CHECK_THAT(log, Catch::Contains("other/s unknown → up") && !Catch::Contains("other/s up → down"));
}

TEST_CASE("a backend cut off by a packet filter costs no session that begins afterwards", "[alone]") {
  SKIP_UNLESS(PrivateNetwork::possible(), "needs root and nft");
  const PrivateNetwork network;
  Trio trio("probe = \"tcp\"", "connect_timeout = \"200ms\"\nidle_timeout = \"2s\"");
  PacedClients clients(trio.address(), 10ms);
  REQUIRE(clients.wait_for_more(50));
  Course course;
  course.strike = Clock::now();
  network.cut_port(trio.b().port());
  course.struck = Clock::now();
  course.down = trio.wait_for("web/b up → down", course.struck, down_within() + kSlack);
  REQUIRE(clients.wait_for_more(50));
  course.cure = Clock::now();
  network.mend();
  course.up = trio.wait_for("web/b down → up", course.cure, up_within() + kSlack);
  REQUIRE(clients.wait_for_more(20));
  const auto& sessions = clients.stop();
  const Tally t = tally(sessions, logged(trio.weir(), sessions.size()), course);
  show("packet filter", course, t);
  CHECK(t.failed == 0);
  CHECK(t.late == 0);
  CHECK(t.tried > 0);
  CHECK(t.slowest <= 200ms + kSlack);  // one connect_timeout, then the next backend at once
  CHECK(t.first_again >= 0ms);
}

TEST_CASE("a whole fleet that goes down at once is down in time, and few Tables tell of it", "[alone]") {
  constexpr std::size_t kBackends = kSanitized ? 300 : 1'000;
  constexpr milliseconds kBound = 3 * 1'100ms + 1s;
  FakeBackend fleet({.address = "0.0.0.0:0"});
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"1s\"\nfast_interval = \"250ms\"\ntimeout = \"1s\"";
  for (std::size_t i = 0; i < kBackends; ++i)
    config.backends.push_back(
        {fmt::format("b{}", i), fmt::format("127.3.{}.{}:{}", i / 200, i % 200 + 1, fleet.port())});
  const FreePort port;
  const TempDir dir;
  config.bind = port.v4();
  config.admin = fmt::format("socket = \"{}\"", dir.file("weir.sock"));
  WeirDaemon weir(config);
  const auto said = [&](const std::string& what) {
    const std::string log = weir.process().err();
    std::size_t count = 0;
    for (auto at = log.find(what); at != std::string::npos; at = log.find(what, at + 1)) ++count;
    return count;
  };
  const auto status = [&] {
    const auto start = Clock::now();
    const Finished answer =
        run_program({weir_binary(), "status", "-o", "json", "--socket", dir.file("weir.sock")});
    CHECK(answer.status == 0);
    return std::pair(nlohmann::json::parse(answer.out).at("generation").get<long>(), since(start));
  };
  REQUIRE(eventually([&] { return said("unknown → up") == kBackends; }));
  const long before = status().first;
  const auto struck = Clock::now();
  fleet.stop_listening();
  REQUIRE(eventually([&] { return said("up → down") > 0; }));
  const auto asked = status().second;
  REQUIRE(eventually([&] { return said("up → down") == kBackends; }));
  const auto down = since(struck);
  const long tables = status().first - before;
  const auto cured = Clock::now();
  fleet.listen_again();
  REQUIRE(eventually([&] { return said("down → up") == kBackends; }));
  const auto up = since(cured);
  WARN(fmt::format(
      "{} backends: all down after {} ms (bound {}), in {} Tables; status in between took {} ms; all "
      "up again after {} ms",
      kBackends, down.count(), kBound.count(), tables, asked.count(), up.count()));
  CHECK(down <= kBound + kSlack);
  CHECK(tables < static_cast<long>(kBackends));
  CHECK(asked <= patient(2s));
  CHECK(Stream::connect(port.v4()).echoes("served again"));
}
