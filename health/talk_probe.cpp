#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>

#include "health/probe_socket.h"
#include "health/talk.h"

namespace weir {
namespace {

/// How long a backend that has been given its last words may take to close. The verdict waits for it.
constexpr Millis kParting{100};
/// Reads in one turn of the loop, so that a backend which never stops talking holds up nobody.
constexpr int kReadsPerTurn = 16;

///   connecting -> talking -> parting -> over
/// Parting: the verdict is known, the last words are on their way, and the backend closes.
class TalkProbe final : public Probe {
 public:
  TalkProbe(ProbeLoop& loop, const ProbeInput& input, std::unique_ptr<Talk> talk, Done done)
      : loop_(loop),
        address_(input.address),
        talk_(std::move(talk)),
        done_(std::move(done)),
        parting_over_(loop, [this] { finish(*verdict_); }),
        socket_(
            loop, input.address, input.config, [this](int error) { on_connected(error); },
            [this] { proceed(); }) {}

  void start() override { socket_.start(); }
  void cancel() override {
    parting_over_.cancel();
    socket_.close();
  }
  void look_again() override {
    socket_.look_again();
    if (verdict_ && socket_.connected()) finish(*verdict_);
  }
  bool connected() const override { return socket_.connected(); }

 private:
  void on_connected(int error) {
    if (error != 0) return finish(connect_failed_with(error, address_));
    if (talk_->minds_reset()) socket_.end_without_reset();
    take(talk_->begin(words_));
    proceed();
  }

  void proceed() {
    // Reads first: a backend may refuse in words, and reset.
    if (!read() || !write()) return;
    if (verdict_ && !talk_->minds_reset()) return finish(*verdict_);
    if (verdict_ && words_.empty()) part();
    socket_.wait_for(words_.empty() ? events::kReadable : events::kReadable | events::kWritable);
  }

  /// False when the probe is over. After the verdict only the end is of interest.
  bool read() {
    std::array<char, 4096> buffer;
    for (int i = 0; i < kReadsPerTurn; ++i) {
      const ssize_t n = ::recv(socket_.fd(), buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return true;
      if (n <= 0 && verdict_) return end(*verdict_);
      if (n <= 0) return end(n < 0 ? failed_with(errno) : verdict_of(talk_->hear_end()));
      if (verdict_) continue;
      take(talk_->hear({buffer.data(), static_cast<std::size_t>(n)}, words_));
      if (verdict_) return true;
    }
    return true;
  }

  bool write() {
    while (said_ < words_.size()) {
      const ssize_t n = ::send(socket_.fd(), words_.data() + said_, words_.size() - said_, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return true;
      if (n < 0) return end(verdict_ ? *verdict_ : failed_with(errno));
      said_ += static_cast<std::size_t>(n);
    }
    words_.clear();
    said_ = 0;
    return true;
  }

  void take(Heard heard) {
    if (heard.state == Heard::State::More) return;
    last_words_ = !words_.empty();
    verdict_ = verdict_of(std::move(heard));
  }

  static ProbeResult verdict_of(Heard heard) {
    return {heard.state == Heard::State::Passed ? Outcome::Passed : Outcome::Failed, std::move(heard.reason),
            true};
  }

  void part() {
    if (parting_over_.is_set()) return;
    // A backend that has been told goodbye closes first, and keeps the TIME_WAIT.
    if (!last_words_) ::shutdown(socket_.fd(), SHUT_WR);
    parting_over_.set(loop_.now() + kParting);
  }

  bool end(ProbeResult result) {
    finish(std::move(result));
    return false;
  }

  void finish(ProbeResult result) {
    cancel();
    done_(std::move(result));
  }

  ProbeLoop& loop_;
  const Address address_;
  const std::unique_ptr<Talk> talk_;
  Done done_;
  std::optional<ProbeResult> verdict_;
  std::string words_;        ///< still to be sent
  std::size_t said_ = 0;     ///< of words_
  bool last_words_ = false;  ///< some came with the verdict
  Alarm parting_over_;
  ProbeSocket socket_;
};

class TalkProbes final : public ProbeFactory {
 public:
  TalkProbes(ProbeLoop& loop, MakeTalk make) : loop_(loop), make_(make) {}
  std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) override {
    return make_talk_probe(loop_, input, make_(input.config), std::move(done));
  }

 private:
  ProbeLoop& loop_;
  const MakeTalk make_;
};

}  // namespace

std::unique_ptr<Probe> make_talk_probe(ProbeLoop& loop, const ProbeInput& input, std::unique_ptr<Talk> talk,
                                       Probe::Done done) {
  return std::make_unique<TalkProbe>(loop, input, std::move(talk), std::move(done));
}

std::unique_ptr<ProbeFactory> make_talk_factory(ProbeLoop& loop, MakeTalk make) {
  return std::make_unique<TalkProbes>(loop, make);
}

}  // namespace weir
