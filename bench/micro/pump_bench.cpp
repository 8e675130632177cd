// Question: from what size on is a message better spliced than copied? A Pump between two real TCP
// connections over loopback, all on one thread: one end writes a message, the pump moves it, the other end
// throws it away in its kernel (MSG_TRUNC). `ends_alone` is what the two ends cost without a pump, on one
// connection.
//
// `copied` has no pipes to borrow. `spliced` is turned to bulk before it is measured; below 16 KiB a Pump
// goes back to copying by itself, so there is nothing to measure there.

#include <benchmark/benchmark.h>

#include <cerrno>
#include <vector>

#include "bench/micro/loopback.h"
#include "lb/proxy/pump.h"

using namespace weir;

namespace {

constexpr std::size_t kReadBufferBytes = 64 * 1024;  // as a Worker's

/// Writes and throws away without blocking; answers how many bytes went.
std::size_t write_some(int fd, const std::vector<std::byte>& bytes, std::size_t done) {
  const ssize_t sent = send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
  WEIR_CHECK(sent >= 0 || errno == EAGAIN);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

std::size_t discard_some(int fd) {
  const ssize_t got = recv(fd, nullptr, std::size_t{16} << 20, MSG_TRUNC | MSG_DONTWAIT);
  WEIR_CHECK(got > 0 || (got < 0 && errno == EAGAIN));
  return got < 0 ? 0 : static_cast<std::size_t>(got);
}

struct Line {
  explicit Line(bool with_pipes) : buffer(kReadBufferBytes), context{{buffer.data(), buffer.size()}, pipes} {
    if (!with_pipes) descriptors.set(0, 0);
    pump.on_fresh_sink();
  }
  ~Line() { pump.release(pipes); }

  void move(const std::vector<std::byte>& message) {
    std::size_t sent = 0;
    std::size_t arrived = 0;
    while (arrived < message.size()) {
      if (sent < message.size()) sent += write_some(client.near.get(), message, sent);
      pump.on_source_events(events::kReadable);
      pump.run(client.far.get(), backend.near.get(), context);
      if (const std::size_t got = discard_some(backend.far.get()); got > 0) {
        arrived += got;
        pump.on_sink_events(events::kWritable);
      }
    }
  }

  LoopbackPair client;
  LoopbackPair backend;
  Descriptors descriptors;
  PipeAllowance allowance{descriptors};
  PipePool pipes{allowance};
  std::vector<std::byte> buffer;
  PumpContext context;
  Pump pump;
};

void ends_alone(benchmark::State& state) {
  const LoopbackPair connection;
  const std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    std::size_t sent = 0;
    std::size_t arrived = 0;
    while (arrived < message.size()) {
      if (sent < message.size()) sent += write_some(connection.near.get(), message, sent);
      arrived += discard_some(connection.far.get());
    }
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void through(benchmark::State& state, bool with_pipes) {
  Line line(with_pipes);
  // Full reads, which is what turns a flow to bulk.
  line.move(std::vector<std::byte>(8 * kReadBufferBytes));
  const std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) line.move(message);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void copied(benchmark::State& state) {
  through(state, false);
}
void spliced(benchmark::State& state) {
  through(state, true);
}

}  // namespace

BENCHMARK(ends_alone)->RangeMultiplier(4)->Range(64, 1 << 20);
BENCHMARK(copied)->RangeMultiplier(4)->Range(64, 1 << 20);
BENCHMARK(spliced)->RangeMultiplier(2)->Range(16 * 1024, 1 << 20);
