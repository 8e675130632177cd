#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

/// A file whose listener binds `bind` (TOML) from line 2, column 8, and whose only backend is at line 6,
/// column 11.
std::string file(const std::string& bind, const std::string& address) {
  return "[[listener]]\nbind = " + bind + "\nname=\"l\"\npool=\"p\"\n[[pool.backend]]\naddress = \"" +
         address + "\"\n";
}

std::string faults_of(const std::string& bind, const std::string& address,
                      const LoadOptions& options = default_options()) {
  std::string text = file(bind, address);
  text.replace(text.find("[[pool.backend]]"), 16, "[[pool]]\nname=\"p\"\n[[pool.backend]]\nname=\"b\"");
  return all_of(parse(text, options).faults);
}

}  // namespace

TEST_CASE("a backend's address that is none is refused") {
  const auto [address, what] = GENERATE(table<std::string, std::string>({
      {"10.0.0.1", "\"10.0.0.1\" has no port"},
      {"10.0.0.1:0", "\"10.0.0.1:0\" has port 0 (1 to 65535)"},
      {"10.0.0.1:65536", "\"65536\" is not a port (1 to 65535)"},
      {"10.0.0.1:http", "\"http\" is not a port (1 to 65535)"},
      {"10.0.0.1:-1", "\"-1\" is not a port (1 to 65535)"},
      {"::1:80", "\"::1:80\" looks like IPv6: write it in brackets, [address]:port"},
      {"2001:db8::1", "looks like IPv6"},
      {"[::1]", "has no port"},
      {"[::1:80", "has a [ without its ]"},
      {"[10.0.0.1]:80", "brackets"},
      {"10.0.0.256:80", "\"10.0.0.256\" is neither an IP address nor a host name"},
      {"-x:80", "neither an IP address nor a host name"},
      {"a b:80", "neither an IP address nor a host name"},
      {":80", "no host"},
      {"", "has no port"},
      {"unix:run/x", "\"run/x\" is not an absolute path"},
      {"unix:/" + std::string(107, 'x'), "has 108 bytes; a unix socket's path has at most 107"},
  }));
  CAPTURE(address);
  const std::string fault = bad(and_backend("name = \"b\"\naddress = \"" + address + "\""));
  CHECK_THAT(fault, StartsWith("f:11:11: pool.backend.address"));
  CHECK_THAT(fault, Contains(what));
  CHECK(std::count(fault.begin(), fault.end(), '\n') == 1);
}

TEST_CASE("a listener's address that cannot be bound is refused") {
  const auto [bind, fault] = GENERATE(table<std::string, std::string>({
      {"\"0.0.0.0:0\"", "f:2:8: listener.bind = \"0.0.0.0:0\": port 0 cannot be served (1 to 65535)\n"},
      {"\"0.0.0.0:65536\"",
       "f:2:8: listener.bind = \"0.0.0.0:65536\": \"65536\" is not a port (1 to 65535)\n"},
      {"[\"0.0.0.0:80\", \"::1:80\"]",
       "f:2:23: listener.bind: \"::1:80\" looks like IPv6: write it in brackets, [address]:port\n"},
      {"\"localhost:80\"",
       "f:2:8: listener.bind = \"localhost:80\": a listener binds an address, and \"localhost\" is a name: "
       "must be "
       "ip:port, [v6]:port, unix:/path or unix:@name\n"},
      {"\":80\"", "f:2:8: listener.bind = \":80\": every address is [\"0.0.0.0:80\", \"[::]:80\"]\n"},
      {"\"*:80\"", "f:2:8: listener.bind = \"*:80\": every address is [\"0.0.0.0:80\", \"[::]:80\"]\n"},
      {"\"[::ffff:127.0.0.1]:80\"",
       "f:2:8: listener.bind = \"[::ffff:127.0.0.1]:80\": is IPv4 written as IPv6: write 127.0.0.1:80\n"},
      {"[]", "f:2:8: listener.bind is an empty list: give at least one string\n"},
      {"5", "f:2:8: listener.bind = 5 is an integer, must be a string or a list of strings\n"},
      {"[\"0.0.0.0:80\", 5]", "f:2:23: listener.bind[1] = 5 is an integer, must be a string\n"},
      {"\"unix:x\"", "f:2:8: listener.bind = \"unix:x\": \"x\" is not an absolute path\n"},
      {"\"unix:/no/such/dir/x\"",
       "f:2:8: listener.bind = \"unix:/no/such/dir/x\": the directory \"/no/such/dir\" does not exist: "
       "create it first\n"},
  }));
  CHECK(faults_of(bind, "10.0.0.1:80") == fault);
}

TEST_CASE("names are unique: listeners, pools, and backends within a pool") {
  CHECK(bad(kListener + "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:81\"\npool = \"web\"\n" + kPool +
            kBackend) == "f:6:8: listener.name = \"web\": this name is taken by line 2\n");
  CHECK(bad(kListener + kPool + kBackend + kPool + kBackend) ==
        "f:10:8: pool.name = \"web\": this name is taken by line 6\n");
  CHECK(bad(kListener + kPool + kBackend +
            "name = \"a\"\n[[pool.backend]]\nname = \"a\"\naddress = \"h:1\"\n") ==
        "f:11:8: pool.backend.name = \"a\": this name is taken by line 9\n");
  CHECK(bad(kListener + kPool + kBackend + "[[pool.backend]]\naddress = \"h:1\"\nname = \"10.0.0.1:80\"\n") ==
        "f:11:8: pool.backend.name = \"10.0.0.1:80\": this name is taken by line 8\n");
  CHECK(good(kListener + kPool + kBackend + "[[pool]]\nname = \"b\"\n" + kBackend).pools.size() == 2);
}

TEST_CASE("an address that is twice in a pool is warned of, however it is written") {
  const auto [one, other] = GENERATE(table<std::string, std::string>({
      {"10.0.0.9:80", "10.0.0.9:80"},
      {"[2001:db8::1]:80", "[2001:DB8:0:0::0:1]:80"},
      {"[::ffff:10.0.0.9]:80", "10.0.0.9:80"},
      {"Web1.example:80", "web1.example.:80"},
      {"unix:/run/x.sock", "unix:/run//./x.sock"},
  }));
  CAPTURE(one, other);
  const std::string text = kListener + kPool + "[[pool.backend]]\nname = \"a\"\naddress = \"" + one +
                           "\"\n[[pool.backend]]\nname = \"b\"\naddress = \"" + other + "\"\n";
  const auto result = parse(text);
  CHECK(all_of(result.faults).empty());
  CHECK_THAT(all_of(result.warnings),
             Contains("f:12:11: pool.backend.address = \"" + other + "\": line 9 has this address, too"));
}

TEST_CASE("two backends without names on one address are one fault") {
  CHECK(bad(and_backend("address = \"10.0.0.1:80\"")) ==
        "f:10:11: pool.backend.address = \"10.0.0.1:80\": line 8 has this address, too: two backends of one "
        "address need a name each\n");
}

TEST_CASE("an address is bound once in the whole file") {
  const auto [one, other] = GENERATE(table<std::string, std::string>({
      {"127.0.0.1:81", "127.0.0.1:81"},
      {"[::1]:81", "[0:0::1]:81"},
      {"unix:/tmp/x.sock", "unix:/tmp/./x.sock"},
  }));
  CAPTURE(one, other);
  const std::string second = "[[listener]]\nname = \"b\"\nbind = \"" + other + "\"\npool = \"web\"\n";
  const std::string first = "[[listener]]\nname = \"a\"\nbind = \"" + one + "\"\npool = \"web\"\n";
  CHECK_THAT(bad(first + second + kPool + kBackend), StartsWith("f:7:8: listener.bind = "));
  CHECK_THAT(bad(first + second + kPool + kBackend),
             Contains("is bound already by listener \"a\" on line 3\n"));
  CHECK_THAT(faults_of("[\"" + one + "\", \"" + other + "\"]", "10.0.0.1:80"),
             Contains("is bound already by"));
}

TEST_CASE("every address of a port and one of them cannot both be bound") {
  CHECK(faults_of("[\"127.0.0.1:81\", \"0.0.0.0:81\"]", "10.0.0.1:80") ==
        "f:2:25: listener.bind = \"0.0.0.0:81\": overlaps 127.0.0.1:81, which listener \"l\" binds on line "
        "2: one of them is "
        "every address of this port\n");
  CHECK_THAT(faults_of("[\"0.0.0.0:81\", \"127.0.0.1:81\"]", "10.0.0.1:80"), StartsWith("f:2:23: "));
  CHECK_THAT(faults_of("[\"[::]:81\", \"[::1]:81\"]", "10.0.0.1:80"), StartsWith("f:2:20: "));
  CHECK(faults_of("[\"0.0.0.0:81\", \"[::]:81\", \"127.0.0.1:82\"]", "10.0.0.1:80").empty());
  CHECK(faults_of("[\"127.0.0.1:81\", \"127.0.0.2:81\", \"[::1]:81\"]", "10.0.0.1:80").empty());
}

TEST_CASE("a backend that is one of the file's own listeners is refused") {
  const auto [bind, address] = GENERATE(table<std::string, std::string>({
      {"10.0.0.1:80", "10.0.0.1:80"},
      {"0.0.0.0:80", "127.0.0.1:80"},
      {"0.0.0.0:80", "127.9.9.9:80"},
      {"0.0.0.0:80", "0.0.0.0:80"},
      {"127.0.0.1:80", "0.0.0.0:80"},
      {"0.0.0.0:80", "localhost:80"},
      {"127.0.0.1:80", "LocalHost.:80"},
      {"[::]:80", "localhost:80"},
      {"[::]:80", "[::1]:80"},
      {"[::1]:80", "[::]:80"},
      {"127.0.0.1:80", "[::ffff:127.0.0.1]:80"},
      {"unix:/tmp/x.sock", "unix:/tmp//x.sock"},
  }));
  CAPTURE(bind, address);
  const std::string fault = faults_of("\"" + bind + "\"", address);
  CHECK_THAT(fault, StartsWith("f:9:11: pool.backend.address = \"" + address +
                               "\": is this file's own listener \"l\" (" + bind));
}

TEST_CASE(
    "a backend that is this host's address is one of the file's own listeners, where that has them all") {
  LoadOptions options = default_options();
  options.host_addresses = [] { return HostAddresses({Address::parse_ip_port("192.0.2.7:0").value()}); };
  const auto faults = [&](const std::string& bind, const std::string& address) {
    return faults_of("\"" + bind + "\"", address, options);
  };
  CHECK_THAT(faults("0.0.0.0:80", "192.0.2.7:80"), Contains("is this file's own listener"));
  CHECK_THAT(faults("0.0.0.0:80", "[::ffff:192.0.2.7]:80"), Contains("is this file's own listener"));
  CHECK(faults("0.0.0.0:80", "192.0.2.8:80").empty());
  CHECK(faults("127.0.0.1:80", "192.0.2.7:80").empty());
}

TEST_CASE("a backend beside a listener is not the listener") {
  const auto [bind, address] = GENERATE(table<std::string, std::string>({
      {"0.0.0.0:80", "127.0.0.1:81"},
      {"0.0.0.0:80", "10.0.0.1:80"},
      {"0.0.0.0:80", "[::1]:80"},
      {"[::]:80", "127.0.0.1:80"},
      {"127.0.0.1:80", "127.0.0.2:80"},
      {"127.0.0.2:80", "localhost:80"},
      {"0.0.0.0:80", "web.example:80"},
      {"0.0.0.0:80", "localhost:81"},
  }));
  CAPTURE(bind, address);
  CHECK(faults_of("\"" + bind + "\"", address).empty());
}

TEST_CASE("the admin socket is neither a listener nor a backend") {
  CHECK_THAT(bad(with_root("admin.socket = \"/tmp/a.sock\"") +
                 "[[listener]]\nname=\"b\"\npool=\"web\"\nbind = \"unix:/tmp/a.sock\"\n"),
             Contains("f:13:8: listener.bind = \"unix:/tmp/a.sock\": is an admin socket of this file"));
  CHECK_THAT(
      bad(with_root("admin.socket = \"/tmp/a.sock\"") +
          "[[pool.backend]]\nname=\"b\"\naddress = \"unix:/tmp/a.sock\"\n"),
      Contains("f:12:11: pool.backend.address = \"unix:/tmp/a.sock\": is an admin socket of this file"));
}

TEST_CASE("a listener's pool must be in the file") {
  const std::string listener = "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:8080\"\npool = \"wbe\"\n";
  CHECK(bad(listener + kPool + kBackend) ==
        "f:4:8: listener.pool = \"wbe\": no pool has this name: did you mean \"web\"? (pools: web)\n");
  CHECK(bad(listener) == "f:4:8: listener.pool = \"wbe\": no pool has this name (the file has no pool)\n");
}

TEST_CASE("a pool that no listener uses is a warning") {
  const LoadResult result = parse(kListener + kPool + kBackend + "[[pool]]\nname = \"spare\"\n" + kBackend);
  CHECK(result.config != nullptr);
  CHECK(all_of(result.warnings) == "f:10:8: pool.name = \"spare\": no listener uses this pool\n");
}

TEST_CASE("mode, owner and group are of a unix listener's file") {
  const auto with = [](const std::string& bind, const std::string& keys) {
    return "[[listener]]\nname = \"web\"\nbind = \"" + bind + "\"\npool = \"web\"\n" + keys + "\n" + kPool +
           kBackend;
  };
  const auto result = parse(with("unix:/tmp/x.sock", "mode = \"0600\"\nowner = \"root\"\ngroup = \"12\""));
  CHECK(all_of(result.faults).empty());
  REQUIRE(result.config);
  CHECK(result.config->listeners[0].mode == 0600);
  CHECK(result.config->listeners[0].owner == 0);
  CHECK(result.config->listeners[0].group == 12);
  CHECK_THAT(bad(with("unix:/tmp/x.sock", "owner = \"nobody-of-that-name\"")),
             Contains("f:5:9: listener.owner = \"nobody-of-that-name\": is no user of this host"));
  CHECK_THAT(bad(with("unix:/tmp/x.sock", "group = \"\"")), Contains("is no group of this host"));
  CHECK_THAT(bad(with("unix:/tmp/x.sock", "mode = \"rw\"")), Contains("must be octal digits"));
  CHECK_THAT(bad(with("127.0.0.1:8080", "mode = \"0600\"")),
             Contains("f:5:8: listener.mode: goes with a listener on unix:/path"));
  CHECK_THAT(bad(with("unix:@x", "mode = \"0600\"")), Contains("goes with a listener on unix:/path"));
}
