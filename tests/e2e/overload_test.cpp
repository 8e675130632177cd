#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/rig.h"
#include "tests/support/skip.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMiB = 1024 * 1024;

SimpleConfig with_limits(std::string global, std::string listener, int workers) {
  SimpleConfig config;
  config.workers = workers;
  config.global = std::move(global);
  config.listener = std::move(listener);
  return config;
}

std::vector<Stream> begin_many(const Rig& rig, std::size_t count, const ConnectOptions& base = {}) {
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < count; ++i) {
    ConnectOptions options = base;
    options.source = client_source(i);
    clients.push_back(Stream::begin_connect(rig.address(), options));
  }
  return clients;
}

/// As many clients as asked for, or as the descriptor limit allows with both ends in this process.
std::size_t affordable(std::size_t wanted) {
  const std::size_t limit = raise_descriptor_limit();
  const std::size_t most = (limit - std::min<std::size_t>(limit, 200)) / 2;
  if (most < wanted) WARN("scaled down to " << most << " clients by the descriptor limit");
  return std::min(wanted, most);
}

void lower_descriptor_limit(const Process& process, std::size_t limit) {
  rlimit old{};
  ::prlimit(process.pid(), RLIMIT_NOFILE, nullptr, &old);
  const rlimit lowered{limit, old.rlim_max};
  REQUIRE(::prlimit(process.pid(), RLIMIT_NOFILE, &lowered, nullptr) == 0);
}

/// Whether the backend's letter comes before an end or a long wait.
bool greeted(Stream& client) {
  try {
    return client.recv_exact(1) == "a";
  } catch (const StreamError&) {
    return false;
  }
}

/// One of the session endings, chosen by `n`. Answers come from a backend that resets at "r".
void session_of_mixed_ending(const Rig& rig, std::size_t n) {
  ConnectOptions options;
  options.source = client_source(n);
  Stream client = rig.connect(options);
  switch (n % 5) {
    case 0:
      client.reset();
      break;
    case 1:
      break;  // closes at once
    case 2:
      client.send_all(std::string(2000, 'x'));
      client.recv_exact(1);
      client.reset();
      break;
    case 3:
      client.send_all("bytes");
      client.half_close();
      client.recv_to_end();
      break;
    default:
      client.recv_exact(1);
      break;
  }
}

}  // namespace

TEST_CASE("never more sessions than max_connections and the next is served when one ends", "[alone]") {
  const int workers = GENERATE(1, 2);
  const bool of_listener = GENERATE(false, true);
  CAPTURE(workers, of_listener);
  const std::string line = "max_connections = 5";
  Rig rig(lettered(1), with_limits(of_listener ? "" : line, of_listener ? line : "", workers));
  std::vector<Stream> clients = begin_many(rig, 20);
  REQUIRE(eventually([&] { return rig.backend().open() == 5; }));
  std::this_thread::sleep_for(200ms);  // nobody else may come in
  CHECK(rig.backend().accepted() == 5);
  std::vector<bool> served(clients.size(), false);
  for (std::size_t ended = 0; ended < 15; ++ended) {
    std::size_t mine = clients.size();
    REQUIRE(eventually([&] {
      for (std::size_t i = 0; i < clients.size(); ++i) {
        if (!served[i] && clients[i].recv_to_end(1ms).data == "a") mine = i;
        if (mine < clients.size()) return true;
      }
      return false;
    }));
    served[mine] = true;
    const auto start = Clock::now();
    clients[mine].half_close();
    REQUIRE(eventually([&] { return rig.backend().accepted() == 6 + ended; }));
    CHECK(since(start) < patient(100ms));
    CHECK(rig.backend().open() <= 5);
  }
}

TEST_CASE("a listener at its own limit leaves the others alone") {
  FakeBackend backend(lettered(1)[0]);
  const FreePort limited;
  const FreePort other;
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  config.bind = limited.v4();
  config.listener = "max_connections = 1";
  config.backends = {{"a", backend.address()}};
  config.pool = fmt::format("\n[[listener]]\nname = \"other\"\nbind = \"{}\"\npool = \"web\"\n", other.v4());
  // The second listener's table has to come before the pool's.
  std::string toml = config.toml();
  const std::string second = config.pool;
  toml.erase(toml.find(second), second.size());
  toml.insert(toml.find("[[pool]]"), second + "\n");
  WeirDaemon weir(toml);
  Stream first = Stream::connect(limited.v4());
  REQUIRE(first.recv_exact(1) == "a");
  Stream waiting = Stream::connect(limited.v4());
  for (int i = 0; i < 10; ++i) CHECK(one_session(other.v4()) == 'a');
  CHECK(waiting.recv_to_end(100ms).data.empty());
  first.half_close();
  CHECK(waiting.recv_exact(1) == "a");
}

TEST_CASE("clients beyond the limit wait and all are served in the end") {
  Rig rig(lettered(1), with_limits("max_connections = 10", "", GENERATE(1, 2)));
  const std::size_t count = scaled(300);
  std::vector<Stream> clients = begin_many(rig, count);
  std::size_t done = 0;
  std::vector<bool> finished(count, false);
  CHECK(eventually([&] {
    for (std::size_t i = 0; i < count; ++i) {
      if (finished[i] || clients[i].recv_to_end(0ms).data != "a") continue;
      finished[i] = true;
      clients[i].close();
      ++done;
    }
    return done == count;
  }));
  rig.weir().wait_for_access(count);
}

TEST_CASE("64 descriptors and 200 clients leave Weir calm and its sessions alive", "[long][alone]") {
  ProcessOptions options;
  options.descriptor_limit = 64;
  Rig rig(lettered(1), with_limits("", "", 1), {}, options);
  Stream early = rig.connect();
  REQUIRE(early.recv_exact(1) == "a");
  std::vector<Stream> clients = begin_many(rig, 200);
  REQUIRE(eventually([&] { return rig.backend().accepted() >= 2; }));
  std::this_thread::sleep_for(1s);  // the rush is over
  const double before = rig.process().cpu_seconds();
  const auto start = Clock::now();
  while (since(start) < 10s) {
    CHECK(early.echoes("alive"));
    std::this_thread::sleep_for(500ms);
  }
  if (!kSanitized) CHECK(rig.process().cpu_seconds() - before < 1.0);
  const std::size_t accepted = rig.backend().accepted();
  const auto release = Clock::now();
  early.half_close();
  CHECK(eventually([&] { return rig.backend().accepted() > accepted; }));
  CHECK(since(release) < patient(1s));
}

TEST_CASE("running out of descriptors spins nothing and drops nothing and heals", "[alone]") {
  const int workers = GENERATE(1, 2);
  Rig rig(lettered(1), with_limits("", "", workers));
  Stream early = rig.connect();
  REQUIRE(early.recv_exact(1) == "a");
  // Room for a few more sessions, whatever max_connections says.
  lower_descriptor_limit(rig.process(), rig.process().descriptors() + 7);
  std::vector<Stream> clients = begin_many(rig, 100);
  REQUIRE(eventually([&] { return rig.backend().accepted() >= 2; }));
  std::this_thread::sleep_for(200ms);
  const double before = rig.process().cpu_seconds();
  const auto start = Clock::now();
  while (since(start) < 2s) {
    CHECK(early.echoes("alive"));
    std::this_thread::sleep_for(100ms);
  }
  if (!kSanitized) CHECK(rig.process().cpu_seconds() - before < 0.2);
  lower_descriptor_limit(rig.process(), 1000);
  std::size_t served = 0;
  for (Stream& client : clients) served += greeted(client) ? 1U : 0U;
  // At each worker one that had been accepted when the limit sank may have waited for its second descriptor
  // in vain.
  CHECK(served + static_cast<std::size_t>(workers) >= clients.size());
  CAPTURE(rig.process().out(), rig.process().err());
  CHECK(early.echoes("still alive"));
}

TEST_CASE("thousands of connects at once leave an existing session quick", "[long][alone]") {
  const std::size_t count = affordable(scaled(5000));
  Rig rig(lettered(1), with_limits("", "", GENERATE(1, 2)));
  Stream early = rig.connect();
  REQUIRE(early.recv_exact(1) == "a");
  std::vector<Stream> clients;
  std::thread crowd([&] { clients = begin_many(rig, count); });
  std::vector<milliseconds> times;
  while (rig.backend().accepted() < count + 1 && times.size() < 100'000) {
    const auto more = round_trips(early, 10);
    times.insert(times.end(), more.begin(), more.end());
  }
  crowd.join();
  CHECK(rig.backend().accepted() == count + 1);
  const auto after = round_trips(early, 100);
  times.insert(times.end(), after.begin(), after.end());
  CHECK(percentile(times, 0.99) < patient(50ms));
}

TEST_CASE("stalled readers cost bounded memory each", "[long][alone]") {
  SKIP_UNLESS(!(kSanitized), "memory is measured without sanitizers only");
  const std::size_t count = affordable(5000);
  FakeBackendOptions options;
  options.then = Then::Flood;
  options.send_buffer = 32 * 1024;
  Rig rig({options}, with_limits("", "", 2));
  const std::size_t before = rig.process().resident_bytes();
  ConnectOptions small;
  small.receive_buffer = 4096;
  std::vector<Stream> clients = begin_many(rig, count, small);
  REQUIRE(eventually(60s, [&] { return rig.backend().accepted() == count; }));
  std::this_thread::sleep_for(2s);
  const std::size_t grown = rig.process().resident_bytes() - std::min(before, rig.process().resident_bytes());
  CAPTURE(grown / count);
  CHECK(grown / count < 6 * 1024);  // the session itself, and what little was read and could not be written
  // Until every buffer of the kernel's is full they are not stalled.
  CHECK(eventually(60s, [&] {
    const double cpu_before = rig.process().cpu_seconds();
    std::this_thread::sleep_for(1s);
    return rig.process().cpu_seconds() - cpu_before < 0.3;
  }));
}

TEST_CASE("a thousand readers that have stalled in a bulk answer cost less than 4 KiB of memory each",
          "[release]") {
  const std::size_t count = affordable(1000);
  FakeBackendOptions options;
  options.then = Then::Flood;
  options.send_buffer = 32 * 1024;
  Rig rig({options}, with_limits("", "", 2));
  const std::size_t before = rig.process().resident_bytes();
  ConnectOptions small;
  small.receive_buffer = 4096;
  const std::vector<Stream> clients = begin_many(rig, count, small);
  REQUIRE(eventually(60s, [&] { return rig.backend().accepted() == count; }));
  // All have stalled when the process does nothing for a second: until then the kernel's buffers fill.
  for (double last = -1, used = 0; used > last + 0.01; std::this_thread::sleep_for(1s)) {
    last = used;
    used = rig.process().cpu_seconds();
  }
  const std::size_t now = rig.process().resident_bytes();
  CAPTURE(before, now, count);
  CHECK(now < before + count * 4096);
}

TEST_CASE("sessions cut in the middle of bulk leave no pipe beyond the pool's bound") {
  FakeBackendOptions options;
  options.then = Then::Flood;
  Rig rig({options}, with_limits("", "", GENERATE(1, 2)));
  const std::size_t total = scaled(1000);
  const std::size_t at_once = 50;
  // 48 MiB of pipes of 256 KiB, two descriptors each, and the few that are no part of the pool.
  const std::size_t bound = 2 * 192 + 20;
  for (std::size_t n = 0; n < total; n += at_once) {
    std::vector<Stream> clients = begin_many(rig, at_once);
    for (Stream& client : clients) client.recv_exact(kMiB);
    CHECK(rig.process().descriptors("pipe:") <= bound);
    for (Stream& client : clients) client.reset();
    REQUIRE(eventually([&] { return rig.backend().open() == 0; }));
  }
  CHECK(rig.process().descriptors("pipe:") <= bound);
  const std::size_t sockets = rig.process().descriptors("socket:");
  Stream client = rig.connect();
  client.recv_exact(kMiB);
  client.reset();
  CHECK(eventually([&] { return rig.process().descriptors("socket:") == sockets; }));
}

TEST_CASE("100 000 sessions of mixed endings leave no descriptor and no memory behind", "[long][alone]") {
  SKIP_UNLESS(!(kSanitized), "memory is measured without sanitizers only");
  SimpleConfig config = with_limits("", "", 2);
  config.log = "access = \"off\"";
  Rig rig(lettered(2), config);
  const auto run = [&rig] {
    std::vector<std::thread> clients;
    for (std::size_t worker = 0; worker < 4; ++worker) {
      clients.emplace_back([&rig, worker] {
        for (std::size_t n = 0; n < 25'000; ++n) session_of_mixed_ending(rig, worker * 25'000 + n);
      });
    }
    for (std::thread& client : clients) client.join();
    CHECK(eventually([&] { return rig.open_sessions() == 0; }));
    std::this_thread::sleep_for(500ms);
  };
  run();
  const std::size_t descriptors = rig.process().descriptors();
  const std::size_t memory = rig.process().resident_bytes();
  run();
  CHECK(eventually([&] { return rig.process().descriptors() == descriptors; }));
  CHECK(rig.process().resident_bytes() <= memory + kMiB);
}
