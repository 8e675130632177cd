#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "tests/support/temp_dir.h"
#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("a fault is one line of file, line, column and what is wrong") {
  CHECK(bad(with_backend("weight = 0")) ==
        "f:9:10: pool.backend.weight = 0: must be 1 to 256; for a backend without new sessions write "
        "admin = \"drained\"\n");
  CHECK(Fault{.line = 0, .column = 0, .message = "cannot be opened"}.to_string("f") == "f: cannot be opened");
}

TEST_CASE("a value out of its range is named with what is allowed") {
  const auto [text, fault] = GENERATE(table<std::string, std::string>({
      {with_backend("weight = -1"), "f:9:10: pool.backend.weight = -1: must be 1 to 256\n"},
      {with_backend("  weight=257"), "f:9:10: pool.backend.weight = 257: must be 1 to 256\n"},
      {with_backend("weight = 9223372036854775807"),
       "f:9:10: pool.backend.weight = 9223372036854775807: must be 1 to 256\n"},
      {with_health("fall = 0"), "f:8:8: pool.health.fall = 0: must be 1 to 10000\n"},
      {with_health("rise = 0"), "f:8:8: pool.health.rise = 0: must be 1 to 10000\n"},
      {with_health("port = 65536"), "f:8:8: pool.health.port = 65536: must be 1 to 65535\n"},
      {with_health("port = 0"), "f:8:8: pool.health.port = 0: must be 1 to 65535\n"},
      {with_pool("connect_attempts = 0"), "f:7:20: pool.connect_attempts = 0: must be 1 to 1000\n"},
      {with_root("workers = -1"), "f:1:11: workers = -1: must be 0 to 1024\n"},
      {with_root("workers = 1025"), "f:1:11: workers = 1025: must be 0 to 1024\n"},
      {with_root("busy_poll = \"sometimes\""),
       "f:1:13: busy_poll = \"sometimes\": unknown way of polling (known: auto, off, always)\n"},
      {with_root("max_connections = 0"), "f:1:19: max_connections = 0: must be 1 to 1000000000\n"},
      {with_listener("max_connections = -1"),
       "f:5:19: listener.max_connections = -1: must be 0 to 1000000000\n"},
  }));
  CHECK(bad(text) == fault);
}

TEST_CASE("a value of the wrong type is named with its type and the right one") {
  const auto [text, fault] = GENERATE(table<std::string, std::string>({
      {with_backend("weight = \"5\""),
       "f:9:10: pool.backend.weight = \"5\" is a string, must be an integer from 1 to 256\n"},
      {with_backend("weight = 1.5"),
       "f:9:10: pool.backend.weight = 1.5 is a float, must be an integer from 1 to 256\n"},
      {with_backend("weight = [1]"),
       "f:9:10: pool.backend.weight is a list, must be an integer from 1 to 256\n"},
      {with_backend("backup = \"no\""),
       "f:9:10: pool.backend.backup = \"no\" is a string, must be true or false, without quotes\n"},
      {with_backend("backup = 0"),
       "f:9:10: pool.backend.backup = 0 is an integer, must be true or false, without quotes\n"},
      {with_backend("name = true"), "f:9:8: pool.backend.name = true is a boolean, must be a string\n"},
      {with_pool("source = \"10.0.0.1:80\""),
       "f:7:10: pool.source = \"10.0.0.1:80\": must be an IP address of this host, without a port\n"},
      {with_pool("source = [\"10.0.0.1\", \"0.0.0.0\"]"),
       "f:7:23: pool.source = \"0.0.0.0\": is every address: leave it out, and the kernel chooses\n"},
      {with_pool("source = [\"::ffff:10.0.0.1\"]"),
       "f:7:11: pool.source = \"::ffff:10.0.0.1\": is IPv4 written as IPv6: write 10.0.0.1\n"},
      {with_pool("source = [\"10.0.0.1\", \"10.0.0.1\"]"),
       "f:7:23: pool.source = \"10.0.0.1\": is there twice\n"},
      {with_pool("idle_timeout = 5"),
       "f:7:16: pool.idle_timeout = 5 is an integer, must be a duration: a string with a unit (ms, s, m, h), "
       "like "
       "\"1.5s\"\n"},
      {with_pool("idle_timeout = 2020-01-01"),
       "f:7:16: pool.idle_timeout is a date, must be a duration: a string with a unit (ms, s, m, h), like "
       "\"1.5s\"\n"},
      {with_pool("balance = 1"),
       "f:7:11: pool.balance = 1 is an integer, must be a string, one of round_robin, least_connections, "
       "source_hash\n"},
      {with_pool("health = \"tcp\""),
       "f:7:10: pool.health = \"tcp\" is a string, must be a table: write [pool.health] below its "
       "[[pool]]\n"},
      {with_root("admin = \"x\""), "f:1:9: admin = \"x\" is a string, must be a table: write [admin]\n"},
      {with_root("[[log]]"), "f:1:1: log is a list, must be a table: write [log]\n"},
      {with_root("[admin]\nmode = 660"), "f:2:8: admin.mode = 660 is an integer, must be a string\n"},
      {with_health("probe = \"http\"\nstatus = 200"),
       "f:9:10: pool.health.status = 200 is an integer, must be a string\n"},
      {with_health("probe = \"exec\"\ncommand = \"/bin/true\""),
       "f:9:11: pool.health.command = \"/bin/true\" is a string, must be a list of strings\n"},
      {with_health("probe = \"exec\"\ncommand = [\"/bin/true\", 5]"),
       "f:9:25: pool.health.command[1] = 5 is an integer, must be a string\n"},
      {"listener = [ 5 ]\n" + kPool + kBackend,
       "f:1:14: listener[0] = 5 is an integer, must be a table: write [[listener]]\n"},
      {"[listener]\nname = \"web\"\n" + kPool + kBackend,
       "f:1:1: listener is a table, must be a list of tables: write [[listener]]\n"},
      {kListener + kPool + "[pool.backend]\naddress = \"10.0.0.1:80\"\n",
       "f:7:1: pool.backend is a table, must be a list of tables: write [[pool.backend]] below its "
       "[[pool]]\n"},
  }));
  CHECK(bad(text) == fault);
}

TEST_CASE("a pool written as one table is told how to be a list") {
  CHECK_THAT(bad(kListener + "[pool]\nname = \"web\"\n"),
             Contains("f:5:1: pool is a table, must be a list of tables: write [[pool]]"));
}

TEST_CASE("an unknown key is answered with the nearest known one at every level") {
  const auto [text, fault] = GENERATE(table<std::string, std::string>({
      {with_root("worker = 1"), "f:1:10: unknown key \"worker\": did you mean \"workers\"?\n"},
      {with_root("[admn]"), "f:1:1: unknown key \"admn\": did you mean \"admin\"?\n"},
      {with_root("[[listners]]"), "f:1:1: unknown key \"listners\": did you mean \"listener\"?\n"},
      {with_root("[admin]\nsoket = \"\""), "f:2:9: unknown key \"admin.soket\": did you mean \"socket\"?\n"},
      {with_root("[log]\nlevl = \"info\""), "f:2:8: unknown key \"log.levl\": did you mean \"level\"?\n"},
      {with_listener("bnid = \"x\""), "f:5:8: unknown key \"listener.bnid\": did you mean \"bind\"?\n"},
      {with_pool("conect_timeout = \"2s\""),
       "f:7:18: unknown key \"pool.conect_timeout\": did you mean \"connect_timeout\"?\n"},
      {with_health("intervall = \"2s\""),
       "f:8:13: unknown key \"pool.health.intervall\": did you mean \"interval\"?\n"},
      {with_backend("wieght = 3"), "f:9:10: unknown key \"pool.backend.wieght\": did you mean \"weight\"?\n"},
      {with_backend("Weight = 3"), "f:9:10: unknown key \"pool.backend.Weight\": did you mean \"weight\"?\n"},
  }));
  CHECK(bad(text) == fault);
}

TEST_CASE("an unknown key that is like no other names the nearest and all of them") {
  CHECK(bad(with_backend("zone = \"eu\"")) ==
        "f:9:8: unknown key \"pool.backend.zone\": the nearest key here is \"name\" (known: name, address, "
        "weight, "
        "max_sessions, backup, admin, health)\n");
}

TEST_CASE("a key of another table is sent there") {
  CHECK_THAT(bad(with_backend("idle_timeout = \"5s\"")),
             StartsWith("f:9:16: unknown key \"pool.backend.idle_timeout\": it belongs to [[pool]]; the "
                        "nearest key here is "));
}

TEST_CASE("a duration that is none is refused") {
  const auto [text, what] = GENERATE(table<std::string, std::string>({
      {"\"5\"", "pool.idle_timeout: \"5\" has no unit (ms, s, m, h)"},
      {"\"-5s\"", "pool.idle_timeout: \"-5s\" is not a duration"},
      {"\"\"", "pool.idle_timeout: \"\" is not a duration"},
      {"\"5 s\"", "pool.idle_timeout: \"5 s\" has an unknown unit"},
      {"\"5d\"", "pool.idle_timeout: \"5d\" has an unknown unit \"d\" (ms, s, m, h)"},
      {"\"99999999999999999999h\"",
       "pool.idle_timeout: \"99999999999999999999h\" is too long: at most 10000h"},
      {"\"0s\"", "pool.idle_timeout = \"0s\": must be longer than zero"},
      {"\"0ms\"", "pool.idle_timeout = \"0ms\": must be longer than zero"},
  }));
  const std::string fault = bad(with_pool("idle_timeout = " + text));
  CHECK_THAT(fault, StartsWith("f:7:16: " + what));
}

TEST_CASE("no timeout and no interval may be zero") {
  const std::string key = GENERATE("connect_timeout", "idle_timeout", "half_close_timeout");
  CHECK_THAT(bad(with_pool(key + " = \"0s\"")), Contains("must be longer than zero"));
  const std::string health_key = GENERATE("interval", "fast_interval", "timeout");
  CHECK_THAT(bad(with_health(health_key + " = \"0s\"")), Contains("must be longer than zero"));
}

TEST_CASE("a word that is not one of the known gets them listed and the nearest suggested") {
  CHECK(bad(with_pool("balance = \"roundrobin\"")) ==
        "f:7:11: pool.balance = \"roundrobin\": unknown balancer: Weir's word for it is \"round_robin\" "
        "(known: round_robin, least_connections, source_hash)\n");
  CHECK(bad(with_pool("balance = \"round_robni\"")) ==
        "f:7:11: pool.balance = \"round_robni\": unknown balancer: did you mean \"round_robin\"? "
        "(known: round_robin, least_connections, source_hash)\n");
  CHECK(bad(with_pool("balance = \"chance\"")) ==
        "f:7:11: pool.balance = \"chance\": unknown balancer (known: round_robin, least_connections, "
        "source_hash)\n");
  CHECK_THAT(
      bad(with_health("probe = \"tpc\"")),
      Contains(
          "f:8:9: pool.health.probe = \"tpc\": unknown probe: did you mean \"tcp\"? (known: tcp, http, ex"));
  CHECK_THAT(bad(with_root("[log]\nlevel = \"warning\"")),
             Contains("f:2:9: log.level = \"warning\": unknown log level"));
  CHECK_THAT(bad(with_pool("on_all_down = \"close\"")), Contains("(known: refuse, try_all)"));
  CHECK_THAT(bad(with_pool("on_backend_down = \"try_all\"")), Contains("(known: leave, close)"));
  CHECK_THAT(bad(with_backend("admin = \"up\"")), Contains("(known: enabled, drained, disabled)"));
}

TEST_CASE("a missing key is a fault at its table") {
  CHECK_THAT(bad("\n[[listener]]\nbind = \"127.0.0.1:8080\"\npool = \"web\"\n" + kPool + kBackend),
             StartsWith("f:2:1: listener.name is missing: "));
  CHECK_THAT(bad("[[listener]]\nname = \"web\"\npool = \"web\"\n" + kPool + kBackend),
             StartsWith("f:1:1: listener.bind is missing: "));
  CHECK_THAT(bad("[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:8080\"\n" + kPool + kBackend),
             StartsWith("f:1:1: listener.pool is missing: "));
  CHECK_THAT(bad(kListener + "[[pool]]\n" + kBackend), StartsWith("f:5:1: pool.name is missing: "));
  CHECK_THAT(bad(and_backend("weight = 1")), StartsWith("f:9:1: pool.backend.address is missing: "));
  CHECK_THAT(bad(and_backend("address = \"unix:/run/x.sock\"")),
             StartsWith("f:9:1: pool.backend.name is missing: a backend on a unix socket "
                        "(\"unix:/run/x.sock\") needs one"));
  CHECK_THAT(
      bad(and_backend("address = \"" + std::string(60, 'a') + "." + std::string(60, 'b') + ".example:80\"")),
      StartsWith("f:9:1: pool.backend.name is missing: the address"));
}

TEST_CASE("a file without a listener and a pool without a backend are refused") {
  CHECK(bad("") == "f:1:1: no listener: write at least one [[listener]] with name, bind and pool\n");
  CHECK_THAT(bad("listener = []\n"), StartsWith("f:1:12: no listener: "));
  CHECK(bad(kListener + kPool) ==
        "f:5:1: pool \"web\" has no backend: write at least one [[pool.backend]]\n");
  CHECK(bad(kListener + kPool + "backend = []\n") ==
        "f:7:11: pool \"web\" has no backend: write at least one [[pool.backend]]\n");
}

TEST_CASE("a name has 1 to 128 of the allowed characters") {
  CHECK(good(and_backend("address = \"h:1\"\nname = \"A-z.0_:[]\"")).pools[0].backends[1].name ==
        "A-z.0_:[]");
  CHECK(good(and_backend("address = \"h:1\"\nname = \"" + std::string(128, 'x') + "\"")).pools.size() == 1);
  const std::string name = GENERATE("", "a b", "a/b", "a*", "\u00e9", "a\\nb", "129");
  const std::string text = name == "129" ? std::string(129, 'x') : name;
  CAPTURE(name);
  CHECK_THAT(bad(and_backend("address = \"h:1\"\nname = \"" + text + "\"")),
             StartsWith("f:11:8: pool.backend.name = "));
}

TEST_CASE("the admin socket's mode is octal digits in a string") {
  CHECK(good(with_root("[admin]\nmode = \"0777\"")).admin.mode == 0777);
  CHECK(good(with_root("[admin]\nmode = \"600\"")).admin.mode == 0600);
  const std::string mode = GENERATE("", "0", "0888", "1777", "06600", "rw-rw----", "-660");
  CAPTURE(mode);
  CHECK_THAT(bad(with_root("[admin]\nmode = \"" + mode + "\"")), StartsWith("f:2:8: admin.mode = "));
}

TEST_CASE("a syntax error is reported alone, at its place") {
  CHECK_THAT(bad("workers = -1\nmax_connections = \n"), StartsWith("f:2:19: not valid TOML: "));
  const LoadResult result = parse("workers = -1\nname = \"x\nbind = 1\n");
  REQUIRE(result.faults.size() == 1);
  CHECK(result.faults[0].line == 2);
  CHECK(parse("a = 1\na = 2\n").faults.size() == 1);
  CHECK(parse("a = \"\xff\"\n").faults.size() == 1);
  CHECK(parse(std::string("a = \"\0\"\n", 9)).faults.size() == 1);
  CHECK_THAT(bad("weight = 99999999999999999999\n"), Contains("64 bits"));
}

TEST_CASE("a character that the parser does not expect is a fault like any other") {
  CHECK(bad("workers = 1\n[$x]\n") == "f:2:2: not valid TOML: this character cannot stand here\n");
  CHECK(bad(with_backend("") + "# é\n  [[é=").starts_with("f:11:"));
}

TEST_CASE("nesting without end is refused, not followed") {
  std::string keys = "[a";
  for (int i = 0; i < 200'000; ++i) keys += ".a";
  CHECK_THAT(bad(keys + "]\n"), StartsWith("f:1:129: a key has more than 64 parts"));
  CHECK_THAT(bad("a = " + std::string(200'000, '[')), StartsWith("f:1:"));
  CHECK(parse("a = " + std::string(200'000, '[')).faults.size() == 1);
}

TEST_CASE("every fault of a file is reported in one run, in the file's order") {
  const std::string text = R"(workers = 5000
sate_file = ""
[admin]
socket = 5
[[listener]]
name = "web"
bind = ["0.0.0.0:0", "[::]:80", "::1:80"]
pool = "wob"
[[pool]]
name = "web"
balance = "random"
idle_timeout = "0s"
[pool.health]
fall = 0
[[pool.backend]]
address = "10.0.0.1:65536"
weight = 257
[[pool.backend]]
weight = 0
[[pool]]
name = "web"
)";
  std::vector<std::string> places;
  for (const Fault& fault : parse(text).faults)
    places.push_back(std::to_string(fault.line) + ":" + std::to_string(fault.column));
  CHECK(places == std::vector<std::string>{"1:11", "2:13", "4:10", "7:9", "7:33", "8:8", "11:11", "12:16",
                                           "14:8", "16:11", "17:10", "18:1", "19:10", "20:1", "21:8"});
}

TEST_CASE("a fault is one line and of bounded length whatever the value holds") {
  const std::string fault = bad(and_backend("address = \"a\\nb\\u001b[31m:80\""));
  CHECK(std::count(fault.begin(), fault.end(), '\n') == 1);
  CHECK_THAT(fault, Contains("a\\nb\\x1b[31m"));
  CHECK(bad(and_backend("address = \"" + std::string(100'000, 'x') + "\"")).size() < 1200);
  CHECK(bad(with_pool("balance = \"" + std::string(100'000, 'x') + "\"")).size() < 1200);
  CHECK(bad(with_pool("\"" + std::string(100'000, 'x') + "\" = 1")).size() < 1200);
}

TEST_CASE("columns count characters, not bytes") {
  CHECK_THAT(bad(kListener + kPool + "backend = [{name = \"é\", address = \"h:1\", weight = 0}]\n"),
             Contains("f:7:51: pool.backend.weight = 0"));
}

TEST_CASE("a file that cannot be read says why") {
  const LoadResult missing = load_config("/no/such/file.toml", default_options());
  REQUIRE(missing.faults.size() == 1);
  CHECK(missing.faults[0].to_string("/no/such/file.toml") ==
        "/no/such/file.toml: cannot be opened: No such file or directory");
  const LoadResult directory = load_config("/", default_options());
  REQUIRE(directory.faults.size() == 1);
  CHECK(directory.faults[0].to_string("/") == "/: is a directory, not a file");
}

TEST_CASE("a file that is a pipe is read to its end, and not waited for when nobody writes to it") {
  const test::TempDir dir;
  const std::string path = dir.file("pipe");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  LoadOptions options = default_options();
  options.patience = Millis(50);
  const LoadResult silent = load_config(path, options);
  REQUIRE(silent.faults.size() == 1);
  CHECK(silent.faults[0].message == "is a pipe or a device, and nothing has come out of it for 50ms");
  options.patience = Millis(10'000);
  std::thread writer([&] {
    std::ofstream out(path);
    out << kListener << std::flush;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    out << kPool << "backend = [{address = \"h:1\"}]\n";
  });
  const LoadResult read = load_config(path, options);
  writer.join();
  CHECK(read.config != nullptr);
}

TEST_CASE("of very many faults the first of the file are kept, and how many more there are is said") {
  std::string text = kListener + kPool;
  constexpr std::size_t kFaults = 5'000;
  for (std::size_t i = 0; i < kFaults; ++i)
    text += "[[pool.backend]]\naddress = \"10.0.0.1:80\"\nweight = 0\n";
  const LoadResult result = parse(text);
  REQUIRE(result.faults.size() == LoadResult::kMostFaults + 1);
  CHECK(result.faults.back().to_string("f") ==
        "f: and " + std::to_string(result.faults_left_out) + " more faults");
  CHECK(result.fault_count() >= kFaults);
  for (std::size_t i = 1; i < LoadResult::kMostFaults; ++i)
    REQUIRE(result.faults[i].line >= result.faults[i - 1].line);
  CHECK(result.faults[LoadResult::kMostFaults - 1].line < 4'000);
}

TEST_CASE("the words of other balancers are answered with Weir's") {
  const auto [text, answer] = GENERATE(table<std::string, std::string>({
      {with_root("upstream = 1"), "unknown key \"upstream\": Weir's word for it is [[pool]]\n"},
      {with_root("Worker-Processes = 1"),
       "unknown key \"Worker-Processes\": Weir's word for it is workers\n"},
      {with_pool("algorithm = \"leastconn\""),
       "unknown key \"pool.algorithm\": Weir's word for it is pool.balance\n"},
      {with_listener("maxconn = 5"),
       "unknown key \"listener.maxconn\": Weir's word for it is max_connections, and "
       "pool.backend.max_sessions of a "
       "server\n"},
      {with_pool("balance = \"leastconn\""),
       "unknown balancer: Weir's word for it is \"least_connections\" (known: "},
      {with_pool("balance = \"IP_HASH\""),
       "unknown balancer: Weir's word for it is \"source_hash\" (known: "},
      {with_backend("weight = 0"),
       "must be 1 to 256; for a backend without new sessions write admin = \"drained\"\n"},
  }));
  CHECK_THAT(bad(text), Contains(answer));
}

TEST_CASE("what is valid and surely not meant is warned of") {
  const auto [text, warning] = GENERATE(table<std::string, std::string>({
      {with_health("interval = \"500ms\"\ntimeout = \"2s\""),
       "f:9:11: pool.health.timeout = \"2s\" is longer than"},
      {with_health("fall = 1"), "f:8:8: pool.health.fall = 1: a single lost probe"},
      {with_pool("idle_timeout = \"2s\""), "f:7:16: pool.idle_timeout = \"2s\" resets every session"},
      {with_backend("backup = true"), "pool \"web\" has only backups"},
  }));
  const LoadResult result = parse(text);
  CHECK(result.faults.empty());
  CHECK_THAT(all_of(result.warnings), Contains(warning));
  CHECK(parse(with_health("interval = \"500ms\"")).warnings.empty());
  CHECK(parse(with_health("probe = \"none\"")).warnings.empty());
}
