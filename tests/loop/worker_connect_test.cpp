#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/loop/worker_rig.h"

using namespace weir;
using namespace weir::test;

namespace {

/// A unix path whose queue is full until somebody accepts.
class FullUnixBackend {
 public:
  explicit FullUnixBackend(const std::string& path) : address("unix:" + path) {
    const Address to = to_address(address);
    listening_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listening_.get(), to.data(), to.size()) == 0);
    REQUIRE(::listen(listening_.get(), 0) == 0);
    while (true) {
      Fd filler(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (::connect(filler.get(), to.data(), to.size()) != 0) break;
      fillers_.push_back(std::move(filler));
    }
  }
  Stream accept() {
    return Stream(Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
  }
  std::size_t fillers() const { return fillers_.size(); }

  const std::string address;

 private:
  Fd listening_;
  std::vector<Fd> fillers_;
};

WorkerRigOptions with_connect_timeout(Millis timeout) {
  WorkerRigOptions options;
  options.pool.connect_timeout = timeout;
  return options;
}

}  // namespace

TEST_CASE(
    "the client's first bytes go once and in order to the backend that accepts, not to those that refuse") {
  FakeBackend backend;
  RefusingPort first;
  RefusingPort second;
  WorkerRig rig;
  rig.serve({first.address(), second.address(), backend.address()});
  const std::string bytes = BytePattern(3).bytes(64 * 1024);
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes(bytes));
  client.half_close();
  REQUIRE(client.recv_to_end().ending == Ending::Eof);
  REQUIRE(rig.settles());
  const AccessLine line = rig.lines(1)[0];
  CHECK(line["attempts"] == "3");
  CHECK(line["backend"] == "b3");
  CHECK(line["end"] == "done");
  CHECK(rig.loads[0]->failures_in_a_row == 1);
  CHECK(rig.loads[0]->per_worker[0].connect_failures == 1);
  CHECK(rig.reports >= 2);
}

TEST_CASE("when every backend refuses, the client gets a reset and the backends' counts come to nothing") {
  RefusingPort first;
  RefusingPort second;
  WorkerRig rig;
  rig.serve({first.address(), second.address()});
  Stream client = Stream::begin_connect(rig.address);
  REQUIRE(client.recv_to_end().ending == Ending::Reset);
  REQUIRE(rig.settles());
  const AccessLine line = rig.lines(1)[0];
  CHECK(line["attempts"] == "2");
  CHECK(line["end"] == "connect_failed");
  CHECK(line["connect_ms"] == "-");
  CHECK(line["backend"] == "b2");
}

TEST_CASE("a backend that answers no SYN is given up at connect_timeout") {
  BlackHole hole;
  FakeBackend backend;
  WorkerRig rig(with_connect_timeout(Millis(100)));
  rig.serve({hole.address(), backend.address()});
  const auto start = Clock::now();
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes("x"));
  // Deadlines count whole milliseconds of the loop's clock.
  REQUIRE(Clock::now() - start >= milliseconds(99));
  CHECK(rig.loads[0]->failures_in_a_row == 1);
}

TEST_CASE("the addresses of one backend are tried in order and count as one attempt") {
  RefusingPort refusing;
  FakeBackend backend;
  WorkerRig rig;
  rig.publish({rig.backend("b", {refusing.address(), backend.address()})});
  rig.listen();
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes("x"));
  client.close();
  REQUIRE(rig.settles());
  CHECK(rig.lines(1)[0]["attempts"] == "1");
  CHECK(rig.loads[0]->failures_in_a_row == 0);
  CHECK(rig.loads[0]->per_worker[0].connect_failures == 0);
}

TEST_CASE("a unix backend with a full queue is waited for") {
  TempDir directory;
  FullUnixBackend backend(directory.file("s"));
  WorkerRig rig;
  rig.serve({backend.address});
  Stream client = Stream::connect(rig.address);
  client.send_all("hello");
  REQUIRE(eventually([&] { return rig.admission.active() == 1; }));
  CHECK(rig.troubles == 0);
  for (std::size_t i = 0; i < backend.fillers(); ++i) REQUIRE(backend.accept().open());
  Stream accepted = backend.accept();
  REQUIRE(eventually([&] {
    if (!accepted.open()) accepted = backend.accept();
    return accepted.open();
  }));
  REQUIRE(accepted.recv_exact(5) == "hello");
  accepted.send_all("answer");
  accepted.close();
  const Received received = client.recv_to_end();
  REQUIRE(received.data == "answer");
  CHECK(rig.loads[0]->per_worker[0].connect_failures == 0);
}

TEST_CASE("a unix backend whose queue stays full fails at connect_timeout and the next one serves") {
  TempDir directory;
  FullUnixBackend full(directory.file("s"));
  FakeBackend backend;
  WorkerRig rig(with_connect_timeout(Millis(100)));
  rig.serve({full.address, backend.address()});
  const auto start = Clock::now();
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes("x"));
  REQUIRE(Clock::now() - start >= milliseconds(100));
  CHECK(rig.loads[0]->failures_in_a_row == 1);
}

TEST_CASE("while a backend is on trial one session alone tries it") {
  BlackHole hole;
  FakeBackend backend;
  WorkerRig rig({.workers = 2});
  Backend on_trial = rig.backend("trial", {hole.address()});
  on_trial.on_trial = true;
  rig.publish({on_trial, rig.backend("good", {backend.address()})});
  rig.listen();
  std::vector<Stream> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(Stream::connect(rig.address));
  REQUIRE(eventually([&] { return rig.admission.active() == 10 && rig.loads[1]->active == 9; }));
  CHECK(rig.loads[0]->active == 1);
  CHECK(rig.loads[0]->trial_taken);
  // The trial's client goes before there is a verdict: the next session is to try it.
  rig.abort_all(End::Killed);
  REQUIRE(rig.settles());
  CHECK_FALSE(rig.loads[0]->trial_taken);
}

TEST_CASE("a trial that Weir's own shortage ended without a verdict leaves the backend to the next session") {
  FakeBackend backend;
  WorkerRig rig(with_connect_timeout(Millis(50)));
  rig.serve({backend.address()});
  // What the sanitizers have to look up at the first call of its kind, they look up now: it takes
  // descriptors.
  Stream earlier = Stream::connect(rig.address);
  REQUIRE(earlier.echoes("x"));
  earlier.close();
  REQUIRE(rig.settles());
  Backend on_trial = rig.backend("trial", {backend.address()});
  on_trial.on_trial = true;
  // Another one to turn to: then the session ends with it, and not with the trial.
  Backend other = rig.backend("other", {backend.address()});
  other.backup = true;
  rig.publish({on_trial, other});
  Stream client(Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  Fd spare(::dup(STDIN_FILENO));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const Fd lowest(::dup(STDIN_FILENO));
  const rlimit lowered{static_cast<rlim_t>(lowest.get()), before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &lowered);
  spare.reset();  // for the client's side only
  const Address address = to_address(rig.address);
  const bool connected = ::connect(client.fd(), address.data(), address.size()) == 0;
  const bool ended = connected && eventually([&] { return rig.troubles > 0; }) && rig.settles();
  ::setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE(ended);
  CHECK_FALSE(rig.loads[1]->trial_taken);
  CHECK(rig.loads[1]->failures_in_a_row == 0);
}

TEST_CASE("a backend that worked again after failures says so once") {
  FakeBackend backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  rig.loads[0]->failures_in_a_row = 2;
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes("x"));
  CHECK(rig.loads[0]->failures_in_a_row == 0);
  CHECK(rig.reports == 1);
  Stream another = Stream::connect(rig.address);
  REQUIRE(another.echoes("x"));
  CHECK(rig.reports == 1);
}

TEST_CASE("tables may change at any moment of a session's life") {
  FakeBackend backend;
  RefusingPort refusing;
  WorkerRig rig({.workers = 2});
  const Backend good = rig.backend("good", {backend.address()});
  const Backend bad = rig.backend("bad", {refusing.address()});
  rig.publish({bad, good});
  rig.listen();
  std::atomic<bool> done{false};
  std::atomic<bool> failed{false};
  std::thread clients([&] {
    while (!done) {
      try {
        Stream client = Stream::connect(rig.address, {.source = client_source(1)});
        if (!client.echoes("x")) failed = true;
      } catch (const StreamError&) {
        failed = true;
      }
    }
  });
  for (std::size_t i = 0; i < scaled(300); ++i) {
    if (i % 2 == 0)
      rig.publish({good});
    else
      rig.publish({bad, good});
  }
  done = true;
  clients.join();
  REQUIRE_FALSE(failed);
  rig.publish({});
  REQUIRE(rig.settles());
}
