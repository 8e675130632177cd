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
