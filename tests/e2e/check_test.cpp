// `weir check`: as JSON, and against a running Weir.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/support/operated.h"

using namespace weir::test;
using Catch::Contains;
using nlohmann::json;

namespace {

SimpleConfig plain() {
  SimpleConfig config;
  config.bind = "127.0.0.1:8080";
  config.backends = {{"a", "127.0.0.1:9"}};
  return config;
}

/// `weir check --diff` of this text against the running Weir.
Finished diff(const Operated& weir, const std::string& toml, std::vector<std::string> more = {}) {
  const std::string file = weir.dir().file("new.toml");
  write_file(file, toml);
  std::vector<std::string> arguments{"check", "--diff", "-c", file};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return weir.cli(arguments);
}

}  // namespace

TEST_CASE("check answers in JSON with what is in the file, or with every fault and its place") {
  const Finished good = run_weir({"check", "-c", "{}", "-o", "json"}, plain().toml());
  CHECK(good.status == 0);
  const json fine = json::parse(good.out);
  CHECK(fine.at("valid") == true);
  CHECK(fine.at("backends") == 1);
  CHECK(fine.at("faults").empty());

  SimpleConfig config = plain();
  config.pool = "balance = \"random\"\nidle_timeout = 3";
  const Finished bad = run_weir({"check", "-c", "{}", "-o", "json"}, config.toml());
  CHECK(bad.status == 1);
  const json faults = json::parse(bad.out).at("faults");
  CHECK(json::parse(bad.out).at("valid") == false);
  REQUIRE(faults.size() == 2);
  CHECK_THAT(faults.at(0).at("message").get<std::string>(), Contains("random"));
  CHECK(faults.at(1).at("line").get<int>() == faults.at(0).at("line").get<int>() + 1);
  CHECK(faults.at(1).at("column") == 16);
  // The people's way of saying it stays where it was.
  CHECK_THAT(bad.err,
             Contains(fmt::format("{}:{}:{}: ", faults.at(0).at("file").get<std::string>(),
                                  faults.at(0).at("line").get<int>(), faults.at(0).at("column").get<int>())));
  CHECK(run_weir({"check", "-c", "{}", "-o", "xml"}, plain().toml()).status == 2);
}

TEST_CASE("a warning is in check's JSON and makes nothing invalid") {
  const Finished checked = run_weir(
      {"check", "-c", "{}", "-o", "json"},
      plain().toml() + "\n[[pool]]\nname = \"idle\"\n[[pool.backend]]\naddress = \"127.0.0.1:10\"\n");
  CHECK(checked.status == 0);
  const json answer = json::parse(checked.out);
  CHECK(answer.at("valid") == true);
  REQUIRE(answer.at("warnings").size() == 1);
  CHECK_THAT(answer.at("warnings").at(0).at("message").get<std::string>(), Contains("idle"));
}

TEST_CASE("check --diff says what a reload then does, and does nothing itself") {
  Operated weir(lettered(3));
  REQUIRE(weir.status({"weight", "web/b", "7"}) == 0);
  REQUIRE(weir.status({"add", "web", "late", "127.0.0.1:9"}) == 0);
  const json before = weir.get("status");
  SimpleConfig next = weir.config;
  next.backends[0].more = "weight = 5";
  next.backends[1].more = "weight = 3";
  next.backends.pop_back();
  next.backends.push_back({"web4", "127.0.0.1:10"});
  const Finished foreseen = diff(weir, next.toml());
  CHECK(foreseen.status == 0);
  CHECK(foreseen.err.empty());
  CHECK_THAT(foreseen.out, Contains("~ web/a weight 1→5\n") && Contains("~ web/b weight 1→3\n") &&
                               Contains("- web/c\n") && Contains("+ web/web4\n") &&
                               Contains("! web/b: weight 7 by an operator is dropped") &&
                               Contains("! web/late is gone"));
  const json told = json::parse(diff(weir, next.toml(), {"-o", "json"}).out);
  CHECK(told.at("accepted") == true);
  const json after = weir.get("status");
  CHECK(after.at("generation") == before.at("generation"));
  CHECK(weir.backend_status("b").at("weight") == 7);

  weir.config = next;
  weir.write_config();
  const json done = weir.answer({"reload"});
  CHECK(done.at("changes") == told.at("changes"));
  CHECK(done.at("notes") == told.at("notes"));
  CHECK(diff(weir, next.toml()).out == "no changes\n");
}

TEST_CASE("check --diff exits 1 with the faults and refusals that a reload would give") {
  Operated weir(lettered(2));
  SimpleConfig bad = weir.config;
  bad.pool = "balance = \"random\"";
  const Finished faulty = diff(weir, bad.toml());
  CHECK(faulty.status == 1);
  CHECK(faulty.out.empty());
  CHECK_THAT(faulty.err, Contains(weir.dir().file("new.toml") + ":") && Contains("random") &&
                             Contains("a reload would be refused"));
  SimpleConfig workers = weir.config;
  workers.workers = 2;
  const Finished refused = diff(weir, workers.toml(), {"-o", "json"});
  CHECK(refused.status == 1);
  CHECK(json::parse(refused.out).at("accepted") == false);
  CHECK_THAT(refused.err, Contains("workers changes with a restart or an upgrade only"));
  SimpleConfig state = weir.config;
  state.state_file = weir.weir().config_file();
  CHECK_THAT(diff(weir, state.toml()).err, Contains("not a state file"));
  CHECK(weir.cli({"check", "--diff", "-c", weir.dir().file("none.toml")}).status == 1);
  CHECK(weir.letters(2) == "ab");
}

TEST_CASE("check --diff takes no listener on trust that only a reload can bind") {
  Operated weir(lettered(1));
  FakeBackend holder;
  SimpleConfig next = weir.config;
  next.bind = fmt::format("[\"{}\", \"{}\"]", weir.config.bind, holder.address());
  const Finished told = diff(weir, next.toml());
  CHECK(told.status == 0);
  CHECK_THAT(told.out, Contains("~ listener web bind") &&
                           Contains("! whether " + holder.address() + " can be bound is known only"));
}

TEST_CASE("check --diff fills in the environment that the daemon has, not its own") {
  ProcessOptions daemons;
  daemons.environment = {{"WEIR_TEST_WEIGHT", "3s"}};
  SimpleConfig config;
  config.pool = "idle_timeout = \"${WEIR_TEST_WEIGHT:-9s}\"";
  Operated weir(lettered(1), config, daemons);
  CHECK(diff(weir, weir.config.toml()).out == "no changes\n");
  weir.config.pool = "idle_timeout = \"9s\"";
  CHECK_THAT(diff(weir, weir.config.toml()).out, Contains("~ pool web idle_timeout ${WEIR_TEST_WEIGHT}→9s"));
}

TEST_CASE("check --diff without a daemon exits 5, and takes a file of many backends") {
  const TempDir dir;
  const Finished none =
      run_weir({"check", "--diff", "-c", "{}", "--socket", dir.file("none.sock")}, plain().toml());
  CHECK(none.status == 5);
  CHECK_THAT(none.err, Contains("no daemon at"));
  Operated weir(lettered(1));
  std::string toml = weir.config.toml();
  // The CLI waits ten seconds, which is too little for ten thousand on a slow machine under a sanitizer.
  const int backends = kSanitized ? 2'000 : 10'000;
  for (int i = 0; i < backends; ++i)
    toml += fmt::format("[[pool.backend]]\nname = \"backend-{0}\"\naddress = \"10.1.{1}.{2}:80\"\n", i,
                        i / 250, i % 250 + 1);
  const Finished told = diff(weir, toml);
  CHECK(told.status == 0);
  CHECK_THAT(told.out, Contains(fmt::format("+ web/backend-{}\n", backends - 1)));
  const Finished huge = diff(weir, std::string(17'000'000, '#'));
  CHECK(huge.status == 1);
  CHECK_THAT(huge.err, Contains("over 16384 KiB"));
}

TEST_CASE("while a large configuration is parsed and compared others are answered", "[alone]") {
  Operated weir(lettered(1));
  std::string toml = weir.config.toml();
  constexpr int kBackends = kSanitized ? 2'000 : 20'000;
  for (int i = 0; i < kBackends; ++i)
    toml += fmt::format("[[pool.backend]]\nname = \"backend-{0}\"\naddress = \"10.{1}.{2}.{3}:80\"\n", i,
                        i / 40'000 + 1, i / 200 % 200, i % 200 + 1);
  write_file(weir.dir().file("new.toml"), toml);
  Process compares({weir_binary(), "check", "--diff", "-c", weir.dir().file("new.toml"), "--socket",
                    weir.socket(), "--timeout", "90s"});
  milliseconds worst{0};
  while (compares.running()) {
    const auto begin = Clock::now();
    Stream caller = Stream::connect("unix:" + weir.socket());
    caller.send_all("GET /v1/version HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n");
    REQUIRE_THAT(caller.recv_to_end().data, Contains("200 OK"));
    worst = std::max(worst, since(begin));
  }
  CAPTURE(compares.err());
  CHECK(compares.wait() == 0);
  CHECK(compares.out_lines() == kBackends);
  CHECK(worst < patient(milliseconds(250)));
}
