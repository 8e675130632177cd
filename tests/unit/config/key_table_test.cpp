// The readers go by the table of keys: what it says of a key is what the loader does with it.
#include <fmt/format.h>

#include <map>
#include <regex>
#include <set>

#include "lb/config/keys.h"
#include "lb/config/value_types.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;

namespace {

using Lines = std::map<std::string, std::string>;

/// A valid file of the least that is needed, with `key = value` besides, or in the place of what it has.
std::string file_with(const TableKeys& table, const Key& key, const std::string& value) {
  std::map<std::string_view, Lines> tables{
      {"", {}},
      {"admin", {}},
      {"log", {}},
      {"web", {}},
      {"listener", {{"name", "\"web\""}, {"bind", "\"127.0.0.1:8080\""}, {"pool", "\"web\""}}},
      {"pool", {{"name", "\"web\""}}},
      {"pool.health", {}},
      {"pool.backend.health", {}},
      {"pool.backend", {{"name", "\"one\""}, {"address", "\"10.0.0.1:80\""}}}};
  const bool is_steps = key.value.type != ValueType::Tables && table.path.ends_with(".steps");
  const std::string_view health = is_steps ? table.path.substr(0, table.path.rfind('.')) : table.path;
  if (!key.probes.all()) {
    std::string_view kind = key.probes.kinds().front();
    if (value == "\"master\"" || value == "\"replica\"") kind = "redis";
    tables[health]["probe"] = fmt::format("\"{}\"", kind);
    for (const Key& other : health_keys().rows)
      if (other.required && !other.probes.all() && other.probes.kinds().front() == kind)
        tables[health][std::string(other.name)] =
            other.value.shape == Shape::List ? "[\"/bin/sh\"]" : "\"x\"";
    if (kind == "tls") tables[health]["host"] = "\"x\"";
  }
  if (is_steps) {
    tables[health]["probe"] = "\"expect\"";
    tables[table.path]["expect"] = "\"x\"";
  }
  if (table.path == "listener.route")
    tables[table.path] = {{"pool", "\"web\""}, {"sni", "\"x\""}, {"client", "\"10.0.0.0/8\""}};
  // What only a file of a unix socket has.
  if (table.path == "listener" && (key.name == "mode" || key.name == "owner" || key.name == "group"))
    tables["listener"]["bind"] = "\"unix:/tmp/weir-key-table.sock\"";
  if (!value.empty()) tables[table.path][std::string(key.name)] = value;
  std::string text;
  for (const TableKeys& one : all_tables()) {
    const bool only_by_itself = one.path.ends_with(".steps") || one.path == "listener.route";
    if (only_by_itself && table.path != one.path) continue;
    if (!one.path.empty()) text += fmt::format("{}\n", one.header);
    for (const auto& [name, written] : tables[one.path]) text += fmt::format("{} = {}\n", name, written);
  }
  return text;
}

LoadOptions options_for_any() {
  LoadOptions options = default_options();
  options.descriptor_limit = 0;
  return options;
}

bool takes(const TableKeys& table, const Key& key, const std::string& value) {
  const LoadResult result = parse(file_with(table, key, value), options_for_any());
  INFO(all_of(result.faults));
  return result.config != nullptr;
}

struct Samples {
  std::vector<std::string> good, bad;
};

const std::string kLongest(105, 'x');

/// A file of networks that is there for as long as the tests run.
struct NetworksThere : test::TempDir {
  NetworksThere() { test::write_file(file("networks"), "10.0.0.0/8\n"); }
};
const NetworksThere kNetworks;

/// The same with a token.
struct TokenThere : test::TempDir {
  TokenThere() { test::write_file(file("token"), "0123456789abcdef\n"); }
};
const TokenThere kToken;

Samples samples_of(ValueType type) {
  switch (type) {
    case ValueType::Duration:
      return {{"1ms", "1.5s", "10000h", "10000.00h", "600000m", "007s", "9999.999h"},
              {"-1s", "5", "1.s", ".5s", "1 s", "s", "1d", "10000.1h", "10001h", "36000001s", ""}};
    case ValueType::Filled:
      return {{"x", "a\\nb"}, {""}};
    case ValueType::Name:
      return {{"web"}, {"", "a b", "a/b", std::string(129, 'x')}};
    case ValueType::Mode:
      return {{"0660", "600", "000"}, {"", "888", "1777", "00660", "rw"}};
    case ValueType::Path:
      return {{"", "/tmp/x"}, {"x", "/tmp/"}};
    case ValueType::SocketPath:
      return {{"", "/tmp/x", "/tmp/" + std::string(102, 'x')},
              {"x", "/tmp/", "/tmp/" + std::string(103, 'x')}};
    case ValueType::LogTarget:
      return {{"off", "stdout", "/tmp/x", "syslog:", "syslog:/tmp/x"},
              {"", "on", "x/y", "/tmp/", "syslog:x", "syslog:/tmp/", "syslog"}};
    case ValueType::DaemonLogTarget:
      return {{"stderr", "syslog:", "syslog:/tmp/x"},
              {"", "stdout", "/tmp/x", "syslog:x", "syslog:/tmp/", "syslog:/tmp/" + std::string(103, 'x')}};
    case ValueType::Sample:
      return {{"1/1", "1/100", "1/007", "1/999999"},
              {"", "100", "1/0", "2/100", "1/1000000", "1/-1", "1/2x"}};
    case ValueType::Bind:
      return {{"0.0.0.0:1", "[::]:65535", "unix:/tmp/x", "127.0.0.1:08080", "unix:@x", "[fe80::1%lo]:80"},
              {"0.0.0.0:0", "0.0.0.0:65536", "::1:80", "[::1]", "1.2.3.4", ":80", "host:80", "unix:x",
               "unix:", "unix:/tmp/" + kLongest}};
    case ValueType::Address:
      return {{"10.0.0.1:80", "[::1]:80", "host:65535", "a_b.example.:1", "unix:/tmp/x", "unix:@x",
               "[fe80::1%lo]:80"},
              {"10.0.0.1:0", "10.0.0.1:65536", "::1:80", "host", "ho st:80", "-x:80", "unix:x",
               "unix:/tmp/" + kLongest}};
    case ValueType::Ip:
      return {{"10.0.0.1", "::1"}, {"", "host", "[::1]", "10.0.0.1/8"}};
    case ValueType::HttpPath:
      return {{"/", "/a?b=c"}, {"", "a", "/a b", "/a\\u007f"}};
    case ValueType::HttpHost:
      return {{"", "www.example.org:80"}, {"a b", "a\\nb"}};
    case ValueType::Statuses:
      return {{"200", "200-399", " 200 - 299 , 304", "0200"}, {"", "99", "600", "2xx", "200-", "200,"}};
    case ValueType::Program:
      return {{"/bin/sh"}, {"sh", ""}};
    case ValueType::File:
      return {{"/tmp/x"}, {"", "x"}};
    case ValueType::Login:
      return {{"weir", "a b"}, {"", "a\\nb", std::string(129, 'x')}};
    case ValueType::Database:
      return {{"", "weir"}, {"a\\nb", std::string(129, 'x')}};
    case ValueType::CongestionControl:
      return {{"", "reno"}, {"a b", std::string(16, 'x')}};
    case ValueType::Account:
      return {{"0", "12345", "root"}, {""}};
    case ValueType::Network:
      return {{"10.0.0.0/8", "10.0.0.1", "::/0", "2001:db8::/32", "unix"},
              {"", "host", "10.0.0.0/33", "10.0.0.0/", "/8", "[::1]", "10.0.0.0/8/8"}};
    case ValueType::Rate:
      return {{"", "1/s", "600/m", "1000000/h"}, {"0/s", "1", "/s", "1/d", "-1/s", "1 /s", "1/sec"}};
    case ValueType::ByteRate:
      return {{"0", "1KB", "1.5MiB", "2000B", "1000GB"}, {"", "5", "1kb", "1 KB", "KB", "-1KB"}};
    case ValueType::ServerName:
      return {{"x", "www.example.org", "*.example.org", "*"}, {"", "a b", "*x.org", "a/b"}};
    case ValueType::Protocol:
      return {{"h2", "http/1.1"}, {"", std::string(256, 'x')}};
    case ValueType::TokenFile:
      return {{"", kToken.file("token")}, {"x"}};
    case ValueType::WebBind:
      return {{"", "127.0.0.1:1", "[::]:65535", "unix:/tmp/x"}, {"0.0.0.0:0", "host:80", "80", "unix:x"}};
    case ValueType::NetworkFile:
      return {{kNetworks.file("networks")}, {"", "x"}};
    default:
      return {{"", "x"}, {}};
  }
}

std::string in_shape(const Key& key, const std::string& text) {
  return key.value.shape == Shape::List ? fmt::format("[\"{}\"]", text) : fmt::format("\"{}\"", text);
}

/// As the file would have them.
Samples values_of(const Key& key) {
  const Value& value = key.value;
  Samples samples;
  if (value.type == ValueType::Integer && value.shape == Shape::List) {
    samples = {{"[1, 1]", "[32, 128]"},
               {"[0, 64]", "[33, 64]", "[32, 129]", "[32]", "[1, 2, 3]", "32", "[]"}};
  } else if (value.type == ValueType::Integer) {
    samples = {{std::to_string(value.least), std::to_string(value.most)},
               {std::to_string(value.most + 1), "-1", "1.5", "\"1\"", "true"}};
    if (value.least > 0) samples.bad.push_back(std::to_string(value.least - 1));
  } else if (value.type == ValueType::Bound) {
    samples = {{"0", "1.05", "2", "10", "1.5"}, {"1", "1.04", "10.1", "-1", "\"2\"", "nan", "inf"}};
  } else if (value.type == ValueType::Boolean) {
    samples = {{"true", "false"}, {"1", "\"true\""}};
  } else {
    const KnownKinds kinds = default_options().kinds;
    const auto words = words_of(value, kinds);
    Samples texts = samples_of(value.type);
    if (!words.empty()) texts = {{words.begin(), words.end()}, {"", "x", "Any"}};
    if (value.type == ValueType::Duration) (value.least > 0 ? texts.bad : texts.good).push_back("0.00s");
    for (const auto& text : texts.good) samples.good.push_back(in_shape(key, text));
    for (const auto& text : texts.bad) samples.bad.push_back(in_shape(key, text));
    samples.bad.insert(samples.bad.end(), {"7", "true", "1979-05-27"});
    if (value.shape != Shape::One) samples.bad.push_back("[7]");
    (value.shape == Shape::AnyNumber ? samples.good : samples.bad).push_back("[]");
    if (value.shape == Shape::One) samples.bad.push_back("[\"x\"]");
  }
  return samples;
}

template <class Do>
void for_each_value(Do act) {
  for (const TableKeys& table : all_tables())
    for (const Key& key : table.rows)
      if (key.value.type != ValueType::Table && key.value.type != ValueType::Tables) act(table, key);
}

}  // namespace

TEST_CASE("the loader takes every value that the table of keys allows, and no other") {
  for_each_value([](const TableKeys& table, const Key& key) {
    // Which probe it is decides what else must be there.
    const bool is_probe = key.value.type == ValueType::Probe;
    const Samples values = values_of(key);
    for (const std::string& value : values.good) {
      // Below another key's value.
      if (key.name == "hedge_after" && value != "\"0.00s\"") continue;
      CAPTURE(table.path, key.name, value);
      if (!is_probe || (value != "\"expect\"" && value != "\"exec\"" && value != "\"tls\""))
        CHECK(takes(table, key, value));
    }
    for (const std::string& value : values.bad) {
      CAPTURE(table.path, key.name, value);
      CHECK_FALSE(takes(table, key, value));
    }
  });
}

TEST_CASE("the pattern of a type matches what the loader takes, and what it matches not the loader refuses") {
  for_each_value([](const TableKeys& table, const Key& key) {
    const std::string pattern = pattern_of(key.value.type);
    if (pattern.empty()) return;
    const std::regex whole("^(?:" + pattern + ")$");
    const auto unescaped = [](std::string text) {
      for (const auto& [from, to] : std::map<std::string, std::string>{{"\\n", "\n"}, {"\\u007f", "\x7f"}})
        if (const auto at = text.find(from); at != text.npos) text.replace(at, from.size(), to);
      return text;
    };
    const Samples texts = samples_of(key.value.type);
    for (const std::string& text : texts.good) {
      CAPTURE(table.path, key.name, text);
      CHECK(std::regex_match(unescaped(text), whole));
    }
    for (const std::string& text : texts.bad) {
      CAPTURE(table.path, key.name, text);
      CHECK_FALSE(std::regex_match(unescaped(text), whole));
    }
  });
}

TEST_CASE("every default in the table of keys is the default") {
  for_each_value([](const TableKeys& table, const Key& key) {
    if (key.standard == kNone) return;
    CAPTURE(table.path, key.name, key.standard);
    const Config plain = good(file_with(table, key, ""), options_for_any());
    if (key.value.type == ValueType::Path) {  // their directories need not be here
      CHECK(key.standard == plain.state_file);
    } else if (key.name == "socket") {
      CHECK(key.standard == plain.admin.socket);
    } else {
      const std::string value =
          is_string(key.value.type) ? fmt::format("\"{}\"", key.standard) : std::string(key.standard);
      const Config written = good(file_with(table, key, value), options_for_any());
      CHECK(written.workers == plain.workers);
      CHECK(written.busy_poll == plain.busy_poll);
      CHECK(written.shutdown_grace == plain.shutdown_grace);
      CHECK(written.admin == plain.admin);
      CHECK(written.log == plain.log);
      CHECK(written.listeners == plain.listeners);
      CHECK(written.pools == plain.pools);
    }
  });
}

TEST_CASE("what the table of keys needs is missed by the loader, and nothing else is") {
  for (const TableKeys& table : all_tables()) {
    for (const Key& key : table.rows) {
      CAPTURE(table.path, key.name);
      std::string text = file_with(table, key, key.value.type == ValueType::Integer ? "1" : "\"x\"");
      const auto line = text.find("\n" + std::string(key.name) + " = ", text.find(table.header));
      const auto at = line == text.npos ? text.find(std::string(key.name) + " = ") : line + 1;
      if (key.value.type == ValueType::Table || key.value.type == ValueType::Tables) continue;
      if (table.path.ends_with(".steps")) continue;  // some step must expect something, not each
      REQUIRE(at != text.npos);
      text.erase(at, text.find('\n', at) - at);
      // Of a backend's probe they may be in its pool's.
      const Key* needed = &key;
      if (table.path == backend_health_keys().path)
        for (const Key& other : health_keys().rows)
          if (other.name == key.name) needed = &other;
      CHECK((parse(text, options_for_any()).config == nullptr) == needed->required);
    }
  }
}

TEST_CASE("the table of keys says each thing once, in a sentence") {
  std::set<std::string> seen;
  for (const TableKeys& table : all_tables()) {
    REQUIRE(table.keys.size() == table.rows.size());
    for (const Key& key : table.rows) {
      CAPTURE(table.path, key.name);
      CHECK(seen.insert(fmt::format("{}.{}", table.path, key.name)).second);
      CHECK(key.about.ends_with("."));
      CHECK(std::isupper(static_cast<unsigned char>(key.about.front())) != 0);
      const bool opens = key.value.type == ValueType::Table || key.value.type == ValueType::Tables;
      CHECK((table_below(table, key.name) != nullptr) == opens);
    }
  }
}
