// Sockets that come and go as a whole, with workers that are held up where it matters.
#include "lb/daemon/listening.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <thread>

#include "tests/loop/worker_rig.h"
#include "tests/support/stream.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// The control thread's part of a daemon that has to do with listening sockets, and its workers.
class ListeningRig {
 public:
  explicit ListeningRig(std::uint32_t workers) : workers_(workers), arrivals_(workers) {
    ignore_sigpipe();
    FakeBackendOptions options;
    options.greeting = "a";
    backend_ = std::make_unique<FakeBackend>(options);
    auto log = AccessLog::open(dir.file("access.log"));
    REQUIRE(log);
    access_log_ = std::make_unique<AccessLog>(std::move(*log), workers, [](const std::string&) {});
    loop_ = Loop::create().value();
    auto fleet = Fleet::create(*loop_, {.admission = admission_,
                                        .pipes = pipes_,
                                        .access_log = *access_log_,
                                        .workers = workers,
                                        .on_connects_changed = [](const auto&) {},
                                        .on_trouble = [](std::uint32_t, Trouble) {},
                                        .reclaim = nullptr,
                                        .arrivals = arrivals_});
    REQUIRE(fleet);
    fleet_ = std::move(*fleet);
    fleet_->start();
    registry_ = std::make_unique<Registry>(
        workers, [this](const auto& table) { fleet_->adopt(table, [](std::uint32_t) {}); });
    listening_ = std::make_unique<Listening>(workers, doors_);
    listening_->open(*registry_, *fleet_);
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~ListeningRig() {
    release();
    loop_->stop();
    thread_.join();
    fleet_.reset();
    access_log_.reset();  // its records point into the Registry
  }
  ListeningRig(const ListeningRig&) = delete;
  ListeningRig& operator=(const ListeningRig&) = delete;

  template <class Action>
  auto on_control(Action action) {
    auto task = std::make_shared<std::packaged_task<decltype(action())()>>(std::move(action));
    auto result = task->get_future();
    loop_->post([task] { (*task)(); });
    return result.get();
  }

  std::shared_ptr<const Config> config(const std::vector<std::string>& addresses) const {
    auto config = std::make_shared<Config>();
    PoolConfig pool;
    pool.name = "web";
    pool.probe.kind = "none";
    BackendConfig backend;
    backend.name = "a";
    backend.endpoint = parse_endpoint(backend_->address()).value();
    pool.backends.push_back(backend);
    config->pools.push_back(pool);
    for (const std::string& address : addresses)
      config->listeners.push_back({address, {to_address(address)}, "web"});
    return config;
  }
  /// A reload. False when it was refused.
  bool listen(const std::vector<std::string>& addresses) {
    return on_control([&, next = config(addresses)] {
      auto change = listening_->plan(*next);
      if (!change) return false;
      registry_->apply(next);
      std::move(*change).commit(*registry_, *fleet_);
      return true;
    });
  }
  /// A reload that is refused at last, for another reason. False when it was before.
  bool plan_in_vain(const std::vector<std::string>& addresses) {
    return on_control([&, next = config(addresses)] { return listening_->plan(*next).has_value(); });
  }
  std::size_t closing() {
    return on_control([&] { return listening_->closing(); });
  }
  /// Worker `index` does nothing more until release().
  void hold(std::size_t index) {
    auto entered = std::make_shared<std::promise<void>>();
    fleet_->worker(index).post([entered, released = released_] {
      entered->set_value();
      released.wait();
    });
    REQUIRE(entered->get_future().wait_for(kPatience) == std::future_status::ready);
  }
  void hold_all() {
    for (std::size_t i = 0; i < workers_; ++i) hold(i);
  }
  /// Returns when worker `index` has done what it was told before.
  void pass(std::size_t index) {
    auto passed = std::make_shared<std::promise<void>>();
    fleet_->worker(index).post([passed] { passed->set_value(); });
    passed->get_future().wait();
  }
  void release() {
    release_.set_value();
    release_ = {};
    released_ = release_.get_future().share();
  }
  void settle() {
    auto settled = std::make_shared<std::promise<void>>();
    on_control([&] { fleet_->when_settled([settled] { settled->set_value(); }); });
    settled->get_future().wait();
  }

  TempDir dir;

 private:
  const std::uint32_t workers_;
  Arrivals arrivals_;
  Doors doors_{1'000};
  std::unique_ptr<FakeBackend> backend_;
  Descriptors descriptors_;
  Admission admission_{10'000, descriptors_};
  PipeAllowance pipes_{descriptors_};
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Listening> listening_;
  std::promise<void> release_;
  std::shared_future<void> released_ = release_.get_future().share();
  std::thread thread_;
};

bool served(Stream& client) {
  client.half_close();
  const Received received = client.recv_to_end();
  return received.data == "a" && received.ending == Ending::Eof;
}

std::vector<Stream> queue_up(const std::string& address, std::size_t count) {
  std::vector<Stream> clients;
  for (std::size_t i = 0; i < count; ++i) clients.push_back(Stream::connect(address));
  return clients;
}

bool all_served(std::vector<Stream>& clients) {
  return std::ranges::all_of(clients, [](Stream& client) { return served(client); });
}

bool refused(const std::string& address) {
  return eventually([&] { return !connect_failure(address).empty(); });
}

}  // namespace

TEST_CASE("a Change that is not committed leaves no socket, no path and no claim behind") {
  ListeningRig rig(2);
  const FreePort port;
  const std::string path = rig.dir.file("front");
  const std::size_t descriptors = open_descriptors();
  REQUIRE(rig.plan_in_vain({port.v4(), port.v6(), "unix:" + path}));
  CHECK(open_descriptors() == descriptors);
  CHECK_FALSE(std::filesystem::exists(path));
  REQUIRE(listen_tcp(to_address(port.v4()), true));
}

TEST_CASE("a close that no worker has come to is taken back, with whoever is in the queue") {
  const auto workers = GENERATE(1U, 2U);
  ListeningRig rig(workers);
  const FreePort port;
  const std::string address = GENERATE(true, false) ? port.v4() : port.v6();
  REQUIRE(rig.listen({address}));
  rig.hold_all();
  auto clients = queue_up(address, 20);
  REQUIRE(rig.listen({}));
  CHECK(rig.closing() == 1);
  const std::size_t descriptors = open_descriptors();
  REQUIRE(rig.listen({address}));
  CHECK(rig.closing() == 0);
  CHECK(open_descriptors() == descriptors);  // of the backend, too: nobody has been accepted
  auto later = queue_up(address, 20);
  rig.release();
  CHECK(all_served(clients));
  CHECK(all_served(later));
  REQUIRE(rig.listen({}));
  CHECK(refused(address));
  CHECK(eventually([&] { return rig.closing() == 0; }));
}

TEST_CASE("what one worker has closed and another has not is whole again when it is wanted again") {
  ListeningRig rig(2);
  const FreePort port;
  REQUIRE(rig.listen({port.v4()}));
  rig.settle();
  const std::size_t held = GENERATE(0U, 1U);
  rig.hold(held);
  REQUIRE(rig.listen({}));
  CHECK(rig.closing() == 1);
  SECTION("before it is known which one has") {}
  SECTION("after") {
    std::this_thread::sleep_for(20ms);
  }
  REQUIRE(rig.listen({port.v4()}));
  auto clients = queue_up(port.v4(), 40);
  rig.release();
  CHECK(all_served(clients));
  REQUIRE(rig.listen({}));
  CHECK(refused(port.v4()));
  CHECK(eventually([&] { return rig.closing() == 0; }));
}

TEST_CASE("a close that was taken back in vain is gone on with") {
  ListeningRig rig(2);
  const FreePort port;
  REQUIRE(rig.listen({port.v4()}));
  rig.hold_all();
  auto clients = queue_up(port.v4(), 20);
  REQUIRE(rig.listen({}));
  REQUIRE(rig.plan_in_vain({port.v4()}));
  CHECK(rig.closing() == 1);
  rig.release();
  CHECK(all_served(clients));
  CHECK(refused(port.v4()));
  CHECK(eventually([&] { return rig.closing() == 0; }));
}

TEST_CASE("a unix path that is wanted again while its old socket is served out is a new one") {
  ListeningRig rig(2);
  const std::string path = rig.dir.file("front");
  const std::string address = "unix:" + path;
  REQUIRE(rig.listen({address}));
  rig.hold_all();
  auto clients = queue_up(address, 20);
  REQUIRE(rig.listen({}));
  CHECK_FALSE(std::filesystem::exists(path));
  REQUIRE(rig.listen({address}));
  auto later = queue_up(address, 20);
  rig.release();
  CHECK(all_served(clients));
  CHECK(all_served(later));
  CHECK(eventually([&] { return rig.closing() == 0; }));
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("between one address and all of its port nobody who waits is disturbed, however fast it changes") {
  ListeningRig rig(2);
  const FreePort port;
  const std::string wide = "0.0.0.0:" + std::to_string(port.number());
  REQUIRE(rig.listen({port.v4()}));
  rig.hold_all();
  auto clients = queue_up(port.v4(), 20);
  for (int i = 0; i < 10; ++i) REQUIRE(rig.listen({i % 2 == 0 ? wide : port.v4()}));
  auto later = queue_up(port.v4(), 20);
  rig.release();
  CHECK(all_served(clients));
  CHECK(all_served(later));
  CHECK(eventually([&] { return rig.closing() == 0; }));
}

TEST_CASE("a storm of Changes, some of them in vain, leaves nothing behind") {
  const auto workers = GENERATE(1U, 2U);
  ListeningRig rig(workers);
  const FreePort port;
  const std::vector<std::string> all{port.v4(), port.v6(), "unix:" + rig.dir.file("front")};
  REQUIRE(rig.listen({}));
  rig.settle();
  const std::size_t descriptors = open_descriptors();
  std::size_t refusals = 0;
  for (std::size_t i = 0; i < 300; ++i) {
    std::vector<std::string> some;
    for (std::size_t k = 0; k < all.size(); ++k)
      if ((i * 7 + k * 3) % 5 < 3) some.push_back(all[k]);
    const bool in_vain = i % 4 == 3;
    if (!(in_vain ? rig.plan_in_vain(some) : rig.listen(some))) ++refusals;
  }
  CHECK(refusals == 0);
  REQUIRE(rig.listen(all));
  for (const std::string& address : all) {
    auto clients = queue_up(address, 8);
    CHECK(all_served(clients));
  }
  REQUIRE(rig.listen({}));
  CHECK(eventually([&] { return rig.closing() == 0; }));
  CHECK(eventually([&] { return open_descriptors() == descriptors; }));
}
