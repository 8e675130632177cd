// Questions: what does it cost to ask whether a client is let in, with few networks or 100,000? What do the
// limits for each client cost, when it is always the same one and when each session is another's, on one
// worker and on two? What does it cost to read a PROXY header and a ClientHello? The promise for a look-up in
// 100,000 networks is under 200 ns, for loading them under 100 ms.

#include <benchmark/benchmark.h>
#include <netinet/in.h>

#include <array>
#include <cstring>
#include <random>

#include "lb/admit/client_limits.h"
#include "lb/admit/network_file.h"
#include "lb/admit/rules.h"
#include "lb/wire/client_hello.h"
#include "lb/wire/proxy_header.h"

using namespace weir;

namespace {

ClientAddress v4(std::uint32_t number) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(number);
  return ClientAddress(reinterpret_cast<const sockaddr*>(&address));
}

ClientAddress v6(std::mt19937_64& random) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  const std::uint64_t words[] = {random(), random()};
  std::memcpy(&address.sin6_addr, words, sizeof words);
  address.sin6_addr.s6_addr[0] = 0x20;
  address.sin6_addr.s6_addr[1] = 0x01;
  return ClientAddress(reinterpret_cast<const sockaddr*>(&address));
}

ClientAddress draw(std::mt19937_64& random, bool is_v6) {
  return is_v6 ? v6(random) : v4(static_cast<std::uint32_t>(random()));
}

std::string file_of(std::int64_t count, bool is_v6) {
  std::mt19937_64 random(1);
  std::string text;
  for (; count > 0; --count) {
    const auto bits = static_cast<unsigned>(is_v6 ? 32 + random() % 97 : 16 + random() % 17);
    text += Network::around(draw(random, is_v6), bits).to_string() + "\n";
  }
  return text;
}

void load(benchmark::State& state, bool is_v6) {
  const std::string text = file_of(state.range(0), is_v6);
  for (auto _ : state) {
    const Rules rules({}, parse_network_file(text).networks);
    benchmark::DoNotOptimize(&rules);
  }
}

void decide(benchmark::State& state, bool is_v6) {
  const Rules rules({}, parse_network_file(file_of(state.range(0), is_v6)).networks);
  std::mt19937_64 random(2);
  std::vector<ClientAddress> clients;
  for (int i = 0; i < 1 << 16; ++i) clients.push_back(draw(random, is_v6));
  std::size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(rules.decide(clients[next++ % clients.size()]));
}

/// Google Benchmark runs this on each thread; the first one makes what all use.
std::unique_ptr<ClientLimits> shared_limits;  // NOLINT: its threads share nothing else

void admit(benchmark::State& state) {
  if (state.thread_index() == 0)
    shared_limits = std::make_unique<ClientLimits>(8'000, ClientLimits::kMaxIdle, HashKey{1, 2});
  const ClientLimit limit{.sessions = 10, .rate = {std::chrono::milliseconds(50), 20}};
  std::minstd_rand random(static_cast<unsigned>(state.thread_index()) + 1);
  std::chrono::nanoseconds now(1'000'000'000);
  for (auto _ : state) {
    const auto client = v4(static_cast<std::uint32_t>(random()) % static_cast<std::uint32_t>(state.range(0)));
    benchmark::DoNotOptimize(shared_limits->admit(client, limit, now += std::chrono::nanoseconds(500)));
  }
}

void read_proxy_header(benchmark::State& state, int version) {
  const auto from = v4(0x01020304);
  const std::string text = version == 1 ? write_proxy_v1(from, from) : write_proxy_v2(from, from, {});
  const Bytes bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  for (auto _ : state) benchmark::DoNotOptimize(parse_proxy_header(bytes));
}

/// A hello of 517 bytes, its name first, then what pads it, in records of `state.range(0)` bytes.
void read_hello(benchmark::State& state) {
  const auto u16 = [](std::size_t number) {
    return std::string{static_cast<char>(number >> 8), static_cast<char>(number)};
  };
  const std::string name = "www.example.com";
  std::string extensions =
      u16(0) + u16(name.size() + 5) + u16(name.size() + 3) + '\0' + u16(name.size()) + name;
  extensions += u16(21) + u16(400) + std::string(400, '\0');
  const std::string body = u16(0x0303) + std::string(32, 'r') + '\0' + u16(2) + u16(0x1301) + '\1' + '\0' +
                           u16(extensions.size()) + extensions;
  const std::string message = std::string{'\1', '\0'} + u16(body.size()) + body;
  std::string text;
  const auto fragment = static_cast<std::size_t>(state.range(0));
  for (std::size_t at = 0; at < message.size(); at += fragment) {
    const std::string part = message.substr(at, fragment);
    text += std::string{22, 3, 1} + u16(part.size()) + part;
  }
  const Bytes bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  for (auto _ : state) {
    ClientHelloReader reader;
    const auto read = reader.read(bytes);
    if (!std::holds_alternative<ClientHello>(read)) state.SkipWithError("not understood");
    benchmark::DoNotOptimize(&read);
  }
}

}  // namespace

BENCHMARK_CAPTURE(load, ipv4, false)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, ipv6, true)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decide, ipv4, false)->Arg(10)->Arg(100'000);
BENCHMARK_CAPTURE(decide, ipv6, true)->Arg(10)->Arg(100'000);
BENCHMARK(admit)->Arg(1)->Arg(1'000)->Arg(1'000'000)->ThreadRange(1, 2);
BENCHMARK_CAPTURE(read_proxy_header, v1, 1);
BENCHMARK_CAPTURE(read_proxy_header, v2, 2);
BENCHMARK(read_hello)->Arg(16'384)->Arg(1);
