#include "tests/support/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace weir::test {
namespace {

/// Without the marks of chunks, as far as it has come.
std::string joined_chunks(std::string_view text) {
  std::string out;
  while (true) {
    std::size_t size = 0;
    const auto end = text.find("\r\n");
    if (end == std::string_view::npos) return out;
    std::from_chars(text.data(), text.data() + end, size, 16);
    text.remove_prefix(end + 2);
    if (size == 0) return out;
    out += text.substr(0, size);
    text.remove_prefix(std::min(size + 2, text.size()));
  }
}

}  // namespace

HttpAnswer parse_http(const std::string& text) {
  HttpAnswer out;
  const auto head_end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || head_end == std::string::npos) return out;
  out.status = std::stoi(text.substr(9, 3));
  for (auto at = text.find("\r\n") + 2; at < head_end;) {
    const auto end = text.find("\r\n", at), colon = text.find(": ", at);
    std::string name = text.substr(at, colon - at);
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    out.headers[name] = text.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  out.body = text.substr(head_end + 4);
  if (out.header("transfer-encoding") == "chunked") out.body = joined_chunks(out.body);
  return out;
}

HttpAnswer http_raw(const std::string& address, std::string_view bytes) {
  Stream stream = Stream::connect(address);
  try {
    stream.send_all(bytes);
  } catch (const StreamError&) {  // it may answer before it has read all
  }
  return parse_http(stream.recv_to_end().data);
}

HttpAnswer http(const std::string& address, const std::string& target, const HttpAsk& ask) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nConnection: close\r\n", ask.method, target);
  if (!ask.host.empty()) text += fmt::format("Host: {}\r\n", ask.host);
  for (const std::string& header : ask.headers) text += header + "\r\n";
  if (!ask.body.empty() || ask.method == "POST")
    text += fmt::format("Content-Length: {}\r\n", ask.body.size());
  HttpAnswer answer = http_raw(address, text + "\r\n" + ask.body);
  if (answer.status == 0) throw StreamError(fmt::format("no answer to {} {}", ask.method, target));
  return answer;
}

}  // namespace weir::test
