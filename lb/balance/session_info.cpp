#include "lb/balance/session_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "lb/base/glob.h"

namespace weir {

namespace {

template <class T>
bool parse_whole(std::string_view text, T& value, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Result<ClientNetwork> ClientNetwork::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = ClientAddress::parse_ip(text.substr(0, slash));
  if (!address) return tl::unexpected(address.error());
  ClientNetwork out;
  const auto ip = address->ip();
  std::copy(ip.begin(), ip.end(), out.prefix_.begin());
  out.bytes_ = ip.size();
  out.bits_ = ip.size() * 8;
  if (slash == std::string_view::npos) return out;
  std::size_t bits = 0;
  if (!parse_whole(text.substr(slash + 1), bits, 10) || bits > out.bits_)
    return fail(fmt::format("{} is not a network: after the slash comes 0 to {}", text, out.bits_));
  out.bits_ = bits;
  return out;
}

bool ClientNetwork::contains(const ClientAddress& client) const {
  const auto ip = client.ip();
  if (ip.size() != bytes_) return false;
  const std::size_t whole = bits_ / 8, rest = bits_ % 8;
  if (!std::equal(ip.begin(), ip.begin() + static_cast<std::ptrdiff_t>(whole), prefix_.begin())) return false;
  if (rest == 0) return true;
  const unsigned mask = 0xffu << (8 - rest) & 0xffu;
  return (ip[whole] & mask) == (prefix_[whole] & mask);
}

std::string SessionId::to_string() const {
  return fmt::format("{}-{:x}", worker, number);
}

std::optional<SessionId> SessionId::parse(std::string_view text) {
  const auto dash = text.find('-');
  SessionId out;
  if (dash == std::string_view::npos || !parse_whole(text.substr(0, dash), out.worker, 10) ||
      !parse_whole(text.substr(dash + 1), out.number, 16))
    return std::nullopt;
  return out;
}

std::uint64_t rank(SessionOrder order, std::uint64_t bytes, std::chrono::nanoseconds age, Millis idle) {
  switch (order) {
    case SessionOrder::Bytes:
      return bytes;
    case SessionOrder::Age:
      return static_cast<std::uint64_t>(age.count());
    case SessionOrder::Idle:
      return static_cast<std::uint64_t>(idle.count());
    case SessionOrder::None:
      break;
  }
  return 0;
}

bool SessionFilter::matches(const SessionId& id, std::string_view pool_name, const BackendLoad* load,
                            const ClientAddress& address) const {
  if (ids && !std::binary_search(ids->begin(), ids->end(), id)) return false;
  if (pool && !glob_matches(*pool, pool_name)) return false;
  if (backend && (load == nullptr || !glob_matches(*backend, load->name))) return false;
  if (backend_id && (load == nullptr || load->id != *backend_id)) return false;
  return !client || client->contains(address);
}

}  // namespace weir
