#include "health/probe.h"
#include "health/probe_socket.h"

namespace weir {
namespace {

/// Passes when the backend's kernel accepts the connection, and closes it with a reset: no TIME_WAIT on
/// either side.
class TcpProbe final : public Probe {
 public:
  TcpProbe(ProbeLoop& loop, const ProbeInput& input, Done done)
      : address_(input.address),
        done_(std::move(done)),
        socket_(
            loop, input.address, input.config, [this](int error) { finish(error); }, [] {}) {}

  void start() override { socket_.start(); }
  void cancel() override { socket_.close(); }
  void look_again() override { socket_.look_again(); }
  bool connected() const override { return socket_.connected(); }

 private:
  void finish(int error) {
    socket_.close();
    done_(error == 0 ? ProbeResult{Outcome::Passed, "", true} : connect_failed_with(error, address_));
  }

  const Address address_;
  Done done_;
  ProbeSocket socket_;
};

class TcpProbes final : public ProbeFactory {
 public:
  explicit TcpProbes(ProbeLoop& loop) : loop_(loop) {}
  std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) override {
    return std::make_unique<TcpProbe>(loop_, input, std::move(done));
  }

 private:
  ProbeLoop& loop_;
};

}  // namespace

std::unique_ptr<ProbeFactory> make_tcp_probes(ProbeLoop& loop) {
  return std::make_unique<TcpProbes>(loop);
}

}  // namespace weir
