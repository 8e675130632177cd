// A session until it is known who its client is, and whose backends are to serve it.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lb/net/raw_calls.h"
#include "lb/net/socket.h"
#include "lb/proxy/session.h"
#include "lb/proxy/worker.h"
#include "lb/wire/proxy_header.h"

namespace weir {
namespace {

/// Of the client's bytes that go out in one segment with the header for its backend.
constexpr std::size_t kFirstBytes = 16 * 1024;

void put_before(std::vector<std::byte>& bytes, std::string_view header) {
  const auto* const begin = reinterpret_cast<const std::byte*>(header.data());
  bytes.insert(bytes.begin(), begin, begin + header.size());
}

}  // namespace

Session::Setup::Arriving::~Arriving() {
  if (place.linked()) place.session.worker().arrival_ended(place);
}

void Session::arrive() {
  phase_ = Phase::Arriving;
  setup_->arrival = std::make_unique<Setup::Arriving>(*this, listener_.doorway());
  const auto answer = setup_->arrival->client.begin(worker().loop().now());
  if (!std::holds_alternative<Arrival::Wait>(answer)) return heed(answer);
  worker().arrival_begins(setup_->arrival->place);
  if (over()) return;
  const auto timeout = listener_.doorway().door->terms().header_timeout;
  worker().deadlines().set(*this, accepted_ms() + static_cast<std::uint64_t>(timeout.count()));
}

void Session::on_arrival_event(std::uint32_t seen) {
  constexpr std::uint32_t kSaysSomething =
      events::kReadable | events::kPeerClosed | events::kError | events::kHangUp;
  if ((seen & kSaysSomething) == 0) return;
  Arrival& client = setup_->arrival->client;
  const std::span<std::byte> buffer = worker().pump_context().buffer;
  while (true) {
    const std::size_t room = std::min(client.room(), buffer.size());
    const ssize_t got = raw::recv(relay_.client_fd(), buffer.data(), room, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    // One that is reset before its first byte has said as little as one that has finished.
    if (got <= 0) {
      const auto answer = client.on_end();
      if (got < 0 && !std::holds_alternative<Arrival::Silent>(answer)) return end(End::ClientGone, true);
      return heed(answer, seen);
    }
    const auto size = static_cast<std::size_t>(got);
    const bool is_empty = size < room && relay_.short_read_empties_client();
    const auto answer = client.on_bytes(buffer.first(size), worker().loop().now());
    if (!tell_client(client.take_reply())) return end(End::ClientGone, true);
    if (!std::holds_alternative<Arrival::Wait>(answer)) {
      if (is_empty) relay_.client_is_empty();
      return heed(answer, seen);
    }
    client_address_ = client.client();
    if (is_empty) return;
  }
}

bool Session::tell_client(const std::string& reply) const {
  // A byte or two are all that it has ever been sent: there is room, or it is gone.
  return reply.empty() || send(relay_.client_fd(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
                              static_cast<ssize_t>(reply.size());
}

void Session::heed(const Arrival::Answer& answer, std::uint32_t seen) {
  Arrival& client = setup_->arrival->client;
  client_address_ = client.client();
  facts_ = client.take_facts();
  setup_->first_bytes = client.take_bytes();
  setup_->tls_promised = client.was_promised_tls();
  setup_->arrival.reset();
  if (std::holds_alternative<Arrival::Silent>(answer)) return end_unseen();
  if (const auto* const refused = std::get_if<Arrival::Refused>(&answer))
    return turn_away(refused->how, refused->why);
  // No further event tells of a reset that came right behind what it said.
  if (relay_.client_is_gone(seen, !setup_->first_bytes.empty())) return end(End::ClientGone, true);
  if (pool_name().empty()) return turn_away(End::NoRoute, "no route fits, and the listener has no pool");
  take_timeouts();
  look_for_backend();
}

void Session::give_way() {
  if (phase_ != Phase::Arriving) return;
  heed(Arrival::Answer(setup_->arrival->client.give_way()));
}

void Session::turn_away(End how, std::string why) {
  facts().why = std::move(why);
  give_back_token();
  listener_.load().count_turned_away(worker().index(), how);
  end(how, true);
}

bool Session::is_denied() const {
  return is_denied_by(worker().door_in_force(listener_).get());
}

bool Session::is_denied_by(const Door* door) const {
  if (over() || phase_ == Phase::Arriving || door == nullptr) return false;
  const bool announced = facts_ && facts_->peer;
  if (door->expects_header() && !door->may_announce(announced ? *facts_->peer : client_address_)) return true;
  return !door->rules().decide(client_address_).allowed;
}

void Session::give_back_token() {
  if (has_token_) listener_.give_back_token();
  has_token_ = false;
}

bool Session::read_first_bytes() {
  const std::span<std::byte> buffer = worker().pump_context().buffer.first(kFirstBytes);
  const ssize_t got = raw::recv(relay_.client_fd(), buffer.data(), buffer.size(), 0);
  if (got < 0 && errno != EAGAIN && errno != EINTR) return false;
  if (got <= 0) return true;
  const auto size = static_cast<std::size_t>(got);
  setup_->first_bytes.assign(buffer.begin(), buffer.begin() + got);
  if (size < buffer.size() && relay_.short_read_empties_client()) relay_.client_is_empty();
  return true;
}

std::size_t Session::add_header(std::vector<std::byte>& bytes) {
  ClientAddress destination = local_address(relay_.client_fd());
  std::string_view tlvs, sni;
  if (facts_) {
    if (facts_->destination) destination = *facts_->destination;
    tlvs = facts_->tlvs;
    sni = facts_->sni;
  }
  std::string header;
  if (setup_->send_proxy == SendProxy::V1) {
    header = write_proxy_v1(client_address_, destination);
  } else {
    const std::string id = worker().unique_id(*this);
    header = write_proxy_v2(client_address_, destination,
                            {.passed_on = {reinterpret_cast<const std::uint8_t*>(tlvs.data()), tlvs.size()},
                             .unique_id = id,
                             .authority = sni.size() < Arrival::kMaxName ? sni : std::string_view()});
  }
  put_before(bytes, header);
  return header.size();
}

Facts& Session::facts() {
  if (!facts_) facts_ = std::make_unique<Facts>();
  return *facts_;
}

const std::string& Session::pool_name() const {
  return facts_ && !facts_->pool.empty() ? facts_->pool : listener_.load().pool;
}

const std::shared_ptr<const Pool>& Session::pool() const {
  return facts_ && !facts_->pool.empty() ? listener_.pool_of(facts_->pool) : listener_.pool();
}

}  // namespace weir
