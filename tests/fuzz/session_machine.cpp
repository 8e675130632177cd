#include "tests/fuzz/session_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "lb/base/state.h"
#include "lb/proxy/descriptors.h"
#include "lb/proxy/relay.h"
#include "tests/fuzz/fake_socket.h"

namespace weir::fuzz {
namespace {

constexpr std::size_t kBufferBytes = 16 * 1024;
/// Turns after which one that has all it needs has ended: megabytes, by a few KiB each.
constexpr int kMostTurns = 4'000;

/// What is chosen, from the front of the script; zeros once it is over.
class Script {
 public:
  explicit Script(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  bool over() const { return rest_.empty(); }
  std::uint8_t next() {
    if (rest_.empty()) return 0;
    const std::uint8_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

/// A session as far as it relays: what Session does with its Relay, and nothing else.
class Machine {
 public:
  explicit Machine(Script script) : script_(script) {
    const std::uint8_t kinds = script_.next();
    client_ = make(0, (kinds & 1) != 0);
    backend_ = make(1, (kinds & 2) != 0);
    FakeSocket::splice_refused = (kinds & 4) != 0;
    FakeSocket::next_trouble = FakeSocket::Trouble::None;
    relay_.emplace(client_->take_fd(), client_->is_unix() ? Source::Unix : Source::Tcp);
    attach();
  }
  ~Machine() {
    relay_->release(pipes_);
    relay_.reset();
    FakeSocket::next_trouble = FakeSocket::Trouble::None;
    FakeSocket::splice_refused = false;
  }

  std::optional<std::string> run() {
    while (!script_.over() && !over_ && fault_.empty()) step();
    finish();
    if (fault_.empty()) fault_ = client_->fault();
    if (fault_.empty()) fault_ = backend_->fault();
    relay_->release(pipes_);
    if (fault_.empty() && pipes_.in_use() > 0) fault_ = "a pipe is left";
    return fault_.empty() ? std::nullopt : std::optional(fault_);
  }

 private:
  std::unique_ptr<FakeSocket> make(unsigned direction, bool is_unix) {
    constexpr std::size_t kBuffers[] = {1'000, 4'096, 60'000, 300'000};
    return std::make_unique<FakeSocket>(direction, is_unix, kBuffers[script_.next() % 4]);
  }

  void attach() {
    relay_->attach_backend(backend_->take_fd(), backend_->is_unix() ? Source::Unix : Source::Tcp);
    relay_->start();
    relay_->refuse_untouched(true);
    probation_ = true;
  }

  std::size_t some_bytes() {
    constexpr std::size_t kSizes[] = {1, 100, 536, 4'096, kBufferBytes, 40'000, 100'000, 256 * 1024};
    const std::uint8_t choice = script_.next();
    return kSizes[choice % 8] + choice / 8;
  }

  /// One deed of somebody's.
  void step() {
    const std::uint8_t deed = script_.next();
    FakeSocket& far = (deed & 1) != 0 ? *backend_ : *client_;
    switch (deed >> 1 & 15) {
      case 0:
      case 1:
      case 2:
        return far.far_sends(some_bytes());
      case 3:
      case 4:
      case 5:
        return far.far_reads(some_bytes());
      case 6:
        return far.far_finishes();
      case 7:
        return (deed & 0xe0) == 0 ? far.far_resets() : far.far_sends(some_bytes());
      case 8:
        FakeSocket::next_trouble = static_cast<FakeSocket::Trouble>(script_.next() % 4);
        return;
      case 9:
        return wake();
      case 10:
        return run_again();
      case 11:
        if ((deed & 0xe0) != 0xe0 || over_) return;
        timed_out_ = true;
        return end(relay_->on_timeout());
      default:
        return turn((deed & 0x20) != 0);
    }
  }

  /// A batch of events. `between`: something happens after the kernel has made it up.
  void turn(bool between) {
    const std::uint32_t of_client = relay_->has_client() && client_->has_news() ? client_->take_news() : 0;
    const std::uint32_t of_backend =
        relay_->has_backend() && backend_->has_news() ? backend_->take_news() : 0;
    FakeSocket* const told = backend_.get();
    if (between && !script_.over()) {
      const std::uint8_t deed = script_.next();
      FakeSocket& far = (deed & 1) != 0 ? *backend_ : *client_;
      if ((deed & 6) == 0) far.far_finishes();
      if ((deed & 6) == 2) far.far_resets();
      if ((deed & 6) == 4) far.far_sends(some_bytes());
    }
    if (of_client != 0 && relay_->has_client() && !over_) {
      relay_->hear_client(of_client);
      relay();
    }
    if (of_backend != 0 && relay_->has_backend() && !over_ && told == backend_.get()) {
      relay_->hear_backend(of_backend);
      relay();
    }
    context_.moved_bytes = 0;
  }

  void wake() {
    if (over_ || !std::exchange(wakes_, false)) return;
    relay();
  }
  void run_again() {
    if (over_ || !std::exchange(again_, false)) return;
    context_.moved_bytes = 0;
    relay();
  }

  void relay() {
    const std::uint64_t before = relay_->bytes_to_backend() + relay_->bytes_to_client();
    const Relay::Flow flow = relay_->flow(context_);
    if (!flow.calm) conclude(flow);
    if (over_) return;
    if (relay_->bytes_to_backend() + relay_->bytes_to_client() == before) return;
    probation_ = false;
    relay_->refuse_untouched(false);
  }

  void conclude(Relay::Flow flow) {
    Relay::Step step = relay_->conclude(flow, context_);
    if (step.refused) {
      if (!probation_ || !relay_->untouched()) return blame("a backend is refused that was touched");
      if ((script_.next() & 1) != 0 && refusals_++ == 0) return try_another();
      relay_->refuse_untouched(false);
      step = relay_->conclude(relay_->flow(context_), context_);
      if (step.refused) return blame("a backend is refused twice");
    }
    if (step.lost) closed_.push_back(std::move(step.lost));
    if (step.over) return end(*step.over);
    again_ = again_ || step.again;
    wakes_ = wakes_ || step.wake_ms > 0;
  }

  void try_another() {
    closed_.push_back(relay_->detach_backend());
    former_ = std::move(backend_);
    backend_ = make(1, former_->is_unix());
    attach();
  }

  void end(Relay::Over over) {
    if (over_) return blame("it has ended twice");
    over_ = over;
    if (over.reset) relay_->prepare_reset();
    relay_->give_sockets(closed_);
    judge();
  }

  /// Whether the two sides account for the way it has ended.
  void judge() {
    const bool tcp = !client_->is_unix() && !backend_->is_unix();
    const End how = over_->how;
    if (over_->how == End::Done && over_->reset) return blame("a clean end with a reset");
    if (how == End::ClientReset && !client_->far_reset()) return blame("no client has reset");
    if (how == End::BackendReset && !backend_->far_reset()) return blame("no backend has reset");
    if (!tcp) return;
    if (how == End::Done) {
      if (!backend_->far_whole()) return blame("done, though the backend has not finished");
      if (!client_->far_reset() && client_->written() < backend_->far_sent())
        return blame("done, and the client has not got all");
      // One that is heard out for its whole time may have said more in the very last moment.
      if (!client_->far_reset() && client_->unread() > 0 && !timed_out_)
        return blame("done, and what is closed with unread input destroys the answer");
    }
    if (how == End::BackendReset && !client_->far_reset() && !timed_out_)
      if (client_->written() < backend_->far_sent() || client_->unsent() > 0)
        return blame("what came before a backend's reset has not reached the client");
  }

  /// No FIN overtakes a byte, nor stands for a reset.
  void look_at_ends() {
    if (client_->shut() && !backend_->is_unix() && !backend_->far_whole())
      blame("the client is told of an end that the backend has not made");
    if (client_->shut() && client_->written() < backend_->far_sent()) blame("a FIN has overtaken the answer");
    if (backend_->shut() && !client_->far_finished()) blame("the backend is told of an end of nobody's");
    if (backend_->shut() && backend_->written() < client_->far_sent())
      blame("a FIN has overtaken the request");
  }

  /// Everybody takes what there is, and nobody is in trouble any more: first all that has been said arrives,
  /// then it ends.
  void finish() {
    FakeSocket::next_trouble = FakeSocket::Trouble::None;
    settle();
    look_at_ends();
    const bool both_there = !client_->far_reset() && !backend_->far_reset();
    if (!over_ && fault_.empty() && both_there) {
      if (client_->written() != backend_->far_sent()) blame("the answer has stalled");
      if (backend_->written() != client_->far_sent()) blame("the request has stalled");
    }
    if (over_ || !fault_.empty()) return;
    client_->far_finishes();
    backend_->far_finishes();
    settle();
    if (!over_) return blame("both sides have finished, and it has not ended");
    const bool neat = both_there && over_->how != End::Done;
    if (neat) blame(fmt::format("both sides have finished, and it has ended as {}", to_string(over_->how)));
  }

  void settle() {
    for (int turns = 0; turns < kMostTurns && !over_ && fault_.empty(); ++turns) {
      client_->far_reads(SIZE_MAX);
      backend_->far_reads(SIZE_MAX);
      const bool idle = !again_ && !wakes_ && !(relay_->has_client() && client_->has_news()) &&
                        !(relay_->has_backend() && backend_->has_news());
      if (idle) return;
      turn(false);
      run_again();
      wake();
    }
    if (!over_ && fault_.empty()) blame("it goes round in circles");
  }

  void blame(std::string what) {
    if (fault_.empty()) fault_ = std::move(what);
  }

  Script script_;
  Descriptors descriptors_;
  PipeAllowance allowance_{descriptors_};
  PipePool pipes_{allowance_};
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBufferBytes);
  PumpContext context_{buffer_, pipes_};
  std::unique_ptr<FakeSocket> client_;
  std::unique_ptr<FakeSocket> backend_;
  std::unique_ptr<FakeSocket> former_;  ///< a backend that was refused
  std::vector<Fd> closed_;              ///< kept open, so that their numbers stay theirs
  std::optional<Relay> relay_;
  std::optional<Relay::Over> over_;
  std::string fault_;
  int refusals_ = 0;
  bool probation_ = false;
  bool again_ = false;
  bool wakes_ = false;
  bool timed_out_ = false;
};

}  // namespace

std::optional<std::string> run_session_machine(std::span<const std::uint8_t> script) {
  return Machine(Script(script)).run();
}

}  // namespace weir::fuzz
