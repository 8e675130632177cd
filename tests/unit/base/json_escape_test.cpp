#include "lb/base/json_escape.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

TEST_CASE("a JSON string keeps what is UTF-8 and escapes what JSON has no letters for") {
  CHECK(json("web 1") == "\"web 1\"");
  CHECK(json("a\"b\\c") == R"("a\"b\\c")");
  CHECK(json(std::string("\0\n\x1b\x7f", 4)) == R"("\u0000\u000a\u001b\u007f")");
  CHECK(json("é 世 😀") == "\"é 世 😀\"");
}

TEST_CASE("bytes that are no UTF-8 become U+FFFD, and what follows them is kept") {
  const std::string mark = "\xef\xbf\xbd";
  CHECK(json("\xff") == "\"" + mark + "\"");
  CHECK(json("\x80z") == "\"" + mark + "z\"");
  CHECK(json("\xc3") == "\"" + mark + "\"");
  CHECK(json("\xc3\"") == "\"" + mark + "\\\"\"");
  CHECK(json("\xc0\xaf") == "\"" + mark + mark + "\"");             // overlong
  CHECK(json("\xed\xa0\x80") == "\"" + mark + mark + mark + "\"");  // a surrogate
  CHECK(json("\xf4\x90\x80\x80") == "\"" + mark + mark + mark + mark + "\"");
  CHECK(json("\xe4\xb8") == "\"" + mark + mark + "\"");
}
