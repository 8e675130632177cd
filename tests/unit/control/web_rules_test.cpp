#include "lb/control/web_rules.h"

#include <catch2/catch.hpp>

using namespace weir;
using Catch::Contains;

namespace {

const std::string kToken = "0123456789abcdef";

HttpRequest request(std::string host, std::string method = "GET", std::vector<std::string> path = {}) {
  HttpRequest out;
  out.method = std::move(method);
  out.path = std::move(path);
  if (!host.empty()) out.headers["host"] = std::move(host);
  return out;
}

int status_of(const WebRules& rules, const HttpRequest& asked) {
  const auto refused = rules.refusal(asked);
  return refused ? refused->status : 200;
}

}  // namespace

TEST_CASE("only names that are known are answered to") {
  const WebRules rules({"weir.example.org", "*.lan"}, "");
  for (const char* host :
       {"localhost", "localhost:9110", "LOCALHOST", "localhost.:80", "127.0.0.1:9110", "[::1]:9110",
        "[fe80::1]", "weir.example.org", "Weir.Example.org.:9110", "a.lan", "b.a.lan:1"}) {
    CAPTURE(host);
    CHECK(status_of(rules, request(host)) == 200);
  }
  // The last ones are what a name of an attacker's that leads here looks like.
  for (const char* host :
       {"example.org", "lan", "xlan", ".lan.evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
        "localhost, evil.example", "evil.example:9110", "127.0.0.1evil", "[::1].evil"}) {
    CAPTURE(host);
    const auto refused = rules.refusal(request(host));
    REQUIRE(refused);
    CHECK(refused->status == 403);
    CHECK_THAT(refused->body, Contains("web.hosts"));
  }
  CHECK(status_of(rules, request("")) == 400);
  CHECK(status_of(WebRules({"*"}, ""), request("whatever.example")) == 200);
}

TEST_CASE("another page may not ask") {
  const WebRules rules({}, kToken);
  auto asked = request("localhost:9110");
  for (const auto& [origin, status] :
       std::vector<std::pair<std::string, int>>{{"http://localhost:9110", 200},
                                                {"https://LOCALHOST:9110", 200},
                                                {"http://localhost", 403},
                                                {"http://localhost:91100", 403},
                                                {"https://evil.example", 403},
                                                {"null", 403}}) {
    CAPTURE(origin);
    asked.headers["origin"] = origin;
    CHECK(status_of(rules, asked) == status);
    asked.headers["authorization"] = "Bearer " + kToken;
    CHECK(status_of(rules, asked) == status);
    asked.headers.erase("authorization");
  }
}

TEST_CASE("changes and sessions are for who sends the token") {
  const WebRules rules({}, kToken);
  const WebRules none({}, "");
  const std::vector<HttpRequest> guarded{request("localhost", "POST", {"v1", "reload"}),
                                         request("localhost", "DELETE", {"v1", "backends", "web", "a"}),
                                         request("localhost", "GET", {"v1", "sessions"}),
                                         request("localhost", "HEAD", {"v1", "sessions"}),
                                         request("localhost", "PUT", {"x"})};
  for (auto asked : guarded) {
    CHECK(status_of(rules, asked) == 401);
    CHECK(status_of(none, asked) == 403);
    for (const std::string& wrong :
         std::vector<std::string>{"Bearer " + kToken + "x", "Bearer " + kToken.substr(1), "Bearer ", "Bearer",
                                  "Basic " + kToken, kToken, "Bearer " + kToken + ", Bearer " + kToken}) {
      CAPTURE(wrong);
      asked.headers["authorization"] = wrong;
      CHECK(status_of(rules, asked) == 401);
      CHECK(status_of(none, asked) == 403);
    }
    asked.headers["authorization"] = "bearer " + kToken;
    CHECK(status_of(rules, asked) == 200);
    CHECK(status_of(none, asked) == 403);
  }
  // A token that is wrong is told even where none is needed.
  auto looks = request("localhost", "GET", {"v1", "status"});
  CHECK(status_of(rules, looks) == 200);
  looks.headers["authorization"] = "Bearer wrong";
  const auto refused = rules.refusal(looks);
  REQUIRE(refused);
  CHECK(refused->headers.at(0) ==
        std::pair<std::string, std::string>("WWW-Authenticate", "Bearer realm=\"weir\""));
  // No token is no token: what is empty is not the same as another thing that is empty.
  looks.headers["authorization"] = "Bearer ";
  CHECK(status_of(none, looks) == 403);
}

TEST_CASE("a page's own scripts and styles may be run by their hashes and no others") {
  // printf %s 'alert(1)' | openssl dgst -sha256 -binary | base64
  CHECK(sha256_base64("alert(1)") == "bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=");
  const auto headers = security_headers("<style>b{}</style><script type=\"module\">alert(1)</script>");
  REQUIRE(headers.front().first == "Content-Security-Policy");
  CHECK_THAT(headers.front().second,
             Contains("default-src 'none'") &&
                 Contains("script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='") &&
                 Contains("style-src 'sha256-") && !Contains("unsafe"));
  CHECK_THAT(security_headers().front().second, !Contains("script-src"));
}
