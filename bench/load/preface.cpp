#include "bench/load/preface.h"

#include <algorithm>

namespace weir::load {

namespace {

constexpr std::size_t kProxyV2Fixed = 16;
constexpr std::size_t kRecordHead = 5;
constexpr std::size_t kHelloBytes = 517;  // what browsers pad theirs to

std::string number(std::size_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> 8 * i & 255);
  return out;
}

std::string with_size(const std::string& body, int bytes) {
  return number(body.size(), bytes) + body;
}

std::string extension(std::size_t type, const std::string& body) {
  return number(type, 2) + with_size(body, 2);
}

std::string client_hello() {
  const std::string name(kHelloName);
  std::string extensions =
      extension(0, with_size(std::string(1, '\0') + with_size(name, 2), 2)) +
      extension(10, with_size(number(0x001d, 2), 2)) +
      extension(13, with_size(number(0x0403, 2) + number(0x0804, 2), 2)) +
      extension(43, with_size(number(0x0304, 2) + number(0x0303, 2), 1)) +
      extension(51, with_size(number(0x001d, 2) + with_size(std::string(32, 'k'), 2), 2));
  const std::string begin = number(0x0303, 2) + std::string(32, 'r') + with_size(std::string(32, 's'), 1) +
                            with_size(number(0x1301, 2) + number(0x1302, 2) + number(0xc02f, 2), 2) +
                            with_size(std::string(1, '\0'), 1);
  const std::size_t heads = kRecordHead + 4 + 2 + 4;
  extensions += extension(21, std::string(kHelloBytes - heads - begin.size() - extensions.size(), '\0'));
  const std::string hello = number(1, 1) + with_size(begin + with_size(extensions, 2), 3);
  return number(22, 1) + number(0x0301, 2) + with_size(hello, 2);
}

std::size_t two_bytes(std::string_view text, std::size_t at) {
  return static_cast<std::size_t>(static_cast<unsigned char>(text[at])) << 8 |
         static_cast<unsigned char>(text[at + 1]);
}

}  // namespace

std::string preface_bytes(Preface preface) {
  if (preface == Preface::Hello) return client_hello();
  if (preface == Preface::None) return "";
  // From 203.0.113.9, port 51234, to 198.51.100.1, port 443.
  return std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16) +
         std::string("\xcb\0\x71\x09\xc6\x33\x64\x01\xc8\x22\x01\xbb", 12);
}

std::size_t PrefaceReader::size() const {
  if (preface_ == Preface::Hello) return head_.size() < kRecordHead ? 0 : kRecordHead + two_bytes(head_, 3);
  if (head_.starts_with('P')) {
    const std::size_t end = head_.find('\n');
    return end == std::string::npos ? 0 : end + 1;
  }
  return head_.size() < kProxyV2Fixed ? 0 : kProxyV2Fixed + two_bytes(head_, 14);
}

std::string_view PrefaceReader::behind(std::string_view received) {
  if (preface_ == Preface::None) return received;
  const std::size_t before = head_.size();
  head_ += received;
  const std::size_t whole = size();
  if (whole == 0 || head_.size() < whole) return {};
  preface_ = Preface::None;
  head_.clear();
  return received.substr(whole - before);
}

}  // namespace weir::load
