#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "lb/proxy/access_log.h"
#include "tests/support/access_log.h"
#include "tests/support/port.h"

using namespace weir;

namespace {

struct Names {
  ListenerLoad listener{"web", "pool-1", 1};
  std::shared_ptr<BackendLoad> backend =
      std::make_shared<BackendLoad>(1, "pool-1", "web1", "10.0.0.11:80", 1);
};

AccessRecord full_record(const Names& names) {
  return {.worker = 2,
          .number = 0x4d,
          .time_ms = 1'769'853'600'123,
          .listener = &names.listener,
          .backend = names.backend,
          .connect_us = 449,
          .first_byte_us = 3'250,
          .duration_us = 12'999,
          .bytes_to_backend = 78,
          .bytes_to_client = 5120,
          .client = ClientAddress(test::to_address("203.0.113.9:51234").data()),
          .attempts = 1,
          .end = End::Done};
}

std::string line_of(const AccessRecord& record) {
  std::string line;
  append_line(line, "1f2e3d4c", record);
  return line;
}

}  // namespace

TEST_CASE("an access-log line has every field of the contract in its order") {
  const Names names;
  REQUIRE(line_of(full_record(names)) ==
          "time=2026-01-31T10:00:00.123Z listener=web client=203.0.113.9:51234 pool=pool-1 backend=web1 "
          "backend_address=10.0.0.11:80 attempts=1 connect_ms=0.4 duration_ms=12.9 bytes_to_backend=78 "
          "bytes_to_client=5120 end=done id=1f2e3d4c-2-4d peer=- sni=- queue_ms=- first_byte_ms=3.2 tried=- "
          "why=-\n");
}

TEST_CASE("what a session did not have is a dash in its line") {
  const Names names;
  AccessRecord record = full_record(names);
  record.backend = nullptr;
  record.connect_us = -1;
  record.attempts = 0;
  record.bytes_to_backend = record.bytes_to_client = 0;
  record.duration_us = 0;
  record.first_byte_us = -1;
  record.end = End::NoBackend;
  REQUIRE(line_of(record) ==
          "time=2026-01-31T10:00:00.123Z listener=web client=203.0.113.9:51234 pool=pool-1 backend=- "
          "backend_address=- attempts=0 connect_ms=- duration_ms=0.0 bytes_to_backend=0 bytes_to_client=0 "
          "end=no_backend id=1f2e3d4c-2-4d peer=- sni=- queue_ms=- first_byte_ms=- tried=- why=-\n");
}

TEST_CASE("a line tells who announced the client, the name it asked for and who failed it before") {
  const Names names;
  AccessRecord record = full_record(names);
  auto facts = std::make_shared<Facts>();
  facts->peer = ClientAddress(test::to_address("10.0.0.7:9999").data());
  facts->sni = "shop.example.org";
  facts->pool = "shop";
  facts->tried = "web2,web3";
  record.facts = facts;
  record.backend = nullptr;
  const test::AccessLine line(line_of(record));
  CHECK(line["client"] == "203.0.113.9:51234");
  CHECK(line["peer"] == "10.0.0.7:9999");
  CHECK(line["sni"] == "shop.example.org");
  CHECK(line["pool"] == "shop");
  CHECK(line["tried"] == "web2,web3");
  // Of another pool, and stands in.
  record.backend = names.backend;
  CHECK(test::AccessLine(line_of(record))["pool"] == "pool-1");
}

TEST_CASE("a name that a client has made up stays one word") {
  const Names names;
  AccessRecord record = full_record(names);
  auto facts = std::make_shared<Facts>();
  facts->sni = "a b\"\n=" + std::string(249, 'x');
  record.facts = facts;
  const std::string line = line_of(record);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  CHECK(line.find(R"(sni="a b\"\n=xxx)") != std::string::npos);
  CHECK(line.find(std::string(249, 'x')) != std::string::npos);
}

TEST_CASE("who was not let in has no pool in its line, and the reason in words") {
  const Names names;
  AccessRecord record = full_record(names);
  auto facts = std::make_shared<Facts>();
  facts->why = "deny 203.0.113.0/24";
  record.facts = facts;
  record.backend = nullptr;
  record.end = End::Denied;
  const std::string text = line_of(record);
  const test::AccessLine line(text.substr(0, text.size() - 1));
  CHECK(line["pool"] == "-");
  CHECK(line["end"] == "denied");
  CHECK(line["why"] == "deny 203.0.113.0/24");
}

TEST_CASE("of one listener, end and second ten have lines of their own, and the others share one") {
  const Names names;
  const ListenerLoad other{"other", "pool-1", 1};
  TurnedAwayLines lines;
  std::vector<TurnedAwayLines::Others> shared;
  const auto say = [&](const TurnedAwayLines::Others& others) { shared.push_back(others); };
  int own = 0;
  for (int i = 0; i < 400; ++i) own += lines.take(names.listener, End::Denied, 100) ? 1 : 0;
  CHECK(own == 10);
  CHECK(lines.take(names.listener, End::BadHeader, 100));
  CHECK(lines.take(other, End::Denied, 100));
  lines.say_finished(100, say);
  CHECK(shared.empty());
  CHECK(lines.pending());
  CHECK(lines.take(names.listener, End::Denied, 101));
  lines.say_finished(101, say);
  REQUIRE(shared.size() == 1);
  CHECK(shared[0].count == 390);
  CHECK(shared[0].second == 100);
  CHECK_FALSE(lines.pending());
  std::string line;
  append_line(line, shared[0]);
  CHECK(line ==
        "time=1970-01-01T00:01:40.999Z listener=web client=- pool=- backend=- backend_address=- attempts=0 "
        "connect_ms=- duration_ms=- bytes_to_backend=0 bytes_to_client=0 end=denied id=- peer=- sni=- "
        "queue_ms=- first_byte_ms=- tried=- why=\"390 more in 1 s\"\n");
}

TEST_CASE("a unix client is unix and an IPv6 client stands in brackets") {
  const Names names;
  AccessRecord record = full_record(names);
  record.client = ClientAddress();
  CHECK(test::AccessLine(line_of(record))["client"] == "unix");
  record.client = ClientAddress(test::to_address("[2001:db8::1]:443").data());
  CHECK(test::AccessLine(line_of(record))["client"] == "[2001:db8::1]:443");
  record.client = ClientAddress(test::to_address("[::ffff:192.0.2.1]:443").data());
  CHECK(test::AccessLine(line_of(record))["client"] == "192.0.2.1:443");
}

TEST_CASE("whatever a unix path holds, a session stays one line of all its fields") {
  Names names;
  names.backend = std::make_shared<BackendLoad>(1, "pool-1", "web1", "unix:/run/a b\"c\\d\ne\x01=f", 1);
  const std::string line = line_of(full_record(names));
  REQUIRE(line.find(R"(backend_address="unix:/run/a b\"c\\d\ne\x01=f" )") != std::string::npos);
  REQUIRE(std::count(line.begin(), line.end(), '\n') == 1);
  REQUIRE(test::AccessLine(line.substr(0, line.size() - 1)).keys().size() == 19);
}

TEST_CASE("numbers of any size are written in full") {
  const Names names;
  AccessRecord record = full_record(names);
  record.bytes_to_backend = UINT64_MAX;
  record.bytes_to_client = std::uint64_t{1} << 40;
  record.duration_us = std::int64_t{10'000} * 3'600 * 1'000'000;
  record.attempts = UINT16_MAX;
  const test::AccessLine line(line_of(record));
  CHECK(line["bytes_to_backend"] == "18446744073709551615");
  CHECK(line["bytes_to_client"] == "1099511627776");
  CHECK(line["duration_ms"] == "36000000000.0");
  CHECK(line["attempts"] == "65535");
}

TEST_CASE("each way to end has its word") {
  const Names names;
  AccessRecord record = full_record(names);
  const std::pair<End, const char*> words[] = {{End::Done, "done"},
                                               {End::ClientReset, "client_reset"},
                                               {End::Idle, "idle"},
                                               {End::BackendReset, "backend_reset"},
                                               {End::NoBackend, "no_backend"},
                                               {End::HalfCloseIdle, "half_close_idle"},
                                               {End::ClientGone, "client_gone"},
                                               {End::ConnectFailed, "connect_failed"},
                                               {End::Killed, "killed"},
                                               {End::Shutdown, "shutdown"},
                                               {End::Denied, "denied"},
                                               {End::BadHeader, "bad_header"},
                                               {End::BadHello, "bad_hello"},
                                               {End::NoRoute, "no_route"},
                                               {End::ClientLimit, "client_limit"},
                                               {End::ClientRate, "client_rate"}};
  for (const auto& [end, word] : words) {
    record.end = end;
    CHECK(test::AccessLine(line_of(record))["end"] == word);
  }
}

TEST_CASE("a clock that is set back does not silence those who are not let in") {
  const Names names;
  TurnedAwayLines lines;
  for (int i = 0; i < 20; ++i) lines.take(names.listener, End::Denied, 10'000);
  CHECK(lines.take(names.listener, End::Denied, 6'400));
  std::uint64_t told = 0;
  lines.say_finished(6'401, [&](const TurnedAwayLines::Others& others) { told += others.count; });
  CHECK(told == 10);
  CHECK_FALSE(lines.pending());
  // Of another worker, a moment late.
  CHECK(lines.take(names.listener, End::Denied, 6'401));
  CHECK(lines.take(names.listener, End::Denied, 6'400));
}

namespace {

nlohmann::ordered_json json_of(const AccessRecord& record, std::uint32_t sample = 1) {
  std::string line;
  append_line(line, "1f2e3d4c", record, {LogFormat::Json, sample});
  REQUIRE(line.ends_with("}\n"));
  REQUIRE(line.find('\n') + 1 == line.size());
  return nlohmann::ordered_json::parse(line);
}

}  // namespace

TEST_CASE("a line in JSON has the keys of the text in its order, numbers as numbers") {
  const Names names;
  const AccessRecord record = full_record(names);
  const auto json = json_of(record);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  CHECK(keys == test::AccessLine(line_of(record)).keys());
  CHECK(json.at("time") == "2026-01-31T10:00:00.123Z");
  CHECK(json.at("backend") == "web1");
  CHECK(json.at("attempts") == 1);
  CHECK(json.at("connect_ms") == 0.4);
  CHECK(json.at("duration_ms") == 12.9);
  CHECK(json.at("bytes_to_client") == 5120);
  CHECK(json.at("end") == "done");
  for (const char* name : {"peer", "sni", "queue_ms", "tried", "why"}) CHECK(json.at(name).is_null());
}

TEST_CASE("a line in JSON can be parsed whatever bytes are in it") {
  ListenerLoad listener("l\"\\\n\xff", "p\x01", 1);
  for (int byte = 0; byte < 256; ++byte) {
    auto facts = std::make_shared<Facts>();
    const char c = static_cast<char>(byte);
    facts->sni = std::string("a") + c + "b";
    facts->why = std::string(1, c);
    facts->tried = std::string(3, c) + "\xe4\xb8";
    facts->pool = "p" + std::string(1, c);
    AccessRecord record;
    record.listener = &listener;
    record.end = End::ConnectFailed;
    record.facts = facts;
    CAPTURE(byte);
    const auto json = json_of(record);
    if (byte < 0x80) {
      CHECK(json.at("sni") == facts->sni);
      CHECK(json.at("why") == facts->why);
    }
  }
}

TEST_CASE("the line of refused clients in JSON has the same keys") {
  const Names names;
  TurnedAwayLines::Others others{&names.listener, End::Denied, 1'769'853'600, 390};
  std::string text, json;
  append_line(text, others);
  append_line(json, others, {LogFormat::Json});
  text.pop_back();  // the line's end
  const auto parsed = nlohmann::ordered_json::parse(json);
  std::vector<std::string> keys;
  for (const auto& [key, value] : parsed.items()) keys.push_back(key);
  CHECK(keys == test::AccessLine(text).keys());
  CHECK(parsed.at("client").is_null());
  CHECK(parsed.at("why") == "390 more in 1 s");
}

TEST_CASE("a line that stands for others says for how many") {
  const Names names;
  AccessRecord record = full_record(names);
  CHECK(json_of(record, 100).at("sample") == 100);
  record.end = End::ConnectFailed;
  CHECK_FALSE(json_of(record, 100).contains("sample"));
  record.end = End::Done;
  std::string text;
  append_line(text, "1f2e3d4c", record, {LogFormat::Text, 100});
  CHECK(text.ends_with(" why=- sample=100\n"));
}
