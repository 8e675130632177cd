#include "tests/support/admin_client.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/stream.h"
#include "tests/support/timing.h"

namespace weir::test {
namespace {

std::string reply_to_get(const std::string& socket, const std::string& what) {
  try {
    Stream stream = Stream::connect("unix:" + socket);
    stream.send_all(fmt::format("GET /v1/{} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n", what));
    return stream.recv_to_end(patient(milliseconds(30'000))).data;
  } catch (const StreamError&) {
    return {};
  }
}

}  // namespace

nlohmann::json get_json(const std::string& socket, const std::string& what) {
  const std::string reply = reply_to_get(socket, what);
  const auto head_end = reply.find("\r\n\r\n");
  if (!reply.starts_with("HTTP/1.1 200 ") || head_end == std::string::npos)
    throw std::runtime_error(fmt::format("GET /v1/{} was answered \"{}\"", what, reply.substr(0, 1000)));
  return nlohmann::json::parse(reply.substr(head_end + 4));
}

}  // namespace weir::test
