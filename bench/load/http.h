#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::load {

/// As much of an HTTP/1 request head as a test server has to know.
struct RequestHead {
  std::size_t size = 0;  ///< of the head, its empty line included
  bool keep_alive = true;
  bool is_head = false;  ///< the HEAD method: no body in the answer
  bool chunked = false;
  std::uint64_t content_length = 0;
};

/// The head at the beginning of `bytes`; nothing when its end has not come yet.
std::optional<RequestHead> parse_request_head(std::string_view bytes);

}  // namespace weir::load
