#include "lb/proxy/arrival.h"

#include <catch2/catch.hpp>

#include "lb/wire/postgres_start.h"
#include "tests/support/port.h"
#include "tests/support/tls_hello.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

ClientAddress address(const std::string& text) {
  return ClientAddress(test::to_address(text).data());
}

Network network(const std::string& text) {
  return Network::parse(text).value();
}

Doorway doorway(DoorTerms terms) {
  Doorway out{Door::make(terms), std::make_shared<DoorBook>()};
  REQUIRE(out.door != nullptr);
  if (out.door->limits_clients()) out.book->clients = std::make_unique<ClientLimits>(100, 100, HashKey{1, 2});
  return out;
}

std::span<const std::byte> bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string why(const Arrival::Answer& answer) {
  const auto* const refused = std::get_if<Arrival::Refused>(&answer);
  return refused != nullptr ? std::string(to_string(refused->how)) + ": " + refused->why : "";
}

bool admitted(const Arrival::Answer& answer) {
  return std::holds_alternative<Arrival::Admitted>(answer);
}

bool waits(const Arrival::Answer& answer) {
  return std::holds_alternative<Arrival::Wait>(answer);
}

std::string rest_of(Arrival& client) {
  const auto rest = client.take_bytes();
  return {reinterpret_cast<const char*>(rest.data()), rest.size()};
}

std::string pool_of(Arrival& client) {
  const auto facts = client.take_facts();
  return facts != nullptr ? facts->pool : "";
}

const std::string kSslRequest(kPostgresSslRequest);
const std::string kGssRequest(kPostgresGssRequest);
/// Of PostgreSQL's protocol 3.0, without TLS; and one that cancels what another session does.
const std::string kStartup = std::string("\0\0\0\x12\0\3\0\0", 8) + std::string("user\0me\0\0", 10);
const std::string kCancel = std::string("\0\0\0\x10\x04\xd2\x16\x2e", 8) + "12345678";

DoorTerms postgres_terms() {
  DoorTerms terms;
  terms.routes = {{{.names = {"shop.example.org"}, .protocols = {}, .clients = {}}, "shop"}};
  terms.preface = ClientPreface::Postgres;
  return terms;
}

const std::string kHeader = "PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\n";

}  // namespace

TEST_CASE("a listener that asks nothing has no door") {
  CHECK(Door::make({}) == nullptr);
  DoorTerms terms;
  terms.header_timeout = 1s;
  terms.unlimited = {network("10.0.0.0/8")};
  CHECK(Door::make(terms) == nullptr);
}

TEST_CASE("only who may announce a client is heard") {
  DoorTerms terms;
  terms.proxy_from = {network("10.0.0.0/8")};
  CHECK(why(Arrival(doorway(terms), address("192.0.2.1:1")).begin(0ns)) == "denied: not in proxy_from");
  CHECK(waits(Arrival(doorway(terms), address("10.9.9.9:1")).begin(0ns)));
}

TEST_CASE("a header that comes byte by byte makes the client another one, and what is behind it stays") {
  DoorTerms terms;
  terms.proxy_from = {network("10.0.0.0/8")};
  Arrival client(doorway(terms), address("10.0.0.1:99"));
  REQUIRE(waits(client.begin(0ns)));
  for (std::size_t i = 0; i + 1 < kHeader.size(); ++i)
    REQUIRE(waits(client.on_bytes(bytes(kHeader.substr(i, 1)), 0ns)));
  CHECK(client.client() == address("10.0.0.1:99"));
  REQUIRE(admitted(client.on_bytes(bytes("\nGET"), 0ns)));
  CHECK(client.client() == address("203.0.113.9:51234"));
  const auto rest = client.take_bytes();
  CHECK(std::string(reinterpret_cast<const char*>(rest.data()), rest.size()) == "GET");
  const auto facts = client.take_facts();
  CHECK(facts->peer == address("10.0.0.1:99"));
  CHECK(facts->destination == address("198.51.100.1:443"));
}

TEST_CASE("rules judge the client that was announced") {
  DoorTerms terms;
  terms.proxy_from = {network("10.0.0.0/8")};
  terms.deny = {network("203.0.113.0/24")};
  Arrival client(doorway(terms), address("10.0.0.1:99"));
  REQUIRE(waits(client.begin(0ns)));
  CHECK(why(client.on_bytes(bytes(kHeader), 0ns)) == "denied: deny 203.0.113.0/24");
}

TEST_CASE("the place of a client is held by its session's facts, and a refusal takes none") {
  DoorTerms terms;
  terms.sessions_per_client = 1;
  const Doorway way = doorway(terms);
  Arrival first(way, address("192.0.2.1:1"));
  REQUIRE(admitted(first.begin(0ns)));
  auto facts = first.take_facts();
  CHECK(why(Arrival(way, address("192.0.2.1:2")).begin(0ns)) == "client_limit: sessions_per_client = 1");
  CHECK(admitted(Arrival(way, address("192.0.2.2:1")).begin(0ns)));
  facts->place.give_back();
  CHECK(admitted(Arrival(way, address("192.0.2.1:3")).begin(0ns)));
}

TEST_CASE("who is announced by nobody is not limited, and who has no address neither") {
  DoorTerms terms;
  terms.sessions_per_client = 1;
  terms.proxy_from = {network("10.0.0.0/8"), network("unix")};
  const Doorway way = doorway(terms);
  std::vector<std::unique_ptr<Facts>> held;
  for (int i = 0; i < 3; ++i) {
    Arrival client(way, i == 2 ? ClientAddress() : address("10.0.0.1:99"));
    REQUIRE(waits(client.begin(0ns)));
    REQUIRE(admitted(client.on_bytes(bytes("PROXY UNKNOWN\r\n"), 0ns)));
    held.push_back(client.take_facts());
  }
}

TEST_CASE("an end or a timeout means what has been said by then") {
  DoorTerms terms;
  terms.proxy_from = {network("10.0.0.0/8")};
  terms.routes = {{{.names = {"shop"}, .protocols = {}, .clients = {}}, "shop"}};
  const auto arrive = [&](const std::string& said) {
    auto client = std::make_unique<Arrival>(doorway(terms), address("10.0.0.1:99"));
    REQUIRE(waits(client->begin(0ns)));
    if (!said.empty()) REQUIRE(waits(client->on_bytes(bytes(said), 0ns)));
    return client;
  };
  CHECK(std::holds_alternative<Arrival::Silent>(arrive("")->on_end()));
  CHECK(why(arrive("PRO")->on_end()) == "bad_header: the connection ended within the header");
  CHECK(why(arrive("")->on_timeout()) == "bad_header: no whole header within header_timeout = 3s");
  CHECK(admitted(arrive(kHeader)->on_end()));
  CHECK(admitted(arrive(kHeader)->on_timeout()));
  CHECK(why(arrive(kHeader + "\x16\x03")->on_end()) ==
        "bad_hello: the connection ended within the first message");
  CHECK(why(arrive(kHeader + "\x16\x03")->on_timeout()) ==
        "bad_hello: no whole first message within header_timeout = 3s");
}

TEST_CASE("a client never makes more be held than one header and one first message") {
  DoorTerms terms;
  terms.routes = {{{.names = {"shop"}, .protocols = {}, .clients = {}}, "shop"}};
  Arrival client(doorway(terms), address("192.0.2.1:1"));
  REQUIRE(waits(client.begin(0ns)));
  // A hello that says that it is 16 MB long, in records of 16 KiB.
  const std::string record = std::string("\x16\x03\x01\x40\x00", 5) + std::string(16'384, '\x01');
  Arrival::Answer answer = Arrival::Wait{};
  std::size_t held = 0;
  for (int i = 0; i < 10 && waits(answer); ++i) {
    const std::size_t size = std::min(client.room(), record.size());
    held += size;
    answer = client.on_bytes(bytes(record.substr(0, size)), 0ns);
  }
  CHECK(why(answer).starts_with("bad_hello"));
  CHECK(held <= kMaxClientHelloBytes);
}

TEST_CASE("of a name of any length no more is kept than 255 bytes") {
  DoorTerms terms;
  terms.routes = {{{.names = {"shop"}, .protocols = {}, .clients = {}}, "shop"}};
  const auto number = [](std::size_t value, int size) {
    std::string out;
    for (int i = size - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const std::string name(9'000, 'x');
  const std::string entry = std::string(1, '\0') + number(name.size(), 2) + name;
  const std::string list = number(entry.size(), 2) + entry;
  const std::string extensions = number(0, 2) + number(list.size(), 2) + list;
  const std::string body = "\x03\x03" + std::string(32, 'r') + std::string(1, '\0') +
                           std::string("\x00\x02\x13\x01", 4) + std::string("\x01\x00", 2) +
                           number(extensions.size(), 2) + extensions;
  const std::string message = "\x01" + number(body.size(), 3) + body;
  Arrival client(doorway(terms), address("192.0.2.1:1"));
  REQUIRE(waits(client.begin(0ns)));
  REQUIRE(admitted(client.on_bytes(bytes("\x16\x03\x01" + number(message.size(), 2) + message), 0ns)));
  CHECK(client.take_facts()->sni == std::string(Arrival::kMaxName, 'x'));
}

TEST_CASE("PostgreSQL's client is told that it may speak TLS, and then goes by its name, however it is cut") {
  const std::string hello = test::tls_hello("shop.example.org");
  struct Case {
    std::string header, said, reply, rest, pool;
    bool promised;
  };
  const Case cases[] = {
      {"", kSslRequest + hello, "S", hello, "shop", true},
      {"", kSslRequest + test::tls_hello("other.example.org"), "S", test::tls_hello("other.example.org"), "",
       true},
      {"", kGssRequest + kSslRequest + hello, "NS", hello, "shop", true},
      {"", kGssRequest + kStartup, "N", kStartup, "", false},
      {"", kGssRequest + hello, "N", hello, "shop", false},
      {"", kStartup, "", kStartup, "", false},
      {"", kCancel, "", kCancel, "", false},
      {"", hello, "", hello, "shop", false},
      {kHeader, kSslRequest + hello, "S", hello, "shop", true},
      {kHeader, kStartup, "", kStartup, "", false},
  };
  for (const Case& one : cases) {
    DoorTerms terms = postgres_terms();
    if (!one.header.empty()) terms.proxy_from = {network("10.0.0.0/8")};
    const std::string all = one.header + one.said;
    for (std::size_t cut = 1; cut <= all.size(); ++cut) {
      CAPTURE(one.said.size(), cut);
      Arrival client(doorway(terms), address("10.0.0.1:99"));
      Arrival::Answer answer = client.begin(0ns);
      std::string reply;
      std::size_t told = 0;
      while (waits(answer) && told < all.size()) {
        const std::size_t size = told == 0 ? cut : all.size() - told;
        answer = client.on_bytes(bytes(all.substr(told, size)), 0ns);
        told += size;
        reply += client.take_reply();
      }
      REQUIRE(admitted(answer));
      CHECK(reply == one.reply);
      CHECK(client.was_promised_tls() == one.promised);
      CHECK(rest_of(client) + all.substr(told) == one.rest);
      CHECK(pool_of(client) == one.pool);
    }
  }
}

TEST_CASE("a client that has asked for TLS and does not go on is no client of any pool") {
  const auto arrive = [&](const std::string& said) {
    auto client = std::make_unique<Arrival>(doorway(postgres_terms()), address("10.0.0.1:99"));
    REQUIRE(waits(client->begin(0ns)));
    if (!said.empty()) REQUIRE(waits(client->on_bytes(bytes(said), 0ns)));
    return client;
  };
  CHECK(admitted(arrive("")->on_end()));
  CHECK(admitted(arrive("")->on_timeout()));
  for (const std::string& said : {kSslRequest.substr(0, 7), kSslRequest, kGssRequest, kSslRequest + "\x16"}) {
    CHECK(why(arrive(said)->on_end()) == "bad_hello: the connection ended within the first message");
    CHECK(why(arrive(said)->on_timeout()) == "bad_hello: no whole first message within header_timeout = 3s");
  }
  Arrival twice(doorway(postgres_terms()), address("10.0.0.1:99"));
  REQUIRE(waits(twice.begin(0ns)));
  CHECK(why(twice.on_bytes(bytes(kGssRequest + kGssRequest), 0ns)) == "bad_hello: a second GSSENCRequest");
}

TEST_CASE("without that preface PostgreSQL's request is what no TLS is") {
  DoorTerms terms = postgres_terms();
  terms.preface = ClientPreface::Off;
  Arrival client(doorway(terms), address("10.0.0.1:99"));
  REQUIRE(waits(client.begin(0ns)));
  REQUIRE(admitted(client.on_bytes(bytes(kSslRequest), 0ns)));
  CHECK(client.take_reply().empty());
  CHECK(rest_of(client) == kSslRequest);
}
