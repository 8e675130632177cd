// Question: how long does a client wait for the first byte of a backend that speaks first, and how much of
// that is Weir? One Worker on a thread of its own, a backend that sends a byte on accept, and clients one
// after another over loopback. `direct` is the same without Weir: what both ends, the kernel and two thread
// switches take.

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "bench/micro/loopback.h"
#include "lb/proxy/worker.h"

using namespace weir;

namespace {

/// Sends a byte to each client. Forgets a connection when 64 newer ones have come: its client has long reset
/// it.
class GreetingBackend {
 public:
  GreetingBackend() : listener_(listen_on_loopback()), address_(address_of(listener_.get())) {
    thread_ = std::thread([this] { serve(); });
  }
  ~GreetingBackend() {
    stopping_ = true;
    const Fd last = connect_to(address_);
    thread_.join();
  }
  const Address& address() const { return address_; }

 private:
  void serve() {
    std::array<Fd, 64> recent;
    for (std::size_t i = 0; !stopping_; ++i) {
      Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const char greeting = '!';
      send(client.get(), &greeting, 1, MSG_NOSIGNAL);
      recent[i % recent.size()] = std::move(client);
    }
  }

  Fd listener_;
  Address address_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

std::shared_ptr<const Table> table_of(const Address& address) {
  Backend backend;
  backend.name = "b1";
  backend.endpoint.text = address.to_string();
  backend.endpoint.address = address;
  backend.addresses = {address};
  backend.health = Health::Up;
  backend.load = std::make_shared<BackendLoad>(1, "web", "b1", backend.endpoint.text, 1);
  PoolSettings settings;
  settings.name = "web";
  settings.balance = "round_robin";
  auto table =
      std::make_shared<const Table>(1, std::vector{Pool::build(settings, {std::move(backend)}, nullptr)});
  return table;
}

/// A Weir of one worker, one listener and one backend, without the rooms around it.
class Weir {
 public:
  explicit Weir(const Address& backend) {
    auto fd = listen_tcp(*Address::parse_ip_port("127.0.0.1:0"), true);
    auto worker = Worker::create(0, shared_);
    WEIR_CHECK(fd && worker);
    address_ = address_of(fd->get());
    worker_ = std::move(*worker);
    wait_list_ = std::make_unique<WaitList>(worker_->loop(), [](const WaitQueue::Call&) {});
    shared_.wait_list = wait_list_.get();
    admission_.wake_by([] {});
    // Before the thread starts, this one may.
    worker_->adopt(table_of(backend));
    worker_->add_listener(1, load_, {}, std::move(*fd), false);
    worker_->start();
  }
  const Address& address() const { return address_; }

 private:
  Descriptors descriptors_;
  Admission admission_{1000, descriptors_};
  PipeAllowance pipes_{descriptors_};
  AccessLog log_{AccessLog::Target{}, 1, [](const std::string&) {}};
  ListenerLoad load_{"web", "web", 1};
  Arrivals arrivals_{1};
  WorkerShared shared_{.admission = admission_,
                       .pipes = pipes_,
                       .access_log = log_,
                       .workers = 1,
                       .on_connects_changed = [](const std::shared_ptr<BackendLoad>&) {},
                       .on_trouble = [](std::uint32_t, Trouble) {},
                       .reclaim = [] {},
                       .arrivals = arrivals_};
  Address address_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<WaitList> wait_list_;
};

void clients_of(benchmark::State& state, const Address& address) {
  for (auto _ : state) {
    const Fd client = connect_to(address);
    char first = 0;
    WEIR_CHECK(recv(client.get(), &first, 1, 0) == 1);
    // No TIME_WAIT: source ports would run out.
    set_reset_on_close(client.get());
  }
  state.SetItemsProcessed(state.iterations());
}

void direct(benchmark::State& state) {
  const GreetingBackend backend;
  clients_of(state, backend.address());
}

void through_a_worker(benchmark::State& state) {
  const GreetingBackend backend;
  const Weir weir(backend.address());
  clients_of(state, weir.address());
}

}  // namespace

BENCHMARK(direct)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(through_a_worker)->UseRealTime()->Unit(benchmark::kMicrosecond);
