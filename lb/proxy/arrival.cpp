#include "lb/proxy/arrival.h"

#include <fmt/format.h>

#include "lb/base/duration.h"
#include "lb/wire/postgres_start.h"
#include "lb/wire/proxy_header.h"

namespace weir {
namespace {

Bytes octets(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

Facts& Arrival::facts() {
  if (!facts_) facts_ = std::make_unique<Facts>();
  return *facts_;
}

std::size_t Arrival::room() const {
  const std::size_t most = due_ == Due::Header ? kMaxProxyV2Bytes : kMaxClientHelloBytes;
  return most > bytes_.size() ? most - bytes_.size() : 0;
}

Arrival::Answer Arrival::begin(Time now) {
  if (!door().expects_header()) return let_in(now);
  if (!door().may_announce(client_)) return Refused{End::Denied, "not in proxy_from"};
  return Wait{};
}

Arrival::Answer Arrival::on_bytes(std::span<const std::byte> bytes, Time now) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return due_ == Due::Header ? read_header(now) : read_first_message();
}

Arrival::Answer Arrival::read_header(Time now) {
  const ProxyHeaderParse parsed = parse_proxy_header(octets(bytes_));
  if (std::get_if<NeedsMore>(&parsed)) return Wait{};
  if (const auto* const bad = std::get_if<Malformed>(&parsed)) return Refused{End::BadHeader, bad->why};
  const auto& header = std::get<ProxyHeader>(parsed);
  announced_nobody_ = !header.announced.has_value();
  if (header.announced) {
    facts().peer = client_;
    facts().destination = header.announced->destination;
    client_ = header.announced->client;
  }
  if (!header.tlvs.empty()) facts().tlvs = text_of(header.tlvs);
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(header.size_bytes));
  return let_in(now);
}

Arrival::Answer Arrival::let_in(Time now) {
  const Rules::Decision decision = door().rules().decide(client_);
  if (!decision.allowed) return Refused{End::Denied, door().rules().in_words(decision)};
  if (!announced_nobody_ && door().limits(client_)) {
    auto place = doorway_.book->clients->admit(client_, door().client_limit(), now);
    if (!place && place.error() == ClientRefusal::Sessions)
      return Refused{End::ClientLimit,
                     fmt::format("sessions_per_client = {}", door().client_limit().sessions)};
    if (!place)
      return Refused{End::ClientRate,
                     fmt::format("new_sessions_per_client = {}", door().terms().new_sessions_per_client)};
    facts().place = std::move(*place);
  }
  due_ = door().terms().preface == ClientPreface::Postgres ? Due::PostgresStart : Due::Hello;
  if (!door().has_routes()) return Admitted{};
  const Routes::First first = door().routes().find_first(client_);
  if (first.needs_hello) return read_first_message();
  if (!first.route) return Admitted{};
  facts().pool = door().pool_of(*first.route);
  return Admitted{};
}

Arrival::Answer Arrival::read_first_message() {
  if (bytes_.empty()) return Wait{};
  return due_ == Due::PostgresStart ? read_postgres_start() : read_hello();
}

Arrival::Answer Arrival::read_postgres_start() {
  const PostgresStart start = recognize_postgres(octets(bytes_));
  if (start == PostgresStart::NeedsMore) return Wait{};
  if (start == PostgresStart::GssRequest && was_refused_gss_)
    return Refused{End::BadHello, "a second GSSENCRequest"};
  const bool is_gss = start == PostgresStart::GssRequest;
  if (!is_gss) due_ = Due::Hello;
  if (start != PostgresStart::Other) {
    (is_gss ? was_refused_gss_ : was_promised_tls_) = true;
    reply_ += is_gss ? kPostgresNo : kPostgresYes;
    bytes_.erase(bytes_.begin(), bytes_.begin() + kPostgresRequestBytes);
  }
  return read_first_message();
}

Arrival::Answer Arrival::read_hello() {
  const ClientHelloParse parsed = hello_.read(octets(bytes_));
  if (std::get_if<NeedsMore>(&parsed)) {
    if (room() > 0) return Wait{};
    return Refused{End::BadHello, fmt::format("the first message is over {} bytes", kMaxClientHelloBytes)};
  }
  if (const auto* const bad = std::get_if<Malformed>(&parsed)) return Refused{End::BadHello, bad->why};
  if (std::get_if<NoTls>(&parsed)) return take_route({}, {});
  const auto& hello = std::get<ClientHello>(parsed);
  if (!hello.server_name().empty()) facts().sni = hello.server_name().substr(0, kMaxName);
  return take_route(hello.server_name(), hello.alpn_list());
}

Arrival::Answer Arrival::take_route(std::string_view name, std::string_view protocols) {
  if (const Routes::Place route = door().routes().find(client_, name, protocols))
    facts().pool = door().pool_of(*route);
  return Admitted{};
}

Arrival::Answer Arrival::on_end() {
  if (due_ == Due::Header) {
    if (bytes_.empty()) return Silent{};
    return Refused{End::BadHeader, "the connection ended within the header"};
  }
  if (!has_begun()) return take_route({}, {});
  return Refused{End::BadHello, "the connection ended within the first message"};
}

Arrival::Answer Arrival::on_timeout() {
  const std::string timeout = format_duration(door().terms().header_timeout);
  if (due_ == Due::Header)
    return Refused{End::BadHeader, fmt::format("no whole header within header_timeout = {}", timeout)};
  if (!has_begun()) return take_route({}, {});
  return Refused{End::BadHello, fmt::format("no whole first message within header_timeout = {}", timeout)};
}

Arrival::Refused Arrival::give_way() const {
  const bool header = due_ == Due::Header;
  return {header ? End::BadHeader : End::BadHello,
          fmt::format("too many clients have yet to send their {}", header ? "header" : "first message")};
}

}  // namespace weir
