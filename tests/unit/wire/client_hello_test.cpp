#include "lb/wire/client_hello.h"

#include <array>
#include <chrono>
#include <vector>

#include "tests/support/timing.h"
#include "tests/unit/wire/feeding.h"

using namespace weir;
using namespace weir::test;
using namespace std::string_literals;

namespace {

std::string vector8(const std::string& text) {
  return static_cast<char>(text.size()) + text;
}
std::string vector16(const std::string& text) {
  return u16(text.size()) + text;
}

std::string extension(std::uint16_t type, const std::string& value) {
  return u16(type) + vector16(value);
}
std::string host_name(const std::string& name) {
  return "\0"s + vector16(name);
}
std::string server_name(const std::string& name) {
  return extension(0, vector16(host_name(name)));
}
std::string alpn(const std::vector<std::string>& protocols) {
  std::string list;
  for (const auto& protocol : protocols) list += vector8(protocol);
  return extension(16, vector16(list));
}
std::string grease(std::uint16_t type) {
  return extension(type, "\0"s);
}

/// Up to its compression methods.
std::string body_start(std::uint16_t version = 0x0303) {
  return u16(version) + std::string(32, 'r') + vector8(std::string(32, 's')) +
         vector16("\x1a\x1a\x13\x01\x13\x02") + vector8("\0"s);
}

std::string message(const std::string& body) {
  return "\x01\0"s.substr(0, 1) + static_cast<char>(body.size() >> 16) + u16(body.size() & 0xffff) + body;
}
std::string message_with(const std::string& extensions) {
  return message(body_start() + vector16(extensions));
}

std::string record(const std::string& fragment, std::uint8_t minor = 1, std::uint8_t type = 22) {
  return std::string{static_cast<char>(type), 3, static_cast<char>(minor)} + vector16(fragment);
}
std::string records(const std::string& text, std::size_t fragment_bytes) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += fragment_bytes)
    out += record(text.substr(at, fragment_bytes));
  return out;
}

ClientHelloParse parse(Bytes bytes) {
  ClientHelloReader reader;
  return reader.read(bytes);
}

/// The same bytes, one more at each call, to one reader.
ClientHelloParse feed(std::string_view text) {
  const Exact all(text);
  ClientHelloReader reader;
  for (std::size_t size = 0; size < text.size(); ++size) {
    auto parsed = reader.read(all.bytes().first(size));
    if (!std::holds_alternative<NeedsMore>(parsed)) return parsed;
  }
  return reader.read(all.bytes());
}

std::string said(const ClientHelloParse& parsed) {
  if (std::holds_alternative<NoTls>(parsed)) return "no TLS";
  if (std::holds_alternative<NeedsMore>(parsed)) return "needs more";
  if (const auto* bad = std::get_if<Malformed>(&parsed)) return bad->why;
  const auto& hello = std::get<ClientHello>(parsed);
  std::string out = "\"" + hello.server_name() + "\"";
  const Exact list(hello.alpn_list());
  ByteReader protocols(list.bytes());
  while (!protocols.empty()) out += " " + std::string(text_of(protocols.take_vector8()));
  CHECK_FALSE(protocols.failed());
  return out;
}

/// What is said of it whole, which is what is said of it byte by byte.
std::string said_of(const std::string& text) {
  const auto whole = parse(Exact(text).bytes());
  CHECK(said(whole) == said(feed(text)));
  if (!std::holds_alternative<NoTls>(whole)) check_every_cut(text, text.size(), parse);
  return said(whole);
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t at = 0; at < hex.size(); at += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16));
  return out;
}

const std::string kExtensions = grease(0x0a0a) + server_name("www.example.com") + extension(0xff01, "\0"s) +
                                alpn({"h2", "http/1.1"}) + extension(43, "\x04\x03\x04\x03\x03"s) +
                                grease(0x1a1a);
const std::string kSaid = "\"www.example.com\" h2 http/1.1";

}  // namespace

TEST_CASE("a hello gives its name and the protocols it offers") {
  CHECK(said_of(record(message_with(kExtensions))) == kSaid);
  CHECK(said_of(record(message_with(server_name("a")))) == "\"a\"");
  CHECK(said_of(record(message_with(server_name("Www.Example.COM.")))) == "\"Www.Example.COM.\"");
  CHECK(said_of(record(message_with(server_name("192.0.2.1")))) == "\"192.0.2.1\"");
  CHECK(said_of(record(message_with(server_name(std::string(300, 'n'))))) ==
        "\"" + std::string(300, 'n') + "\"");
  CHECK(said_of(record(message_with(alpn({"acme-tls/1"})))) == "\"\" acme-tls/1");
  CHECK(said_of(record(message_with(""))) == "\"\"");
  CHECK(said_of(record(message(body_start()))) == "\"\"");
}

TEST_CASE("a hello of any version of TLS is one") {
  for (const std::uint8_t minor : std::to_array<std::uint8_t>({0, 1, 2, 3, 4, 255}))
    for (std::uint16_t version = 0x0300; version <= 0x0304; ++version)
      CHECK(said_of(record(message(body_start(version) + vector16(kExtensions)), minor)) == kSaid);
}

TEST_CASE("a hello that OpenSSL has sent is understood") {
  const std::string text = from_hex(
      "16030100bc010000b80303d00629b07fd8f86f89fe1e3894fbe604eed3e8f0db43b675cabc110ed410725800001ec02c"
      "c030c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100007100000012001000000d612e6578616d70"
      "6c652e6f7267000b000403000102000a000c000a001d0017001e00190018002300000010000500030268320016000000"
      "170000000d002a0028040305030603080708080809080a080b0804080508060401050106010303030103020402050206"
      "02");
  CHECK(said_of(text) == "\"a.example.org\" h2");
}

TEST_CASE("a hello may be spread over any number of records") {
  const std::string whole = message_with(kExtensions);
  for (std::size_t size = 1; size <= whole.size(); size += size < 12 ? 1 : 37)
    CHECK(said_of(records(whole, size)) == kSaid);
  for (const std::string& text :
       {records(whole, 5) + record("what follows"), record(whole + "another message")}) {
    CHECK(said(parse(Exact(text).bytes())) == kSaid);
    CHECK(said(feed(text)) == kSaid);
  }
}

TEST_CASE("a hello over 16 KiB is read, one over 64 KiB is not") {
  const auto padded_to = [](std::size_t message_bytes) {
    const std::size_t rest = message_with(server_name("big") + extension(21, "")).size();
    return message_with(server_name("big") + extension(21, std::string(message_bytes - rest, '\0')));
  };
  const auto both = [](const std::string& text) {
    CHECK(said(parse(Exact(text).bytes())) == said(feed(text)));
    return said(parse(Exact(text).bytes()));
  };
  CHECK(both(records(padded_to(17'000), 16'384)) == "\"big\"");
  CHECK(both(records(padded_to(60'000), 1'000)) == "\"big\"");
  // Four records: 64 KiB in all.
  CHECK(both(records(padded_to(65'536 - 4 * 5), 16'384)) == "\"big\"");
  CHECK(both(records(padded_to(65'536 - 4 * 5 + 1), 16'384)) == "client hello over 64 KiB");
  CHECK(both(records(padded_to(20'000), 1)) == "client hello over 64 KiB");
  // Known from its first nine bytes.
  CHECK(both(record("\x01\x01\0\0"s)) == "client hello over 64 KiB");
  CHECK(both(record("\x01\0\xff\xff"s)) == "client hello over 64 KiB");
  CHECK(both(record("\x01\0\xff\x00"s)) == "needs more");
}

TEST_CASE("what does not begin with 22, 3 and a ClientHello is no TLS") {
  // An SSLv2-framed hello of TLS 1.0 among them: it has no names.
  const auto text = GENERATE("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"s, "GET / HTTP/1.1\r\n"s,
                             "\x17\x03\x03"s, "\x16\x02\x03"s, "\x16\xfe\xff"s, record("\x02\0\0\x01x"s),
                             record("\0"s), "\0"s, "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"s);
  CHECK(said_of(text) == "no TLS");
}

TEST_CASE("a hello whose framing is wrong is malformed") {
  const std::string whole = message_with(kExtensions);
  const auto [text, why] = GENERATE_COPY(table<std::string, std::string>({
      {record(""), "client hello with an empty record"},
      {record("\x01") + record(""), "client hello with an empty record"},
      {"\x16\x03\x01" + u16(16'385), "client hello with a record over 16,384 bytes"},
      {record(whole.substr(0, 20)) + record(whole.substr(20), 1, 23),
       "client hello that something else breaks off"},
      {record(whole.substr(0, 20)) + "\x15\x03\x01\x00\x02\x02\x28"s,
       "client hello that something else breaks off"},
      {record(whole.substr(0, 2)) + "\x16\x02", "client hello that something else breaks off"},
  }));
  CHECK(said_of(text) == why);
}

TEST_CASE("a hello whose names cannot be read is malformed") {
  const auto [body, why] = GENERATE(table<std::string, std::string>({
      {"", "client hello that is shorter than its parts"},
      {body_start().substr(0, 33), "client hello that is shorter than its parts"},
      {body_start().substr(0, 40), "client hello that is shorter than its parts"},
      {body_start().substr(0, body_start().size() - 1), "client hello that is shorter than its parts"},
      {body_start() + "\0"s, "client hello with a bad length of its extensions"},
      {body_start() + "\0\x01"s, "client hello with a bad length of its extensions"},
      {body_start() + vector16(kExtensions) + "x", "client hello with a bad length of its extensions"},
      {body_start() + u16(kExtensions.size() + 1) + kExtensions,
       "client hello with a bad length of its extensions"},
      {body_start() + vector16(kExtensions + "x"), "client hello with an extension that passes its end"},
      {body_start() + vector16("\0\0\0\x01"s), "client hello with an extension that passes its end"},
      {body_start() + vector16(grease(0x0a0a) + kExtensions), "client hello with an extension twice"},
      {body_start() + vector16(server_name("a") + server_name("a")), "client hello with an extension twice"},
      {body_start() + vector16(alpn({"a"}) + alpn({"b"})), "client hello with an extension twice"},
      {body_start() + vector16(server_name("")), "client hello with an empty name"},
      {body_start() + vector16(server_name("a\0b"s)), "client hello with a NUL in its name"},
      {body_start() + vector16(extension(0, "")), "client hello with a bad list of names"},
      {body_start() + vector16(extension(0, vector16(""))), "client hello with a bad list of names"},
      {body_start() + vector16(extension(0, vector16(host_name("a")) + "x")),
       "client hello with a bad list of names"},
      {body_start() + vector16(extension(0, vector16("\0\0\x02"
                                                     "a"s))),
       "client hello with a bad list of names"},
      {body_start() + vector16(extension(0, vector16(host_name("a") + host_name("b")))),
       "client hello with two names"},
      {body_start() + vector16(extension(16, "")), "client hello with a bad ALPN list"},
      {body_start() + vector16(extension(16, vector16(""))), "client hello with a bad ALPN list"},
      {body_start() + vector16(alpn({"h2", ""})), "client hello with a bad ALPN list"},
      {body_start() + vector16(extension(16, vector16("\x03h2"))), "client hello with a bad ALPN list"},
      {body_start() + vector16(extension(16, vector16("\x02h2") + "x")), "client hello with a bad ALPN list"},
  }));
  CHECK(said_of(record(message(body))) == why);
  CHECK(said_of(records(message(body), 7)) == why);
}

TEST_CASE("names of another kind than a host's are passed over") {
  const std::string other = "\x07" + vector16("another kind");
  CHECK(said_of(record(message_with(extension(0, vector16(other + host_name("a")))))) == "\"a\"");
  CHECK(said_of(record(message_with(extension(0, vector16(other))))) == "\"\"");
}

TEST_CASE("a hello that comes byte by byte costs what one costs that comes at once") {
  // 10,000 records of a byte: read anew at each byte, they would take 300 million steps.
  const std::string whole = message_with(server_name("slow") + extension(21, std::string(10'000, '\0')));
  const auto start = std::chrono::steady_clock::now();
  CHECK(said(feed(records(whole, 1))) == "\"slow\"");
  CHECK(std::chrono::steady_clock::now() - start < test::patient(std::chrono::milliseconds(500)));
}
