#include "lb/control/web_rules.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"

namespace weir {
namespace {

using Digest = std::array<unsigned char, 32>;

Digest sha256(std::string_view text) {
  Digest out{};
  WEIR_CHECK(EVP_Digest(text.data(), text.size(), out.data(), nullptr, EVP_sha256(), nullptr) == 1);
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// Without the port, the brackets and a dot at the end; "" where it is no name with at most a port behind it.
std::string name_in(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    const bool whole = end + 1 == host.size() || (end != host.npos && host[end + 1] == ':');
    return whole ? std::string(host.substr(1, end - 1)) : "";
  }
  std::string out = lower(host.substr(0, host.find(':')));
  if (out.ends_with('.')) out.pop_back();
  return out;
}

bool is_ip(const std::string& name) {
  in6_addr ip;
  return ::inet_pton(AF_INET, name.c_str(), &ip) == 1 || ::inet_pton(AF_INET6, name.c_str(), &ip) == 1;
}

bool fits(std::string_view pattern, std::string_view name) {
  if (pattern == "*" || pattern == name) return true;
  return pattern.starts_with("*.") && name.size() >= pattern.size() && name.ends_with(pattern.substr(1));
}

HttpResponse refused(int status, std::string_view code, std::string_view message) {
  HttpResponse out{status, error_json(code, message)};
  if (status == 401) out.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"weir\"");
  return out;
}

/// 'sha256-…' of what stands between <tag> and </tag>, for each of them.
std::string hashes_of(std::string_view page, std::string_view tag) {
  std::string out;
  const std::string open = fmt::format("<{}", tag), close = fmt::format("</{}>", tag);
  for (std::size_t at = page.find(open); at != std::string_view::npos; at = page.find(open, at)) {
    const auto begin = page.find('>', at);
    const auto end = begin != std::string_view::npos ? page.find(close, begin) : begin;
    if (end == std::string_view::npos) break;
    out += fmt::format(" 'sha256-{}'", sha256_base64(page.substr(begin + 1, end - begin - 1)));
    at = end;
  }
  return out.empty() ? " 'none'" : out;
}

}  // namespace

std::string sha256_base64(std::string_view text) {
  const Digest digest = sha256(text);
  std::array<unsigned char, 4 * ((std::tuple_size_v<Digest> + 2) / 3) + 1> out{};
  const int size = EVP_EncodeBlock(out.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(size)};
}

std::vector<std::pair<std::string, std::string>> security_headers(std::string_view page) {
  std::string policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  if (!page.empty())
    policy += fmt::format("; connect-src 'self'; img-src 'self' data:; script-src{}; style-src{}",
                          hashes_of(page, "script"), hashes_of(page, "style"));
  return {{"Content-Security-Policy", std::move(policy)},
          {"X-Content-Type-Options", "nosniff"},
          {"X-Frame-Options", "DENY"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cache-Control", "no-store"}};
}

bool needs_token(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") return true;
  return request.path.size() >= 2 && request.path[0] == "v1" && request.path[1] == "sessions";
}

WebRules::WebRules(std::vector<std::string> hosts, std::string token)
    : hosts_(std::move(hosts)), token_(std::move(token)) {}

bool WebRules::knows_host(std::string_view host) const {
  const std::string name = name_in(host);
  if (name == "localhost" || is_ip(name)) return true;
  return std::ranges::any_of(hosts_, [&](const std::string& pattern) { return fits(pattern, name); });
}

bool WebRules::is_token(std::string_view authorization) const {
  constexpr std::string_view kBearer = "bearer ";
  const bool bearer = lower(authorization.substr(0, kBearer.size())) == kBearer;
  // Digests: neither where they differ nor how long the token is can be told from the time.
  const Digest given = sha256(authorization.substr(std::min(kBearer.size(), authorization.size())));
  const Digest own = sha256(token_);
  return CRYPTO_memcmp(given.data(), own.data(), own.size()) == 0 && bearer && !token_.empty();
}

std::optional<HttpResponse> WebRules::refusal(const HttpRequest& request) const {
  const std::string_view host = request.header("host");
  if (host.empty()) return refused(400, "no_host", "a request needs one Host header");
  if (!knows_host(host))
    return refused(
        403, "foreign_host",
        fmt::format("{} is no name of this Weir: besides localhost and addresses it answers to those of "
                    "web.hosts in its configuration",
                    quoted(host.substr(0, 255))));
  const std::string origin = lower(request.header("origin"));
  if (!origin.empty() && origin != "http://" + lower(host) && origin != "https://" + lower(host))
    return refused(403, "foreign_origin",
                   fmt::format("a page of {} may not ask this Weir", quoted(origin.substr(0, 255))));
  const std::string_view authorization = request.header("authorization");
  if (authorization.empty() && !needs_token(request)) return std::nullopt;
  if (token_.empty())
    return refused(
        403, "refused",
        "this address is for looking only: with web.token_file in the configuration it takes changes, and "
        "shows sessions, from who sends that token");
  if (authorization.empty())
    return refused(401, "no_token", "this needs \"Authorization: Bearer TOKEN\", the one of web.token_file");
  if (!is_token(authorization)) return refused(401, "wrong_token", "this is not the token of web.token_file");
  return std::nullopt;
}

}  // namespace weir
