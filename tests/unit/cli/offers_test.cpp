#include "lb/cli/offers.h"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

#include "lb/cli/command_line.h"

using namespace weir;
using Words = std::vector<std::string>;

namespace {

constexpr auto kStatus = R"({
  "listeners": [{"name": "front"}],
  "pools": [
    {"name": "web", "balance": "round_robin", "backends": [
      {"name": "web1", "address": "10.0.0.1:80", "admin": "enabled", "health": "up"},
      {"name": "[::1]:80", "address": "[::1]:80", "admin": "drained", "health": "down"},
      {"name": "old", "address": "10.0.0.9:80", "admin": "enabled", "health": "up", "removed": true}]},
    {"name": "db", "balance": "source_hash", "backends": [
      {"name": "a\tb", "address": "x:1", "admin": "enabled", "health": "up"},
      {"name": "db1", "address": "unix:/run/db", "admin": "enabled", "health": "unknown"}]}]})";

/// What is asked for, and of which daemon.
struct Asked {
  Offers offers;
  Words sockets;

  Words values() const {
    Words out;
    for (const Offer& offer : offers.values) out.push_back(offer.value);
    return out;
  }
};

Asked ask(const Words& words, const char* status = kStatus) {
  CLI::App app("weir");
  const CommandLine commands(app, "0.1.0");
  Asked asked;
  asked.offers = offers_for(app, words, [&](const std::string& socket) {
    asked.sockets.push_back(socket);
    return parse_object(status);
  });
  return asked;
}

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

TEST_CASE("the first word may be any command") {
  const Words commands = ask({""}).values();
  for (const auto* name : {"run", "status", "drain", "schema", "man"}) CHECK(has(commands, name));
  CHECK_FALSE(has(commands, "complete"));
  CHECK(ask({"-"}).values() == Words{"--help", "--version"});
}

TEST_CASE("where a pool or a backend is meant, those of the running Weir are offered") {
  const Words backends{"web/web1", "web/[::1]:80", "db/a\tb", "db/db1"};
  for (const auto* command : {"drain", "disable", "enable", "weight", "remove"}) {
    CAPTURE(command);
    CHECK(ask({command, ""}).values() == backends);
  }
  CHECK(ask({"explain", ""}).values() == Words{"web", "db"});
  CHECK(ask({"add", ""}).values() == Words{"web", "db"});
  CHECK(ask({"sessions", "--pool", ""}).values() == Words{"web", "db"});
  CHECK(ask({"kill", "--backend", ""}).values() == backends);
  CHECK(ask({"kill", "--pool", "web", "--backend", ""}).values() == Words{"web1", "[::1]:80"});
  CHECK(ask({"status", ""}).values() == Words{"web", "db", "web/web1", "web/[::1]:80", "db/a\tb", "db/db1"});
  CHECK(ask({"status", "--ready", ""}).values() == Words{"front"});
}

TEST_CASE("an offer says what it is") {
  const auto offers = ask({"drain", ""}).offers.values;
  CHECK(offers.at(0).about == "up, 10.0.0.1:80");
  CHECK(offers.at(1).about == "drained, [::1]:80");
}

TEST_CASE("an option's words are offered, beside it and behind its sign of equality") {
  CHECK(ask({"drain", "web/web1", "--then", ""}).values() == Words{"leave", "close"});
  CHECK(ask({"drain", "--then=cl"}).values() == Words{"--then=leave", "--then=close"});
  CHECK(ask({"status", "-o", ""}).values() == Words{"table", "json"});
  CHECK(ask({"sessions", "--sort", ""}).values() == Words{"bytes", "age", "idle"});
  CHECK(ask({"sessions", "--by", ""}).values() == Words{"client"});
  CHECK(ask({"weight", "web/web1", ""}).values() == Words{"default"});
  CHECK(ask({"completion", ""}).values() == Words{"bash", "zsh", "fish"});
  CHECK(ask({"man", ""}).values() == Words{"weir", "weir.toml", "weir-metrics"});
}

TEST_CASE("files are offered where a file is meant, and nowhere else") {
  for (const auto& words : {Words{"run", "-c", ""}, Words{"check", ""}, Words{"check", "--config=x"},
                            Words{"status", "--socket", ""}, Words{"upgrade", "--binary", ""}}) {
    CAPTURE(words);
    CHECK(ask(words).offers.files);
    CHECK(ask(words).values().empty());
  }
  for (const auto& words : {Words{"drain", ""}, Words{"reload", ""}, Words{""}})
    CHECK_FALSE(ask(words).offers.files);
}

TEST_CASE("where only its writer knows the value, nothing is offered and nobody is asked") {
  for (const auto& words :
       {Words{"drain", "--timeout", ""}, Words{"drain", "--comment", ""}, Words{"drain", "web/web1", ""},
        Words{"add", "web", ""}, Words{"add", "web", "x", ""}, Words{"kill", ""},
        Words{"sessions", "--limit", ""}, Words{"reload", ""}, Words{"explain", "web", ""},
        Words{"nonsense", ""}, Words{"drain", "--nonsense="}}) {
    CAPTURE(words);
    const Asked asked = ask(words);
    CHECK(asked.values().empty());
    CHECK_FALSE(asked.offers.files);
    CHECK(asked.sockets.empty());
  }
}

TEST_CASE("options are offered once each, and none behind --") {
  const Words all = ask({"drain", "-"}).values();
  CHECK(has(all, "--then"));
  CHECK(has(all, "--output"));
  const Words left = ask({"drain", "--then", "close", "-ojson", "--f"}).values();
  CHECK_FALSE(has(left, "--then"));
  CHECK_FALSE(has(left, "--output"));
  CHECK(has(left, "--force"));
  CHECK_FALSE(has(ask({"drain", "--", "-"}).values(), "--then"));
}

TEST_CASE("the daemon that is asked is the one that the line names") {
  CHECK(ask({"drain", ""}).sockets == Words{""});
  CHECK(ask({"drain", "--socket", "/tmp/s", ""}).sockets == Words{"/tmp/s"});
  CHECK(ask({"drain", "--socket=/tmp/s", ""}).sockets == Words{"/tmp/s"});
}

TEST_CASE("an answer that is none offers nothing") {
  for (const auto* status : {"", "[]", R"({"pools": 7})", R"({"pools": [{"backends": [3]}, 4]})"}) {
    CAPTURE(status);
    const Asked asked = ask({"drain", ""}, status);
    CHECK(offer_lines(asked.offers) == "values\n");
  }
}

TEST_CASE("the scripts get a line for each offer, and none that would be two") {
  CHECK(offer_lines({.files = true, .values = {}}) == "files\n");
  CHECK(offer_lines({.files = false, .values = {{"a", "b"}, {"c\td", ""}, {"e\nf", ""}, {"", "x"}}}) ==
        "values\na\tb\n");
}
