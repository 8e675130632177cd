#include "lb/admit/routes.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

using namespace weir;

namespace {

using Texts = std::vector<std::string>;

RouteTerms terms(const Texts& names, const Texts& protocols = {}, const Texts& clients = {}) {
  RouteTerms out;
  for (const auto& name : names) out.names.push_back(*parse_name_pattern(name));
  out.protocols = protocols;
  for (const auto& client : clients) out.clients.push_back(*Network::parse(client));
  return out;
}

std::string list(const Texts& protocols) {
  std::string out;
  for (const auto& protocol : protocols) out += static_cast<char>(protocol.size()) + protocol;
  return out;
}

const ClientAddress kClient = *ClientAddress::parse_ip("10.1.0.1");

bool fits(std::string_view pattern, std::string_view name) {
  return Routes({terms({std::string(pattern)})}).find(kClient, name, "").has_value();
}

}  // namespace

TEST_CASE("a star stands for one or more labels at the left") {
  CHECK(fits("*.example.org", "a.example.org"));
  CHECK(fits("*.example.org", "a.b.example.org"));
  CHECK_FALSE(fits("*.example.org", "example.org"));
  CHECK_FALSE(fits("*.example.org", ".example.org"));
  CHECK_FALSE(fits("*.example.org", "a..example.org"));
  CHECK_FALSE(fits("*.example.org", "badexample.org"));
  CHECK_FALSE(fits("*.example.org", "a.example.org.evil"));
  CHECK(fits("*", "localhost"));
  CHECK(fits("*", "a.example.org"));
  CHECK_FALSE(fits("*", ""));
  CHECK_FALSE(fits("*", "."));
}

TEST_CASE("neither case nor a dot at the end of a name matters") {
  CHECK(fits("www.example.com", "WWW.Example.COM"));
  CHECK(fits("WWW.example.com.", "www.example.com"));
  CHECK(fits("www.example.com", "www.example.com."));
  CHECK_FALSE(fits("www.example.com", "www.example.com.."));
  CHECK_FALSE(fits("www.example.com", "example.com"));
  CHECK_FALSE(fits("www.example.com", "a.www.example.com"));
  CHECK(fits("_dns.xn--bcher-kva.example", "_dns.XN--bcher-kva.example"));
}

TEST_CASE("an address is no name") {
  for (const char* address : {"192.0.2.1", "192.0.2.1.", "::1", "2001:db8::1", "[::1]", "::ffff:192.0.2.1"}) {
    CHECK_FALSE(fits("*", address));
    CHECK_FALSE(parse_name_pattern(address));
  }
  CHECK(parse_name_pattern("::1").error().message.find("is an address") != std::string::npos);
  CHECK(fits("*", "1.2.3.4.5"));
}

TEST_CASE("a name that no host can have fits nothing, however long it is") {
  CHECK(fits("*", std::string(253, 'a')));
  CHECK_FALSE(fits("*", std::string(254, 'a')));
  std::string labels;
  for (int i = 0; i < 30'000; ++i) labels += "a.";
  CHECK_FALSE(fits("*.a", labels));
}

TEST_CASE("a pattern that is none is refused with what is wrong with it") {
  const auto [text, says] = GENERATE(table<std::string, std::string>({
      {"", "no name"},
      {".", "no name"},
      {"a..b", "empty label"},
      {".a", "empty label"},
      {"*..a", "empty label"},
      {"a.*.b", "not the whole of its first label"},
      {"a*.b", "not the whole of its first label"},
      {"**.b", "not the whole of its first label"},
      {"*.*.b", "not the whole of its first label"},
      {"a.*", "not the whole of its first label"},
      {"b\xc3\xbc"
       "cher.example",
       "xn--"},
      {"a b", "more than letters"},
      {"https://a", "more than letters"},
      {"a/b", "more than letters"},
      {"192.0.2.1", "address"},
      {std::string(64, 'a') + ".b", "63 bytes"},
      {std::string(254, 'a'), "253 bytes"},
  }));
  CAPTURE(text);
  const auto pattern = parse_name_pattern(text);
  REQUIRE_FALSE(pattern);
  CHECK(pattern.error().message.find(says) != std::string::npos);
}

TEST_CASE("the first route whose terms all fit is taken") {
  const Routes routes({terms({"www.example.com"}, {"h2"}, {"10.1.0.0/16", "unix"}),
                       terms({"www.example.com"}, {"h2"}), terms({"www.example.com", "*.example.org"}),
                       terms({}, {"acme-tls/1", "h2"}), terms({}, {}, {"10.1.0.0/16"})});
  const auto other = *ClientAddress::parse_ip("10.2.0.1");
  CHECK(routes.find(kClient, "www.example.com", list({"http/1.1", "h2"})) == 0u);
  CHECK(routes.find(ClientAddress(), "www.example.com", list({"h2"})) == 0u);
  CHECK(routes.find(other, "www.example.com", list({"h2"})) == 1u);
  CHECK(routes.find(kClient, "www.example.com", list({"http/1.1"})) == 2u);
  CHECK(routes.find(other, "a.example.org", "") == 2u);
  CHECK(routes.find(other, "", list({"h2"})) == 3u);
  CHECK(routes.find(other, "b.example", list({"spdy", "acme-tls/1"})) == 3u);
  CHECK(routes.find(other, "b.example", list({"H2", "h", "h22"})) == std::nullopt);
  CHECK(routes.find(kClient, "", "") == 4u);
  CHECK(routes.find(other, "", "") == std::nullopt);
  CHECK(Routes().find(kClient, "a", list({"h2"})) == std::nullopt);
}

TEST_CASE("the first message is waited for only where it decides") {
  const Routes routes({terms({}, {}, {"10.9.0.0/16"}), terms({"a"}, {}, {"10.1.0.0/16"}),
                       terms({}, {}, {"10.0.0.0/8"}), terms({}, {"h2"}, {"::/0"})});
  const auto first = [&routes](std::string_view ip) {
    return routes.find_first(ip == "unix" ? ClientAddress() : *ClientAddress::parse_ip(ip));
  };
  CHECK(first("10.9.0.1").route == 0u);
  CHECK(first("10.1.0.1").needs_hello);
  CHECK(first("10.2.0.1").route == 2u);
  CHECK(first("::1").needs_hello);
  CHECK_FALSE(first("192.0.2.1").needs_hello);
  CHECK_FALSE(first("192.0.2.1").route);
  CHECK_FALSE(first("unix").needs_hello);
  CHECK_FALSE(Routes().find_first(kClient).needs_hello);
}

TEST_CASE("a list of protocols that is cut short is read as far as it goes") {
  const Routes routes({terms({}, {"h2"})});
  CHECK(routes.find(kClient, "", "\x02h2\x05h") == 0u);
  CHECK_FALSE(routes.find(kClient, "", "\x05h2"));
}

TEST_CASE("the name is found among thousands of routes") {
  std::vector<RouteTerms> many;
  many.reserve(5'000);
  for (int i = 0; i < 5'000; ++i)
    many.push_back(terms({fmt::format("{}.example.com", i), fmt::format("*.{}.example", i)}));
  const Routes routes(many);
  CHECK(routes.find(kClient, "4711.example.com", "") == 4711u);
  CHECK(routes.find(kClient, "a.b.4999.example", "") == 4999u);
  CHECK_FALSE(routes.find(kClient, "5000.example.com", ""));
}
