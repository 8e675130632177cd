#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/control/http_server.h"

namespace weir {

/// What [web] asks of a request before anybody looks at what it wants: a browser may be made to ask in
/// somebody else's name, by a page of another's (Origin) or by a name of another's that leads here (Host).
/// Pure but for a complaint in the log.
class WebRules {
 public:
  WebRules() = default;
  /// `hosts`: web.hosts; `token`: "" = nobody may change anything.
  WebRules(std::vector<std::string> hosts, std::string token);

  /// Why it is not answered; nothing when it is. Only /livez and /readyz are not asked.
  std::optional<HttpResponse> refusal(const HttpRequest& request) const;

 private:
  bool knows_host(std::string_view host) const;
  /// "Bearer TOKEN"; takes as long whatever it is.
  bool is_token(std::string_view authorization) const;

  std::vector<std::string> hosts_;
  std::string token_;
};

/// Changes what is there, or shows who the clients are.
bool needs_token(const HttpRequest& request);

/// A base64 of the SHA-256 of `text`, as a Content-Security-Policy names a script.
std::string sha256_base64(std::string_view text);

/// What every answer has with it: nothing that is not the page's own may be run, loaded or framed. `page`:
/// the HTML that is answered, whose own scripts and styles may be; "" = none.
std::vector<std::pair<std::string, std::string>> security_headers(std::string_view page = {});

}  // namespace weir
