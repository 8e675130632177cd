#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/stream.h"

namespace weir::test {

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< by their names in small letters
  std::string body;                            ///< without the marks of chunks

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found != headers.end() ? found->second : "";
  }
};

struct HttpAsk {
  std::string method = "GET";
  std::string host = "localhost";
  std::vector<std::string> headers = {};  ///< "Accept: text/plain"
  std::string body = {};
};

/// One request on a connection of its own, as it is written: nothing is escaped. `address`: as of Stream.
/// Throws StreamError when nobody answers, or not in HTTP.
HttpAnswer http(const std::string& address, const std::string& target, const HttpAsk& ask = {});
/// The same of bytes that somebody sends who may not speak HTTP; status 0: there was no answer.
HttpAnswer http_raw(const std::string& address, std::string_view bytes);
/// What was answered, out of its bytes.
HttpAnswer parse_http(const std::string& text);

}  // namespace weir::test
