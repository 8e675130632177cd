#include "lb/proxy/relay.h"

#include <sys/socket.h>

#include <cerrno>

#include "lb/net/loop.h"
#include "lb/net/socket.h"

namespace weir {
namespace {

/// Looks at the target's queue while a reset waits for it to empty come after 1, 2, 4 … 64 ms: no event
/// tells.
constexpr std::uint8_t kMaxPollExponent = 6;

/// Between two tries while the kernel's memory is short.
constexpr std::uint32_t kStarvedMs = 10;

/// Whether the FIN that ended what `reading` reads came before any reset. A write that failed for a reset has
/// taken the socket's error with it, and the read then ends as cleanly as after a FIN; EPIPE, though, is what
/// a reset *after* a FIN gives (tcp_reset in the kernel).
bool finished_whole(const Pump& reading, const Pump& writing) {
  return reading.source_finished() && (writing.sink_error() == 0 || writing.sink_error() == EPIPE);
}

bool has_unread_bytes(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

}  // namespace

bool Relay::client_is_gone(std::uint32_t seen, bool has_left_bytes) const {
  if ((seen & events::kError) != 0) return true;
  if ((seen & events::kHangUp) == 0) return false;
  return hang_up_is_reset(to_backend_.source_kind()) || (!has_left_bytes && !has_unread_bytes(client_.get()));
}

void Relay::attach_backend(Fd backend, Source kind) {
  backend_ = std::move(backend);
  to_client_.on_fresh_source(kind);
}

Fd Relay::detach_backend() {
  to_client_.on_fresh_source(to_client_.source_kind());
  to_backend_.forget_sink();
  backend_lost_ = answer_whole_ = false;
  return std::move(backend_);
}

bool Relay::untouched() const {
  return to_backend_.untouched() && to_client_.untouched() && !to_backend_.source_finished() &&
         to_backend_.source_error() == 0 && !client_lost_ && !fin_to_client_;
}

void Relay::lose_backend(int error) {
  backend_lost_ = true;
  to_backend_.fail_sink(error);
}

void Relay::hear_client(std::uint32_t seen) {
  to_backend_.on_source_events(seen);
  to_client_.on_sink_events(seen);
  if ((seen & events::kError) != 0) client_lost_ = true;
}

void Relay::hear_backend(std::uint32_t seen) {
  to_client_.on_source_events(seen);
  to_backend_.on_sink_events(seen);
  if ((seen & events::kError) != 0) backend_lost_ = true;
}

Relay::Patience Relay::patience() const {
  if (phase_ == Phase::Resetting) return Patience::Resetting;
  return half_closed() || lost_one() ? Patience::HalfClosed : Patience::Idle;
}

bool Relay::answer_taken() const {
  return hearing_out() && fin_to_client_ && unsent_bytes(client_.get()) == 0;
}

Relay::Step Relay::conclude(Flow flow, PumpContext& context) {
  Step step;
  if (phase_ == Phase::Resetting) {
    const bool to_backend = ending_ == End::ClientReset;
    (to_backend ? to_backend_ : to_client_).run(-1, (to_backend ? backend_ : client_).get(), context);
    poll_delivery(step);
  } else {
    for (Next next = decide(flow, context, step); next == Next::PumpOn;)
      next = decide(this->flow(context), context, step);
  }
  step.starved = to_backend_.starved() || to_client_.starved();
  if (step.starved && step.wake_ms == 0) step.wake_ms = kStarvedMs;
  return step;
}

Relay::Next Relay::decide(Flow flow, PumpContext& context, Step& step) {
  using Outcome = Pump::Outcome;
  if (flow.to_backend == Outcome::OutOfBudget || flow.to_client == Outcome::OutOfBudget) step.again = true;
  if (finished_whole(to_backend_, to_client_)) request_whole_ = true;
  if (finished_whole(to_client_, to_backend_)) answer_whole_ = true;
  // Whoever takes nothing any more may have said something before.
  if (flow.to_backend == Outcome::SinkFailed && !backend_lost_) {
    backend_lost_ = true;
    to_client_.read_to_end();
    return Next::PumpOn;
  }
  if (flow.to_client == Outcome::SinkFailed && !client_lost_) {
    client_lost_ = true;
    to_backend_.read_to_end();
    return Next::PumpOn;
  }
  return settle(context, step);
}

EndingFacts Relay::facts() const {
  EndingFacts facts;
  facts.client = {.finished = to_backend_.source_finished(),
                  .whole = request_whole_,
                  .failed = to_backend_.source_error() != 0,
                  .lost = client_lost_,
                  .in_hand = to_backend_.holds_bytes(),
                  .passed_on = fin_to_backend_};
  facts.backend = {.finished = to_client_.source_finished(),
                   .whole = answer_whole_,
                   .failed = to_client_.source_error() != 0,
                   .lost = backend_lost_,
                   .in_hand = to_client_.holds_bytes(),
                   .passed_on = fin_to_client_};
  facts.hearing_out = hearing_out();
  return facts;
}

/// Both pumps stand still. Every fact is lasting, so that what cannot be acted upon yet (bytes still on their
/// way) is found again after the next event.
Relay::Next Relay::settle(PumpContext& context, Step& step) {
  const bool backend_ended = to_client_.source_finished() || to_client_.source_error() != 0 || backend_lost_;
  if (refuse_untouched_ && backend_ended && untouched()) {
    step.refused = true;
    return Next::Wait;
  }
  while (true) {
    const Act act = next_act(facts());
    switch (act) {
      case Act::Wait:
        return Next::Wait;
      case Act::FinToBackend:
        fin_to_backend_ = true;
        shutdown(backend_.get(), SHUT_WR);
        break;
      case Act::FinToClient:
        fin_to_client_ = true;
        shutdown(client_.get(), SHUT_WR);
        break;
      case Act::HearClientOut:
        phase_ = Phase::HearingOut;
        step.lost = std::move(backend_);
        to_backend_.discard(context.pipes);
        return Next::PumpOn;
      case Act::ResetBackend:
      case Act::ResetClient:
        begin_reset(act, context, step);
        return Next::Wait;
      case Act::EndDone:
      case Act::EndClientReset:
      case Act::EndBackendReset:
        step.over = Over{*end_of(act), act != Act::EndDone};
        return Next::Wait;
    }
  }
}

void Relay::begin_reset(Act act, PumpContext& context, Step& step) {
  ending_ = *end_of(act);
  phase_ = Phase::Resetting;
  const bool to_backend = act == Act::ResetBackend;
  (to_backend ? to_client_ : to_backend_).release(context.pipes);
  if (to_backend)
    client_lost_ = true;
  else
    backend_lost_ = true;
  poll_delivery(step);
  if (!step.over) step.lost = std::move(to_backend ? client_ : backend_);
}

void Relay::poll_delivery(Step& step) {
  const bool to_backend = ending_ == End::ClientReset;
  const Pump& pump = to_backend ? to_backend_ : to_client_;
  const int target = (to_backend ? backend_ : client_).get();
  // A close with linger 0 destroys what the kernel has queued: not before the other end has acknowledged it.
  // Once that end has reset itself, nothing is acknowledged any more.
  const bool target_lost = to_backend ? backend_lost_ : client_lost_;
  if (target_lost || pump.sink_error() != 0 || (!pump.holds_bytes() && unsent_bytes(target) == 0)) {
    step.over = Over{ending_, true};
    return;
  }
  step.wake_ms = 1u << poll_exponent_;
  if (poll_exponent_ < kMaxPollExponent) ++poll_exponent_;
}

Relay::Over Relay::on_timeout() const {
  if (phase_ == Phase::Resetting) return {ending_, true};
  if (client_lost_) return {End::ClientReset, true};
  if (phase_ == Phase::HearingOut)
    return fin_to_client_ ? Over{End::Done, false} : Over{End::HalfCloseIdle, true};
  if (backend_lost_) return {End::BackendReset, true};
  return {half_closed() ? End::HalfCloseIdle : End::Idle, true};
}

void Relay::prepare_reset() {
  if (client_ && !client_lost_) set_reset_on_close(client_.get());
  if (backend_ && !backend_lost_) set_reset_on_close(backend_.get());
}

void Relay::give_sockets(std::vector<Fd>& out) {
  if (client_) out.push_back(std::move(client_));
  if (backend_) out.push_back(std::move(backend_));
}

void Relay::release(PipePool& pipes) {
  to_backend_.release(pipes);
  to_client_.release(pipes);
}

}  // namespace weir
