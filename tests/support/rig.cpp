#include "tests/support/rig.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <numeric>
#include <sstream>

namespace weir::test {

std::vector<FakeBackendOptions> lettered(std::size_t count) {
  std::vector<FakeBackendOptions> result(count);
  for (std::size_t i = 0; i < count; ++i) result[i].greeting = std::string(1, static_cast<char>('a' + i));
  return result;
}

std::vector<FakeBackendOptions> echoing(std::size_t count) {
  return std::vector<FakeBackendOptions>(count);
}

FakeBackendOptions scripted(std::function<void(Stream&)> script) {
  FakeBackendOptions options;
  options.script = std::move(script);
  return options;
}

Rig::Rig(std::vector<FakeBackendOptions> backends, SimpleConfig config,
         const std::vector<std::string>& backend_lines, const ProcessOptions& options)
    : address_(port_.v4()), backend_lines_(backend_lines), options_(options) {
  for (FakeBackendOptions& backend : backends)
    backends_.push_back(std::make_unique<FakeBackend>(std::move(backend)));
  backend_lines_.resize(backends_.size());
  std::vector<std::size_t> order(backends_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  restart(std::move(config), order);
}

void Rig::restart(SimpleConfig config, const std::vector<std::size_t>& order) {
  weir_.reset();
  config.bind = address_;
  for (const std::size_t i : order) {
    config.backends.push_back(
        {std::string(1, static_cast<char>('a' + i)), backends_[i]->address(), backend_lines_[i]});
  }
  config_ = config;
  weir_ = std::make_unique<WeirDaemon>(config, options_);
}

std::size_t Rig::open_sessions() const {
  std::size_t sum = 0;
  for (const auto& backend : backends_) sum += backend->open();
  return sum;
}

std::string Rig::letters(std::size_t count) const {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    ConnectOptions options;
    options.source = client_source(i);
    result += one_session(address_, options);
  }
  return result;
}

char one_session(const std::string& address, const ConnectOptions& options) {
  Stream client = Stream::connect(address, options);
  const std::string greeting = client.recv_exact(1);
  client.half_close();
  const Received rest = client.recv_to_end();
  if (rest.ending != Ending::Eof || !rest.data.empty()) throw StreamError("a session did not end clean");
  return greeting.front();
}

std::vector<milliseconds> round_trips(Stream& stream, std::size_t count) {
  std::vector<milliseconds> result;
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = Clock::now();
    stream.send_all("e");
    stream.recv_exact(1);
    result.push_back(since(start));
  }
  return result;
}

int unacknowledged(const Stream& stream) {
  int bytes = 0;
  ::ioctl(stream.fd(), SIOCOUTQ, &bytes);
  return bytes;
}

std::size_t sockets_in_state(std::string_view state, std::uint16_t port) {
  const std::string suffix = fmt::format(":{:04X}", port);
  std::size_t count = 0;
  for (const char* table : {"/proc/thread-self/net/tcp", "/proc/self/net/tcp6"}) {
    std::istringstream lines(read_file(table));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      std::string slot;
      std::string local;
      std::string remote;
      std::string found;
      fields >> slot >> local >> remote >> found;
      if (found == state && (local.ends_with(suffix) || remote.ends_with(suffix))) ++count;
    }
  }
  return count;
}

}  // namespace weir::test
