#include "bench/load/http.h"

#include <strings.h>

#include <charconv>

namespace weir::load {

namespace {

bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

void read_field(std::string_view line, RequestHead& head) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (equals(name, "connection")) {
    if (equals(value, "close")) head.keep_alive = false;
    if (equals(value, "keep-alive")) head.keep_alive = true;
  } else if (equals(name, "content-length")) {
    std::from_chars(value.data(), value.data() + value.size(), head.content_length);
  } else if (equals(name, "transfer-encoding")) {
    head.chunked = true;
  }
}

}  // namespace

std::optional<RequestHead> parse_request_head(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  RequestHead head;
  head.size = end + 4;
  std::string_view rest = bytes.substr(0, end);
  const std::size_t first_end = rest.find("\r\n");
  const std::string_view request_line = rest.substr(0, first_end);
  head.is_head = request_line.starts_with("HEAD ");
  head.keep_alive = !request_line.ends_with("HTTP/1.0");
  while (rest.find("\r\n") != std::string_view::npos) {
    rest.remove_prefix(rest.find("\r\n") + 2);
    read_field(rest.substr(0, rest.find("\r\n")), head);
  }
  return head;
}

}  // namespace weir::load
