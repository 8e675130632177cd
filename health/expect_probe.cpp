#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>

#include "health/probe.h"
#include "health/probe_socket.h"
#include "lb/base/log.h"

namespace weir {
namespace {

constexpr std::size_t kMaxAnswer = 64 * 1024;
constexpr std::size_t kShown = 40;  ///< of a wrong answer, in the reason

/// Sends `send`, then reads until `expect` has come, however it is cut into segments.
class ExpectProbe final : public Probe {
 public:
  ExpectProbe(ProbeLoop& loop, const ProbeInput& input, Done done)
      : config_(input.config),
        address_(input.address),
        done_(std::move(done)),
        socket_(
            loop, input.address, input.config.source, [this](int error) { on_connected(error); },
            [this] { proceed(); }) {}

  void start() override { socket_.start(); }
  void cancel() override { socket_.close(); }
  void look_again() override { socket_.look_again(); }
  bool connected() const override { return socket_.connected(); }

 private:
  void on_connected(int error) {
    if (error != 0)
      finish(connect_failed_with(error, address_));
    else
      proceed();
  }

  void proceed() {
    // Reads first: a backend may refuse in words, and reset.
    if (!read() || !write()) return;
    socket_.wait_for(sent_ < config_.send.size() ? events::kReadable | events::kWritable : events::kReadable);
  }

  /// False when the probe is over.
  bool write() {
    while (sent_ < config_.send.size()) {
      const ssize_t n =
          ::send(socket_.fd(), config_.send.data() + sent_, config_.send.size() - sent_, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return true;
      if (n < 0) return finish(failed_with(errno));
      sent_ += static_cast<std::size_t>(n);
    }
    return true;
  }

  bool read() {
    char buffer[4096];
    while (true) {
      const ssize_t n = ::recv(socket_.fd(), buffer, sizeof buffer, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return true;
      if (n < 0) return finish(failed_with(errno));
      if (n == 0) return finish(wrong("closed by the backend"));
      answer_.append(buffer, static_cast<std::size_t>(n));
      if (answer_.find(config_.expect) != std::string::npos) return finish({Outcome::Passed, "", true});
      if (answer_.size() >= kMaxAnswer) return finish(wrong("64 KiB read"));
    }
  }

  ProbeResult wrong(std::string_view end) const {
    const std::string_view start = std::string_view(answer_).substr(0, kShown);
    return {Outcome::Failed,
            fmt::format("{} without {}, got {}", end, quoted(config_.expect.substr(0, kShown)),
                        start.empty() ? "nothing" : quoted(start)),
            true};
  }

  bool finish(ProbeResult result) {
    socket_.close();
    done_(std::move(result));
    return false;
  }

  const ProbeConfig& config_;
  const Address address_;
  Done done_;
  std::string answer_;
  std::size_t sent_ = 0;
  ProbeSocket socket_;
};

class ExpectProbes final : public ProbeFactory {
 public:
  explicit ExpectProbes(ProbeLoop& loop) : loop_(loop) {}
  std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) override {
    return std::make_unique<ExpectProbe>(loop_, input, std::move(done));
  }

 private:
  ProbeLoop& loop_;
};

}  // namespace

std::unique_ptr<ProbeFactory> make_expect_probes(ProbeLoop& loop) {
  return std::make_unique<ExpectProbes>(loop);
}

}  // namespace weir
