#pragma once

#include <openssl/ssl.h>

#include <ctime>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "health/talk.h"

namespace weir {

struct FreeTls {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* tls) const { SSL_free(tls); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTls>;

/// Trusts the certificates of `ca_file`; with "" those that this host trusts, which are read one by one when
/// they are needed. Or why there is none.
tl::expected<TlsContext, std::string> make_tls_context(const std::string& ca_file);

/// A handshake as a client, which gives in to any certificate and judges it afterwards: a server has an alert
/// in its log for each handshake that ends in the middle. `now`: what the certificate's days are counted
/// from. `config` outlives it.
std::unique_ptr<Talk> make_tls_talk(const ProbeConfig& config, SSL_CTX& context, std::time_t now);

}  // namespace weir
