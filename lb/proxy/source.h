#pragma once

#include <cstdint>

namespace weir {

/// How a socket is read: what a short read and a hang-up say about what is left in it. A value.
///
/// TCP: a read that comes back short has emptied the queue, and when the FIN had been heard of before, it was
/// the last one. With out-of-band data or an error about, only EAGAIN, 0 and an error are believed.
/// Unix: a read stops short wherever the sender had passed a descriptor or changed its credentials, with more
/// bytes behind; only EAGAIN is empty, only 0 is the end. A close comes at once as "both directions are
/// over", with bytes unread.
enum class Source : std::uint8_t { Tcp, Unix };

constexpr bool short_read_empties(Source source) {
  return source == Source::Tcp;
}

/// What a hang-up without an error says before a backend is connected: that a TCP client has reset. A unix
/// client has closed, and may have left a request.
constexpr bool hang_up_is_reset(Source source) {
  return source == Source::Tcp;
}

}  // namespace weir
