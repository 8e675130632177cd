#include <sys/resource.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/loop/worker_rig.h"
#include "tests/support/seccomp.h"

using namespace weir;
using namespace weir::test;

namespace {

/// Lowers the limit on open files to what is open, so that the next descriptor is refused, as long as it
/// lives.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    // A new descriptor takes the lowest free number: what is refused is decided by that, not by the count.
    const Fd lowest(::dup(STDIN_FILENO));
    const rlimit lowered{static_cast<rlim_t>(lowest.get()), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

/// Whether a client is being served: its echo comes back.
bool served(Stream& client, milliseconds deadline = kPatience) {
  try {
    return client.echoes("x", deadline);
  } catch (const StreamError&) {
    return false;
  }
}

std::vector<Stream> sixteen_clients(const WorkerRig& rig) {
  std::vector<Stream> clients;
  for (int i = 0; i < 16; ++i) clients.push_back(Stream::connect(rig.address));
  return clients;
}

}  // namespace

TEST_CASE("at max_connections Weir stops accepting, and each end of a session lets one more in") {
  FakeBackend backend;
  WorkerRig rig({.workers = 2, .max_sessions = 4});
  rig.serve({backend.address()});
  std::vector<Stream> clients = sixteen_clients(rig);
  REQUIRE(eventually([&] { return rig.admission.active() == 4; }));
  std::uint64_t most = 0;
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    while (!done) most = std::max(most, rig.admission.active());
  });
  // Whoever waits is served as soon as one that is served leaves, on whichever worker either of them is.
  std::size_t ended = 0;
  while (ended < clients.size()) {
    std::size_t active = clients.size();
    REQUIRE(eventually([&] {
      for (std::size_t i = 0; i < clients.size(); ++i)
        if (clients[i].open() && served(clients[i], milliseconds(1))) {
          active = i;
          return true;
        }
      return false;
    }));
    clients[active].close();
    ++ended;
  }
  done = true;
  watcher.join();
  REQUIRE(rig.settles());
  REQUIRE(most <= 4);
}

TEST_CASE("with one place a session that ends on one worker wakes the other's listener, every time") {
  FakeBackend backend(FakeBackendOptions{.greeting = "g"});
  WorkerRig rig({.workers = 2, .max_sessions = 1});
  rig.serve({backend.address()});
  const std::size_t rounds = scaled(300);
  for (std::size_t i = 0; i < rounds; ++i) {
    // The kernel spreads them over both workers' queues.
    std::vector<Stream> clients;
    for (int c = 0; c < 4; ++c) clients.push_back(Stream::connect(rig.address, {.source = client_source(i)}));
    for (std::size_t left = clients.size(); left > 0; --left) {
      REQUIRE(eventually([&] {
        for (Stream& client : clients) {
          char byte;
          if (!client.open() || ::recv(client.fd(), &byte, 1, MSG_DONTWAIT) != 1) continue;
          client.reset();
          return true;
        }
        return false;
      }));
    }
  }
  REQUIRE(rig.settles());
}

TEST_CASE("a listener's own limit holds, and a paused listener burns nothing") {
  FakeBackend backend;
  WorkerRig rig({.workers = 2, .listener_max = 2});
  rig.serve({backend.address()});
  std::vector<Stream> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(Stream::connect(rig.address));
  REQUIRE(eventually([&] { return rig.listener.active == 2; }));
  const auto used = cpu_time();
  std::this_thread::sleep_for(milliseconds(200));
  REQUIRE(cpu_time() - used < milliseconds(50));
  REQUIRE(rig.listener.active == 2);
  clients.clear();
  REQUIRE(rig.settles());
}

TEST_CASE("workers go away while sessions are at the limit and clients wait for a place") {
  FakeBackend backend;
  WorkerRig rig({.workers = 2, .max_sessions = 4});
  rig.serve({backend.address()});
  std::vector<Stream> clients = sixteen_clients(rig);
  REQUIRE(eventually([&] { return rig.admission.active() == 4; }));
  rig.end();
  CHECK(rig.admission.active() == 0);
}

TEST_CASE("without descriptors accepting neither spins nor drops a session, and heals by itself") {
  FakeBackend backend;
  WorkerRig rig({.workers = 2});
  rig.serve({backend.address()});
  Stream earlier = Stream::connect(rig.address);
  REQUIRE(served(earlier));
  std::vector<Stream> waiting;
  for (int i = 0; i < 8; ++i) {
    // Made before the limit falls, connected after.
    waiting.push_back(Stream(Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))));
  }
  // Judged afterwards: without descriptors the sanitizers cannot look into Catch's objects.
  bool all_connected = true;
  bool said = false;
  bool earlier_served = false;
  std::chrono::nanoseconds used{};
  {
    const NoMoreDescriptors none;
    const Address address = to_address(rig.address);
    for (Stream& client : waiting)
      all_connected &= ::connect(client.fd(), address.data(), address.size()) == 0;
    said = eventually([&] { return rig.troubles > 0; });
    const auto before = cpu_time();
    std::this_thread::sleep_for(milliseconds(250));
    used = cpu_time() - before;
    earlier_served = served(earlier);
  }
  REQUIRE(all_connected);
  REQUIRE(said);
  REQUIRE(rig.last_trouble == EMFILE);
  REQUIRE(used < milliseconds(100));
  REQUIRE(earlier_served);
  for (Stream& client : waiting) REQUIRE(served(client));
  REQUIRE(rig.loads[0]->failures_in_a_row == 0);
}

TEST_CASE(
    "without a descriptor for the backend a session waits for one and holds nothing against the backend") {
  FakeBackend backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  // What the sanitizers have to look up at the first call of its kind, they look up now: it takes
  // descriptors.
  Stream earlier = Stream::connect(rig.address);
  REQUIRE(served(earlier));
  earlier.close();
  REQUIRE(rig.settles());
  rig.lines(1);  // the log's thread opens the time zone's file before its first line
  REQUIRE(eventually([&] { return backend.open() == 0; }));  // or it frees a descriptor later
  Stream client(Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  Fd spare(::dup(STDIN_FILENO));
  bool connected = false;
  bool said = false;
  bool active = false;
  std::chrono::nanoseconds used{};
  {
    const NoMoreDescriptors none;
    spare.reset();  // one for the client's side, none for the backend's
    const Address address = to_address(rig.address);
    connected = ::connect(client.fd(), address.data(), address.size()) == 0;
    said = eventually([&] { return rig.troubles > 0; });
    active = eventually([&] { return rig.admission.active() == 1; });
    const auto before = cpu_time();
    std::this_thread::sleep_for(milliseconds(100));
    used = cpu_time() - before;
  }
  REQUIRE(connected);
  REQUIRE(said);
  REQUIRE(active);
  REQUIRE(used < milliseconds(50));
  REQUIRE(served(client));
  REQUIRE(rig.loads[0]->per_worker[0].connect_failures == 0);
  REQUIRE(rig.loads[0]->failures_in_a_row == 0);
}

TEST_CASE("a bulk transfer does not starve an echo on the same worker") {
  FakeBackend bulk(FakeBackendOptions{.then = Then::Discard});
  FakeBackend echo;
  WorkerRig rig;
  rig.serve({bulk.address(), echo.address()});
  Stream bulky = Stream::connect(rig.address);
  REQUIRE(eventually([&] { return rig.loads[0]->active == 1; }));
  Stream quick = Stream::connect(rig.address);
  REQUIRE(served(quick));
  std::atomic<bool> done{false};
  std::thread sender([&] {
    const std::string block(1024 * 1024, 'x');
    while (!done) bulky.send_some(block);
  });
  // Round trips and bytes go on side by side: no trip waits for a bulk transfer to run dry, which it never
  // does.
  const auto& moved = rig.loads[0]->per_worker[0].bytes_to_backend;
  const bool begun = eventually([&] { return moved > 0; });
  const std::uint64_t bytes_before = moved;
  std::size_t trips = 0;
  const bool both = begun && eventually([&] {
                      if (served(quick)) ++trips;
                      return trips >= 100 && moved > bytes_before;
                    });
  done = true;
  sender.join();
  REQUIRE(both);
}

TEST_CASE("many bulk transfers that are ready at once take a bounded turn and all go on") {
  FakeBackend backend(FakeBackendOptions{.then = Then::Discard});
  WorkerRig rig;
  rig.serve({backend.address()});
  constexpr std::size_t kStreams = 32;
  constexpr std::uint64_t kMiB = 1024 * 1024;
  std::vector<Stream> streams;
  std::vector<std::thread> senders;
  std::vector<std::atomic<std::uint64_t>> sent(kStreams);
  std::atomic<bool> done{false};
  for (std::size_t i = 0; i < kStreams; ++i) streams.push_back(Stream::connect(rig.address));
  for (std::size_t i = 0; i < kStreams; ++i)
    senders.emplace_back([&done, &stream = streams[i], &count = sent[i]] {
      const std::string block(kMiB / 4, 'x');
      while (!done) {
        stream.send_all(block);
        count += block.size();
      }
    });
  const auto& moved = rig.loads[0]->per_worker[0].bytes_to_backend;
  const auto all_have_sent = [&](std::uint64_t bytes) {
    return std::all_of(sent.begin(), sent.end(), [bytes](const auto& count) { return count >= bytes; });
  };
  const bool begun = eventually([&] { return all_have_sent(8 * kMiB); });
  std::uint64_t most = 0;
  for (int round = 0; round < 5; ++round) {
    // While the worker stands still, every source fills its queue and every sink empties its own.
    std::promise<void> looked;
    rig.workers[0]->post([&] {
      std::this_thread::sleep_for(milliseconds(100));
      const std::uint64_t before = moved;
      // Runs once more at the end of the next batch of events: in between lies one turn.
      rig.workers[0]->post([&, before] {
        most = std::max<std::uint64_t>(most, moved - before);
        looked.set_value();
      });
    });
    looked.get_future().wait();
  }
  // Nobody has been forgotten in the queue.
  std::vector<std::uint64_t> by_now;
  for (const auto& count : sent) by_now.push_back(count);
  const bool all_go_on = eventually([&] {
    for (std::size_t i = 0; i < kStreams; ++i)
      if (sent[i] < by_now[i] + 4 * kMiB) return false;
    return true;
  });
  done = true;
  for (auto& sender : senders) sender.join();
  REQUIRE(begun);
  REQUIRE(all_go_on);
  // Twice a turn's share, and what the last session of each share may move beyond it; 32 MiB are waiting.
  REQUIRE(most > 0);
  REQUIRE(most <= 7 * kMiB);
}

TEST_CASE("a stalled client burns nothing and is bounded, whatever its backend sends") {
  FakeBackendOptions endless;
  std::atomic<bool> done{false};
  endless.script = [&](Stream& stream) {
    const std::string block(256 * 1024, 'x');
    while (!done) {
      stream.send_some(block);
      std::this_thread::sleep_for(milliseconds(1));
    }
  };
  FakeBackend backend(std::move(endless));
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  auto& moved = rig.loads[0]->per_worker[0].bytes_to_client;
  std::uint64_t last = 0;
  REQUIRE(eventually([&] {
    const bool still = moved == last && last > 0;
    last = moved;
    std::this_thread::sleep_for(milliseconds(100));
    return still;
  }));
  // 512 KiB unsent, and what the client's kernel takes.
  REQUIRE(last < 16 * 1024 * 1024);
  done = true;
  client.close();
  REQUIRE(rig.settles());
}

TEST_CASE("closing a listener serves whoever is in its queue and lets sessions go on") {
  FakeBackend backend;
  WorkerRig rig({.workers = 2});
  rig.serve({backend.address()});
  Stream earlier = Stream::connect(rig.address);
  REQUIRE(served(earlier));
  // The workers stand still while clients queue, and find the closing before them.
  std::promise<void> release;
  const auto released = release.get_future().share();
  for (auto& worker : rig.workers) worker->post([released] { released.wait(); });
  std::vector<Stream> queued;
  for (std::size_t i = 0; i < 100; ++i)
    queued.push_back(Stream::connect(rig.address, {.source = client_source(i)}));
  std::atomic<std::size_t> closed{0};
  for (auto& worker : rig.workers)
    worker->post([&closed, &closing = *worker] {
      closing.close_all_listeners();
      ++closed;
    });
  release.set_value();
  REQUIRE(eventually([&] { return closed == rig.workers.size(); }));
  for (Stream& client : queued) REQUIRE(served(client));
  REQUIRE(served(earlier));
  REQUIRE_FALSE(connect_failure(rig.address).empty());
}

TEST_CASE("closing a listener at max_connections resets nobody who is in its queue") {
  FakeBackend backend;
  WorkerRig rig({.max_sessions = 1});
  rig.serve({backend.address()});
  Stream earlier = Stream::connect(rig.address);
  REQUIRE(served(earlier));
  std::vector<Stream> queued;
  for (std::size_t i = 0; i < 20; ++i) queued.push_back(Stream::connect(rig.address));
  rig.on_each_worker([](Worker& worker) { worker.close_all_listeners(); });
  for (Stream& client : queued) REQUIRE(served(client));
  REQUIRE(served(earlier));
  REQUIRE_FALSE(connect_failure(rig.address).empty());
}

TEST_CASE("closing a listener without descriptors resets nobody who is in its queue") {
  FakeBackend backend;
  WorkerRig rig({.workers = 2});
  rig.serve({backend.address()});
  Stream earlier = Stream::connect(rig.address);
  REQUIRE(served(earlier));
  std::vector<Stream> queued;
  for (int i = 0; i < 8; ++i) queued.push_back(Stream(Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))));
  bool all_connected = true;
  std::atomic<std::size_t> told{0};
  bool all_told = false;
  std::chrono::nanoseconds used{};
  {
    const NoMoreDescriptors none;
    const Address address = to_address(rig.address);
    for (Stream& client : queued)
      all_connected &= ::connect(client.fd(), address.data(), address.size()) == 0;
    for (auto& worker : rig.workers)
      worker->post([&told, &closing = *worker] {
        closing.close_all_listeners();
        ++told;
      });
    all_told = eventually([&] { return told == rig.workers.size(); });
    const auto before = cpu_time();
    std::this_thread::sleep_for(milliseconds(250));
    used = cpu_time() - before;
  }
  REQUIRE(all_connected);
  REQUIRE(all_told);
  REQUIRE(used < milliseconds(100));
  for (Stream& client : queued) REQUIRE(served(client));
  REQUIRE(served(earlier));
  REQUIRE(eventually([&] { return !connect_failure(rig.address).empty(); }));
}

TEST_CASE("an accept that a sandbox forbids is said, and does not make the worker spin") {
  FakeBackend backend;
  WorkerRig rig;
  rig.on_each_worker([](Worker&) { REQUIRE(refuse_system_call(SYS_accept4, EPERM)); });
  rig.serve({backend.address()});
  const auto client = Stream::connect(rig.address);
  REQUIRE(eventually([&] { return rig.troubles > 0; }));
  CHECK(rig.last_trouble == EPERM);
  const auto used = cpu_time();
  std::this_thread::sleep_for(milliseconds(250));
  REQUIRE(cpu_time() - used < milliseconds(100));
}

TEST_CASE(
    "a listening socket that somebody else has shut down is said, makes no worker spin, and is opened "
    "again") {
  WorkerRig rig;
  auto listening = listen_tcp(to_address("127.0.0.1:0"), true);
  REQUIRE(listening);
  const Fd other(::dup(listening->get()));
  rig.on_each_worker(
      [&](Worker& worker) { worker.add_listener(1, rig.listener, {}, std::move(*listening), false); });
  ::shutdown(other.get(), SHUT_RD);
  REQUIRE(eventually([&] { return rig.troubles > 0; }));
  const auto used = cpu_time();
  std::this_thread::sleep_for(milliseconds(250));
  REQUIRE(cpu_time() - used < milliseconds(100));
  REQUIRE(eventually([&] { return is_listening(other.get()); }));
  rig.close_listeners();
  // Each try takes a place and gives it back.
  REQUIRE(eventually([&] { return rig.admission.active() == 0; }));
}
