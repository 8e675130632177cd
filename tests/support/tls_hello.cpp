#include "tests/support/tls_hello.h"

namespace weir::test {

std::string tls_hello(const std::string& name, const std::string& protocols) {
  const auto number = [](std::size_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  std::string extensions;
  if (!name.empty()) {
    const std::string entry = std::string(1, '\0') + number(name.size(), 2) + name;
    const std::string list = number(entry.size(), 2) + entry;
    extensions += number(0, 2) + number(list.size(), 2) + list;
  }
  if (!protocols.empty()) {
    const std::string list = number(protocols.size(), 2) + protocols;
    extensions += number(16, 2) + number(list.size(), 2) + list;
  }
  const std::string body = std::string("\x03\x03", 2) + std::string(32, 'r') + std::string(1, '\0') +
                           std::string("\x00\x02\x13\x01", 4) + std::string("\x01\x00", 2) +
                           number(extensions.size(), 2) + extensions;
  const std::string message = "\x01" + number(body.size(), 3) + body;
  return std::string("\x16\x03\x01", 3) + number(message.size(), 2) + message;
}

}  // namespace weir::test
