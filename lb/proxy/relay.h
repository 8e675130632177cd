#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lb/base/fd.h"
#include "lb/base/state.h"
#include "lb/proxy/endings.h"
#include "lb/proxy/pump.h"
#include "lb/proxy/source.h"

namespace weir {

/// Which way bytes go.
enum class Way : std::uint8_t { ToBackend, ToClient };

/// A client's and a backend's socket, the two pumps between them, and how it all ends.
///
///   Relaying → over
///   Relaying → Resetting → over    one side is lost: what came before goes to the other side, then a reset
///   Relaying → HearingOut → over   the backend has answered in full and is lost: the client is heard out
///
/// Owns both descriptors until they are handed over by give_sockets(), and the bytes in hand. Knows no loop,
/// no pool, no log and no clock: it is told of events, asked to move bytes, and answers by value what is to
/// be done.
class Relay {
 public:
  struct Over {
    End how;
    bool reset;  ///< to both sides, as far as they are still there; else a clean end
  };
  /// What flow() has found: for conclude().
  struct Flow {
    Pump::Outcome to_backend = Pump::Outcome::Waiting;
    Pump::Outcome to_client = Pump::Outcome::Waiting;
    /// Both sides are there and go on, and wait for events: there is nothing to be concluded.
    bool calm = false;
  };
  /// What is to be done about a relay that is not calm.
  struct Step {
    std::optional<Over> over;
    bool again = false;         ///< has more to do: run it again next turn
    std::uint32_t wake_ms = 0;  ///< run it again after this time, since no event will tell; 0 = not needed
    /// The backend has ended before any byte has passed (refuse_untouched()); nothing has been done about it.
    bool refused = false;
    bool starved = false;  ///< the kernel's memory is short, which is our own trouble
    Fd lost;               ///< a socket that is done with, to be closed
  };
  /// Which timeout is in force.
  enum class Patience : std::uint8_t {
    Idle,        ///< both sides are there
    HalfClosed,  ///< one has finished or is lost
    Resetting    ///< a reset waits for what came before it to be taken
  };

  Relay(Fd client, Source kind) : client_(std::move(client)) { to_backend_.on_fresh_source(kind); }

  int client_fd() const { return client_.get(); }
  int backend_fd() const { return backend_.get(); }
  bool has_client() const { return static_cast<bool>(client_); }
  bool has_backend() const { return static_cast<bool>(backend_); }

  /// Before a backend is connected: whether these events of the client's, which have been heard, mean that it
  /// is gone. Its FIN is a half-close like any other. A unix client has no half-close when it closes: it is
  /// gone only if it has left nothing to be delivered: neither in its kernel, nor, by `has_left_bytes`, in
  /// the hands of whoever has read them already.
  bool client_is_gone(std::uint32_t seen, bool has_left_bytes) const;

  /// The backend's socket, connected or about to be: events are heard, nothing is read or written before
  /// start().
  void attach_backend(Fd backend, Source kind);
  /// Takes it back; another one may follow, of which nothing is known yet.
  Fd detach_backend();
  /// It has accepted, and was lost before the relay began: what it has sent is an answer all the same.
  void lose_backend(int error);
  /// The backend has accepted. flow() may follow.
  void start() { to_backend_.on_fresh_sink(); }
  /// The same, and these bytes go to it first. `header_bytes` of them, in front, are Weir's own: they are not
  /// counted, and while they are all, nothing of the client has been read.
  void start_with(std::vector<std::byte> bytes, std::size_t header_bytes) {
    start();
    to_backend_.put_first(std::move(bytes), header_bytes);
  }
  /// Of the client's bytes so many have been sent to the backend already. After start().
  void count_sent(std::size_t bytes) { to_backend_.count_sent(bytes); }
  /// An event has said that the client has something to read, and it has not been read since.
  bool client_has_spoken() const { return to_backend_.may_read(); }
  /// Of a client whose bytes others read before start(): whether a read that leaves room has taken all there
  /// were; and that one did.
  bool short_read_empties_client() const { return to_backend_.short_read_is_last(); }
  void client_is_empty() { to_backend_.source_is_empty(); }

  /// No byte has been read either way, and the client has not finished.
  bool untouched() const;
  /// While it is untouched(), a backend that ends is answered with Step::refused, whoever hears of it first:
  /// detach_backend() and start with another, or refuse_untouched(false) and go on.
  void refuse_untouched(bool refuse) { refuse_untouched_ = refuse; }

  /// The backend has finished: all that it had to say has come as far as this host.
  bool answer_is_whole() const { return answer_whole_ || to_client_.source_fin_arrived(); }

  void hear_client(std::uint32_t seen);
  void hear_backend(std::uint32_t seen);
  /// Moves what can be moved; inline, since of most events that is all there is to do.
  Flow flow(PumpContext& context) {
    Flow flow;
    if (phase_ == Phase::Resetting) return flow;
    if (!to_backend_.stands_still())
      flow.to_backend = to_backend_.run(client_.get(), backend_.get(), context);
    if (!to_client_.stands_still()) flow.to_client = to_client_.run(backend_.get(), client_.get(), context);
    flow.calm = flow.to_backend == Pump::Outcome::Waiting && flow.to_client == Pump::Outcome::Waiting &&
                to_backend_.is_calm() && to_client_.is_calm() && !lost_one();
    return flow;
  }
  /// Decides what is to be done after a flow() that was not calm.
  Step conclude(Flow flow, PumpContext& context);
  /// How it ends when its timeout has passed.
  Over on_timeout() const;

  bool bulk() const { return to_backend_.bulk() || to_client_.bulk(); }
  Patience patience() const;
  /// One side is lost, and only the other one's affairs are being brought to an end.
  bool closing() const { return phase_ != Phase::Relaying; }
  /// The backend is done with: the session is no load of its any more.
  bool hearing_out() const { return phase_ == Phase::HearingOut; }
  /// The same, and the client has taken the whole answer and its end: nothing is lost by a clean end now.
  bool answer_taken() const;
  std::uint64_t bytes_to_backend() const { return to_backend_.delivered_bytes(); }
  std::uint64_t bytes_to_client() const { return to_client_.delivered_bytes(); }

  /// Pump::mark() and the like, of one of its pumps.
  bool has_mark(Way way) const { return (way == Way::ToBackend ? to_backend_ : to_client_).has_mark(); }
  bool mark(Way way) {
    return way == Way::ToBackend ? to_backend_.mark(client_.get()) : to_client_.mark(backend_.get());
  }
  void unmark(Way way) {
    way == Way::ToBackend ? to_backend_.unmark(client_.get()) : to_client_.unmark(backend_.get());
  }

  /// Both sockets will be closed with a reset, unless they have had one.
  void prepare_reset();
  void give_sockets(std::vector<Fd>& out);
  /// Gives back what the pumps hold. Before destruction.
  void release(PipePool& pipes);

 private:
  enum class Phase : std::uint8_t { Relaying, Resetting, HearingOut };

  enum class Next : std::uint8_t { Wait, PumpOn };

  Next decide(Flow flow, PumpContext& context, Step& step);
  EndingFacts facts() const;
  Next settle(PumpContext& context, Step& step);
  void begin_reset(Act act, PumpContext& context, Step& step);
  void poll_delivery(Step& step);
  bool half_closed() const { return to_backend_.source_finished() || to_client_.source_finished(); }
  bool lost_one() const { return client_lost_ || backend_lost_; }

  Pump to_backend_;
  Pump to_client_;
  Fd client_;
  Fd backend_;
  Phase phase_ = Phase::Relaying;
  End ending_ = End::Done;          ///< what a Resetting one will have ended with
  std::uint8_t poll_exponent_ = 0;  ///< Resetting: the next look at the target's queue is in 2^n ms
  bool client_lost_ : 1 = false;
  bool backend_lost_ : 1 = false;
  bool request_whole_ : 1 = false;  ///< the client's FIN came, before any reset of its
  bool answer_whole_ : 1 = false;   ///< the backend's
  bool fin_to_backend_ : 1 = false;
  bool fin_to_client_ : 1 = false;
  bool refuse_untouched_ : 1 = false;
};

}  // namespace weir
