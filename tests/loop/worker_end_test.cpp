#include <catch2/catch.hpp>
#include <thread>

#include "tests/loop/worker_rig.h"

using namespace weir;
using namespace weir::test;

namespace {

WorkerRigOptions with_timeouts(Millis idle, Millis half_close) {
  WorkerRigOptions options;
  options.pool.idle_timeout = idle;
  options.pool.half_close_timeout = half_close;
  return options;
}

std::string only_end(WorkerRig& rig) {
  REQUIRE(rig.settles());
  return rig.lines(1)[0]["end"];
}

/// Sends what it was given and then does `then`, once the bytes have left.
FakeBackendOptions answering(std::string answer, std::function<void(Stream&)> then) {
  FakeBackendOptions options;
  options.script = [answer = std::move(answer), then = std::move(then)](Stream& stream) {
    stream.send_all(answer);
    while (unsent_bytes(stream.fd()) > 0) std::this_thread::yield();
    then(stream);
  };
  return options;
}

}  // namespace

TEST_CASE("a session whose sides both finish is done, and its record says what it moved") {
  FakeBackend backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes("hello"));
  const std::string client_address = client.local_address();
  client.half_close();
  REQUIRE(client.recv_to_end().ending == Ending::Eof);
  REQUIRE(only_end(rig) == "done");
  const AccessLine line = rig.lines(1)[0];
  CHECK(line["listener"] == "web");
  CHECK(line["client"] == client_address);
  CHECK(line["pool"] == "pool");
  CHECK(line["backend"] == "b1");
  CHECK(line["backend_address"] == backend.address());
  CHECK(line["attempts"] == "1");
  CHECK(line["connect_ms"] != "-");
  CHECK(line["bytes_to_backend"] == "5");
  CHECK(line["bytes_to_client"] == "5");
  CHECK(rig.loads[0]->per_worker[0].sessions == 1);
}

TEST_CASE("a client's reset is passed on as a reset") {
  FakeBackend backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes("hello"));
  client.reset();
  REQUIRE(eventually([&] { return backend.resets() == 1; }));
  REQUIRE(only_end(rig) == "client_reset");
}

TEST_CASE("a backend's reset comes to the client as a reset, after the bytes before it") {
  FakeBackend backend(answering("0123456789", [](Stream& stream) { stream.reset(); }));
  WorkerRig rig;
  rig.serve({backend.address()});
  for (int i = 0; i < 20; ++i) {
    Stream client = Stream::begin_connect(rig.address);
    const Received received = client.recv_to_end();
    REQUIRE(received.data == "0123456789");
    REQUIRE(received.ending == Ending::Reset);
  }
  REQUIRE(rig.settles());
  for (const AccessLine& line : rig.lines(20)) CHECK(line["end"] == "backend_reset");
}

TEST_CASE("a backend that cuts its answer while the client still sends never looks finished") {
  FakeBackend backend(answering("half an answer", [](Stream& stream) { stream.reset(); }));
  WorkerRig rig;
  rig.serve({backend.address()});
  for (int i = 0; i < 50; ++i) {
    Stream client = Stream::begin_connect(rig.address);
    bool reset = false;
    try {
      for (int piece = 0; piece < 20; ++piece) client.send_some("more of the request");
      reset = client.recv_to_end().ending == Ending::Reset;
    } catch (const StreamError& error) {
      // A failing write takes the error here too; after a FIN it would be a broken pipe.
      reset = std::string_view(error.what()).find("reset") != std::string_view::npos;
    }
    REQUIRE(reset);
  }
  REQUIRE(rig.settles());
  for (const AccessLine& line : rig.lines(50)) CHECK(line["end"] == "backend_reset");
}

TEST_CASE(
    "a backend that has finished its answer and then resets gives the client a whole answer and a clean "
    "end") {
  const std::string answer = BytePattern(1).bytes(200'000);
  FakeBackend backend(answering(answer, [](Stream& stream) {
    stream.half_close();
    stream.recv_some();  // the client goes on sending: it has seen the end
    stream.reset();
  }));
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.recv_exact(answer.size()) == answer);
  client.send_all("still here");
  REQUIRE(eventually([&] { return rig.loads[0]->per_worker[0].bytes_to_backend == 10; }));
  client.half_close();
  REQUIRE(client.recv_to_end().ending == Ending::Eof);
  REQUIRE(only_end(rig) == "done");
}

TEST_CASE("a reset waits for a slow client to take what came before it") {
  const std::string answer = BytePattern(2).bytes(1'000'000);
  FakeBackend backend(answering(answer, [](Stream& stream) { stream.reset(); }));
  WorkerRig rig;
  rig.serve({backend.address()});
  ConnectOptions options;
  options.receive_buffer = 8'192;
  Stream client = Stream::connect(rig.address, options);
  std::this_thread::sleep_for(milliseconds(50));  // lets the reset overtake, if it can
  const Received received = client.recv_to_end();
  REQUIRE(received.data == answer);
  REQUIRE(received.ending == Ending::Reset);
  REQUIRE(only_end(rig) == "backend_reset");
  // Also what was delivered after the reset is counted.
  REQUIRE(rig.loads[0]->per_worker[0].bytes_to_client == answer.size());
}

TEST_CASE("a session that waits to pass a reset on ends when its target is gone too") {
  // Small enough for the kernel's queue, too much for the client's: Weir itself has nothing in hand.
  FakeBackend backend(answering(std::string(60'000, 'x'), [](Stream& stream) { stream.reset(); }));
  WorkerRig rig(with_timeouts(Millis(600'000), Millis(600'000)));
  rig.serve({backend.address()});
  ConnectOptions options;
  options.receive_buffer = 4'096;
  Stream client = Stream::connect(rig.address, options);
  REQUIRE(eventually([&] { return rig.loads[0]->per_worker[0].bytes_to_client == 60'000; }));
  std::this_thread::sleep_for(milliseconds(50));  // the backend's reset arrives
  client.reset();
  REQUIRE(only_end(rig) == "backend_reset");
}

TEST_CASE("silence both ways ends a session as idle with a reset to both sides") {
  FakeBackend backend;
  WorkerRig rig(with_timeouts(Millis(100), Millis(30'000)));
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  const auto start = Clock::now();
  REQUIRE(client.recv_to_end().ending == Ending::Reset);
  REQUIRE(Clock::now() - start >= milliseconds(99));
  REQUIRE(eventually([&] { return backend.resets() == 1; }));
  REQUIRE(only_end(rig) == "idle");
}

TEST_CASE("one busy direction keeps a session open beyond its idle timeout") {
  FakeBackend backend(FakeBackendOptions{.then = Then::Discard});
  WorkerRig rig(with_timeouts(patient(Millis(400)), Millis(30'000)));
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  const auto start = Clock::now();
  while (Clock::now() - start < patient(Millis(1'000))) {
    client.send_all("x");
    std::this_thread::sleep_for(milliseconds(20));
  }
  client.half_close();
  REQUIRE(client.recv_to_end().ending == Ending::Eof);
  REQUIRE(only_end(rig) == "done");
}

TEST_CASE("a finished client whose backend stays silent ends at half_close_timeout") {
  FakeBackend backend(FakeBackendOptions{.then = Then::Stall});
  WorkerRig rig(with_timeouts(Millis(600'000), Millis(100)));
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  client.half_close();
  REQUIRE(client.recv_to_end().ending == Ending::Reset);
  REQUIRE(only_end(rig) == "half_close_idle");
}

TEST_CASE("half_close_timeout counts from the half-close, however long nothing was said before it") {
  FakeBackendOptions answers_late;
  answers_late.script = [](Stream& stream) {
    stream.recv_to_end();
    std::this_thread::sleep_for(milliseconds(20));
    stream.send_all("late answer");
  };
  FakeBackend backend(std::move(answers_late));
  const Millis half_close = patient(Millis(300));
  WorkerRig rig(with_timeouts(Millis(600'000), half_close));
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  REQUIRE(eventually([&] { return rig.loads[0]->per_worker[0].sessions == 1; }));
  std::this_thread::sleep_for(half_close + Millis(100));
  client.half_close();
  const Received received = client.recv_to_end();
  REQUIRE(received.data == "late answer");
  REQUIRE(received.ending == Ending::Eof);
  REQUIRE(only_end(rig) == "done");
}

TEST_CASE("without an eligible backend the client gets a reset and the record says so") {
  WorkerRig rig;
  rig.publish({});
  rig.listen();
  Stream client = Stream::begin_connect(rig.address);
  REQUIRE(client.recv_to_end().ending == Ending::Reset);
  REQUIRE(only_end(rig) == "no_backend");
  CHECK(rig.lines(1)[0]["backend"] == "-");
  CHECK(rig.lines(1)[0]["connect_ms"] == "-");
}

TEST_CASE("a client that resets before a backend is connected is gone") {
  BlackHole backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  REQUIRE(eventually([&] { return rig.loads[0]->active == 1; }));
  client.reset();
  REQUIRE(only_end(rig) == "client_gone");
}

TEST_CASE("a session may die of the first event of a batch while the second one is for it too") {
  std::promise<void> go;
  auto gone = go.get_future().share();
  FakeBackend backend(answering("x", [gone](Stream& stream) {
    gone.wait();
    stream.reset();
  }));
  WorkerRig rig;
  rig.serve({backend.address()});
  std::vector<Stream> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(Stream::connect(rig.address));
    REQUIRE(clients.back().recv_exact(1) == "x");
  }
  // While the worker stands still both sides of every session reset.
  std::promise<void> standing;
  std::promise<void> release;
  rig.workers[0]->post([&] {
    standing.set_value();
    release.get_future().wait();
  });
  standing.get_future().wait();
  for (Stream& client : clients) client.reset();
  go.set_value();
  REQUIRE(eventually([&] { return backend.open() == 0; }));
  release.set_value();
  REQUIRE(rig.settles());
  for (const AccessLine& line : rig.lines(20))
    CHECK((line["end"] == "client_reset" || line["end"] == "backend_reset"));
}

TEST_CASE("killed sessions reset both sides, at whatever stage they are") {
  FakeBackend backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream relaying = Stream::connect(rig.address);
  REQUIRE(relaying.echoes("x"));
  Stream half_closed = Stream::connect(rig.address);
  REQUIRE(half_closed.echoes("x"));
  REQUIRE(rig.admission.active() == 2);
  rig.abort_all(End::Killed);
  REQUIRE(rig.settles());
  REQUIRE(relaying.recv_to_end().ending == Ending::Reset);
  REQUIRE(half_closed.recv_to_end().ending == Ending::Reset);
  REQUIRE(eventually([&] { return backend.resets() == 2; }));
  for (const AccessLine& line : rig.lines(2)) CHECK(line["end"] == "killed");
}

TEST_CASE("the end of a worker ends its sessions as shutdown, with a reset") {
  FakeBackend backend;
  BlackHole hole;
  WorkerRig rig({.workers = 2});
  rig.serve({backend.address(), hole.address()});
  std::vector<Stream> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(Stream::connect(rig.address));
  REQUIRE(eventually([&] { return rig.admission.active() == 10; }));
  rig.end();
  for (Stream& client : clients) REQUIRE(client.recv_to_end().ending == Ending::Reset);
  REQUIRE(rig.settles());
  for (const AccessLine& line : rig.lines(10)) CHECK(line["end"] == "shutdown");
}

TEST_CASE("a thousand sessions of mixed endings leave no count, no lease and no descriptor behind") {
  FakeBackend echo;
  FakeBackend resets(FakeBackendOptions{.greeting = "x", .then = Then::Reset});
  RefusingPort refusing;
  WorkerRig rig({.workers = 2});
  rig.serve({echo.address(), resets.address(), refusing.address()});
  {
    Stream warm_up = Stream::connect(rig.address);
    warm_up.half_close();
    warm_up.recv_to_end();
  }
  REQUIRE(rig.settles());
  REQUIRE(eventually([&] { return echo.open() == 0; }));
  const std::size_t before = open_descriptors();
  const std::size_t sessions = scaled(1'000);
  for (std::size_t i = 0; i < sessions; ++i) {
    Stream client = Stream::begin_connect(rig.address, {.source = client_source(i)});
    try {
      if (i % 4 == 0) client.half_close();
      if (i % 4 == 0) client.recv_to_end();
      if (i % 4 == 1) client.reset();
      if (i % 4 == 2) client.send_some("abc");
      if (i % 20 == 3) rig.abort_all(End::Killed);
    } catch (const StreamError&) {  // Weir, which passes a backend's reset on, was quicker
    }
  }
  REQUIRE(rig.settles());
  REQUIRE(eventually([&] { return echo.open() == 0 && open_descriptors() <= before; }));
  rig.lines(sessions + 1);
}

TEST_CASE("out-of-band data neither harms the session nor makes it spin") {
  FakeBackend backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.echoes("before"));
  client.send_out_of_band('!');
  REQUIRE(client.echoes("after"));
  const auto used = cpu_time();
  std::this_thread::sleep_for(milliseconds(100));
  REQUIRE(cpu_time() - used < milliseconds(50));
  client.half_close();
  REQUIRE(client.recv_to_end().ending == Ending::Eof);
  REQUIRE(only_end(rig) == "done");
}

namespace {

/// A backend that has answered and is gone while the client stays.
FakeBackendOptions answering_and_gone() {
  return answering("answer", [](Stream& stream) {
    stream.half_close();
    stream.recv_some();
    stream.reset();
  });
}

/// A client whose session only hears it out.
Stream heard_out_client(WorkerRig& rig) {
  Stream client = Stream::connect(rig.address);
  REQUIRE(client.recv_exact(6) == "answer");
  client.send_all("x");
  REQUIRE(eventually([&] { return rig.loads[0]->active == 0; }));
  return client;
}

}  // namespace

TEST_CASE(
    "a session that only hears the client out is no load of the backend's, and still names it in the log") {
  FakeBackend backend(answering_and_gone());
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = heard_out_client(rig);
  REQUIRE(rig.admission.active() == 1);
  bool closing = false;
  bool named = false;
  rig.visit([&](Session& session) {
    closing = session.closing();
    named = session.backend() != nullptr;
  });
  CHECK(closing);
  CHECK(named);
  client.half_close();
  REQUIRE(client.recv_to_end().ending == Ending::Eof);
  REQUIRE(only_end(rig) == "done");
  CHECK(rig.lines(1)[0]["backend"] == "b1");
  CHECK(rig.loads[0]->active == 0);
}

TEST_CASE("a process that ends does not wait for clients that are only heard out") {
  FakeBackend backend(answering_and_gone());
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = heard_out_client(rig);
  rig.on_each_worker([](Worker& worker) { worker.wind_up(); });
  REQUIRE(eventually([&] { return rig.admission.active() == 0; }));
  CHECK(client.recv_to_end().ending == Ending::Eof);
  CHECK(only_end(rig) == "done");
}

TEST_CASE("one side that has finished makes a session half-closed") {
  FakeBackend backend(FakeBackendOptions{.then = Then::Stall});
  WorkerRig rig;
  rig.serve({backend.address()});
  Stream client = Stream::connect(rig.address);
  REQUIRE(eventually([&] { return rig.loads[0]->per_worker[0].sessions == 1; }));
  const auto half_closed = [&] {
    bool is = false;
    rig.visit([&](Session& session) { is = session.half_closed(); });
    return is;
  };
  CHECK_FALSE(half_closed());
  client.half_close();
  CHECK(eventually(half_closed));
}

TEST_CASE("many sessions that are killed, or are due, at once end in bounded steps of many turns") {
  const bool expire = GENERATE(false, true);
  CAPTURE(expire);
  constexpr std::size_t kSessions = 300;
  FakeBackend backend;
  WorkerRig rig({.pool = {.name = "pool",
                          .balance = "round_robin",
                          .idle_timeout = expire ? milliseconds(1'500) : milliseconds(600'000)}});
  rig.serve({backend.address()});
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < kSessions; ++i) clients.push_back(Stream::connect(rig.address));
  REQUIRE(eventually([&] { return rig.loads[0]->per_worker[0].sessions == kSessions; }));
  REQUIRE(rig.admission.active() == kSessions);
  // How many were left at the end of each turn; what a task posts runs in the next one.
  std::vector<std::uint64_t> left{kSessions};
  std::promise<void> done;
  Worker& worker = *rig.workers[0];
  const std::function<void()> look = [&] {
    left.push_back(rig.admission.active());
    if (left.back() == 0) return done.set_value();
    worker.post(look);
  };
  worker.post([&] {
    if (expire)
      std::this_thread::sleep_for(milliseconds(1'600));
    else
      worker.sweep(
          [](Session& session) {
            session.abort(End::Killed);
            return true;
          },
          [] {});
    worker.post(look);
  });
  REQUIRE(done.get_future().wait_for(kPatience) == std::future_status::ready);
  std::uint64_t most = 0;
  for (std::size_t turn = 1; turn < left.size(); ++turn) most = std::max(most, left[turn - 1] - left[turn]);
  // The step of a sweep that begins is beside that of the turn.
  CHECK(most <= 2 * Sweeper::kActsPerTurn);
}

TEST_CASE("a sweep that is under way when the worker goes harms nobody") {
  FakeBackend backend;
  WorkerRig rig;
  rig.serve({backend.address()});
  std::vector<Stream> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(Stream::connect(rig.address));
  REQUIRE(eventually([&] { return rig.admission.active() == 200; }));
  Worker& worker = *rig.workers[0];
  worker.post([&worker] { worker.sweep([](Session&) { return true; }, [] {}); });
  rig.end();
  CHECK(rig.lines(200).size() == 200);
}
