#include "lb/proxy/arrival.h"

#include <catch2/catch.hpp>

#include "tests/support/port.h"

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
