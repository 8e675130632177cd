#include "tests/support/steady_clients.h"

#include <fmt/format.h>

#include "tests/support/byte_pattern.h"
#include "tests/support/port.h"
#include "tests/support/stream.h"

namespace weir::test {
namespace {

constexpr std::size_t kMostFailures = 20;

}  // namespace

SteadyClients::SteadyClients(std::string address, std::size_t threads) : address_(std::move(address)) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this, i] { run(i); });
}

SteadyClients::~SteadyClients() {
  stop();
}

void SteadyClients::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

bool SteadyClients::wait_for_more(std::size_t count, milliseconds deadline) const {
  return eventually(deadline, [this, goal = sessions_ + count] { return sessions_ >= goal; });
}

void SteadyClients::run(std::size_t client) {
  for (std::size_t number = 0; !stopping_; ++number) {
    try {
      one_session(client, number);
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      if (failures_.size() < kMostFailures)
        failures_.push_back(fmt::format("client {}, session {}: {}", client, number, error.what()));
    }
    ++sessions_;
  }
}

void SteadyClients::one_session(std::size_t client, std::size_t number) {
  constexpr std::size_t kSizes[] = {1, 100, 1460, 20'000};
  ConnectOptions options;
  if (!address_.starts_with("unix:")) options.source = client_source(number);
  Stream stream = Stream::connect(address_, options);
  {
    const std::lock_guard lock(mutex_);
    ++sources_[stream.local_address()];
  }
  const std::string sent = BytePattern(client * 1'000 + number % 17).bytes(kSizes[number % 4]);
  stream.send_all(sent);
  stream.half_close();
  const Received received = stream.recv_to_end();
  if (received.ending != Ending::Eof)
    throw StreamError(received.ending == Ending::Reset ? "reset" : "no end");
  if (received.data != sent)
    throw StreamError(fmt::format("{} bytes came back of {}, or others", received.data.size(), sent.size()));
}

}  // namespace weir::test
