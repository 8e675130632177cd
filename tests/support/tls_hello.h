#pragma once

#include <string>

namespace weir::test {

/// A TLS 1.2 client's first message that asks for `name` and offers `protocols` (RFC 7301's list).
std::string tls_hello(const std::string& name, const std::string& protocols = "");

}  // namespace weir::test
