#include <fmt/format.h>

#include "lb/config/substitute.h"
#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("a variable in a string is replaced once, from left to right") {
  const LoadOptions options = options_with({{"A", "one"}, {"EMPTY", ""}, {"NESTED", "${A}"}, {"_x9", "y"}});
  const auto [text, expected] = GENERATE(table<std::string, std::string>({
      {"", ""},
      {"plain", "plain"},
      {"${A}", "one"},
      {"x${A}y${A}z", "xoneyonez"},
      {"${EMPTY}", ""},
      {"${_x9}", "y"},
      {"${NESTED}", "${A}"},
      {"${A:-two}", "one"},
      {"${B:-two}", "two"},
      {"${B:-}", ""},
      {"${EMPTY:-two}", "two"},
      {"${B:-a:-b}", "a:-b"},
      {"$${A}", "${A}"},
      {"$$${A}", "$${A}"},
      {"$A $ $$ $(A)", "$A $ $$ $(A)"},
      {"$", "$"},
      {"a$", "a$"},
      {"}", "}"},
  }));
  CAPTURE(text);
  Written written;
  const auto result = substitute(text, options.environment, written);
  REQUIRE(result.has_value());
  CHECK(*result == expected);
}

TEST_CASE("a variable that is not set, and what is no variable, is an error") {
  const LoadOptions options = options_with({{"A", "one"}});
  const auto [text, what] = GENERATE(table<std::string, std::string>({
      {"${B}", "the environment variable B is not set: set it, or write ${B:-default}"},
      {"x${A", "\"${A\" has no closing }: write $${ for a literal ${"},
      {"${}", "\"${}\" is not a variable"},
      {"${ A }", "\"${ A }\" is not a variable"},
      {"${1A}", "\"${1A}\" is not a variable"},
      {"${A-b}", "\"${A-b}\" is not a variable"},
      {"${:-x}", "\"${:-x}\" is not a variable"},
  }));
  CAPTURE(text);
  Written written;
  const auto result = substitute(text, options.environment, written);
  REQUIRE_FALSE(result.has_value());
  CHECK_THAT(result.error().message, StartsWith(what));
}

TEST_CASE("variables stand in any string of the file") {
  const LoadOptions options =
      options_with({{"HOST", "10.1.1.1"}, {"PORT", "81"}, {"T", "7s"}, {"B", "source_hash"}});
  const Config config = good(
      "[[listener]]\nname = \"${N:-web}\"\nbind = [\"127.0.0.1:${PORT}\"]\npool = \"web\"\n"
      "[[pool]]\nname = \"web\"\nidle_timeout = \"${T}\"\nbalance = \"${B}\"\n"
      "[[pool.backend]]\naddress = \"${HOST}:${PORT}\"\n",
      options);
  CHECK(config.listeners[0].name == "web");
  CHECK(config.listeners[0].bind[0].to_string() == "127.0.0.1:81");
  CHECK(config.pools[0].idle_timeout == Millis(7000));
  CHECK(config.pools[0].balance == "source_hash");
  CHECK(config.pools[0].backends[0].name == "10.1.1.1:81");
}

TEST_CASE("a fault of a variable stands at its string and hides no other") {
  CHECK(bad(and_backend("address = \"${WEB}:80\"\nweight = 0")) ==
        "f:10:11: pool.backend.address = \"${WEB}:80\": the environment variable WEB is not set: set it, or "
        "write "
        "${WEB:-default}\n"
        "f:11:10: pool.backend.weight = 0: must be 1 to 256; for a backend without new sessions write "
        "admin = \"drained\"\n");
  CHECK_THAT(bad("[[listener]]\nname = \"l\"\npool = \"web\"\nbind = [\"127.0.0.1:1\", \"${X}\"]\n" + kPool +
                 kBackend),
             StartsWith("f:4:24: listener.bind[1] = \"${X}\": the environment variable X is not set"));
}

TEST_CASE("a fault shows what a variable stood for") {
  CHECK(bad(with_pool("idle_timeout = \"${T}\""), options_with({{"T", "5"}})) ==
        "f:7:16: pool.idle_timeout: \"5\" has no unit (ms, s, m, h)\n");
}

TEST_CASE("a pool named by a missing variable is not said to be unknown as well") {
  CHECK(parse(kListener + "[[pool]]\nname = \"${P}\"\n" + kBackend).faults.size() == 1);
}

TEST_CASE("what came out of the environment is shown as it is written") {
  Written written;
  written.note("hunter2", "${SECRET}");
  written.note("80", "${PORT}");
  written.note("10.0.0.1", "${HOST}");
  written.note("", "${EMPTY}");
  CHECK(written.restore("password hunter2, \"hunter2\"") == "password ${SECRET}, \"${SECRET}\"");
  CHECK(written.restore("10.0.0.1:80, 10.0.0.1:8080, 80") == "${HOST}:${PORT}, ${HOST}:8080, ${PORT}");
  CHECK(written.restore("xhunter22") == "x${SECRET}2");
  CHECK(written.restore("") == "");
  const LoadOptions options = options_with({{"SECRET", "hunter2 with\na newline"}});
  const LoadResult result = parse(with_backend("name = \"${SECRET}\""), options);
  REQUIRE(result.faults.size() == 1);
  CHECK_THAT(result.faults[0].message, Contains("hunter2"));
  CHECK_THAT(result.written.restore(result.faults[0].message),
             !Contains("hunter2") && !Contains("newline") && Contains("${SECRET}"));
  const std::string longest(500, 's');
  for (const std::string_view name : {"x${LONG}", "/${LONG}/y", "${LONG}"}) {
    const LoadResult cut =
        parse(with_backend(fmt::format("name = \"{}\"", name)), options_with({{"LONG", longest}}));
    REQUIRE(cut.faults.size() == 1);
    CHECK_THAT(cut.written.restore(cut.faults[0].message), !Contains("sss") && Contains(std::string(name)));
  }
}
