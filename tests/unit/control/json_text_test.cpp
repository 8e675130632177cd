#include "lb/control/json_text.h"

#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

using namespace weir;

namespace {

std::string text_of(std::string_view text) {
  std::string out;
  append_json(out, text);
  return out;
}

std::string number_of(double number) {
  std::string out;
  append_json(out, number);
  return out;
}

}  // namespace

TEST_CASE("a text is written into JSON so that it is read as it was") {
  const std::string hard = std::string("a\"b\\c\n\t\x01/ é→\x7f") + '\0' + "end";
  for (const std::string& text : {std::string(), std::string("plain text"), hard})
    CHECK(nlohmann::json::parse(text_of(text)) == text);
  CHECK_NOTHROW(nlohmann::json::parse(text_of("no \xff UTF-8")));
}

TEST_CASE("a number is written into JSON as it is, and none that JSON does not have") {
  for (const double number : {0.0, 1.0, -2.5, 0.4, 1e-7, 123456789.0, 1e300})
    CHECK(nlohmann::json::parse(number_of(number)) == number);
  CHECK(number_of(std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("an object is written with its members in their order, and objects and lists in it") {
  std::string out;
  {
    JsonObject object(out);
    object.add("text", "x");
    object.add("flag", true);
    object.add("number", 7u);
    object.add("some", std::optional(1.5));
    object.add("none", std::optional<double>());
    { JsonObject inner(object.value("inner")); }
    append_json_array(object.value("list"), std::vector{1, 2}, [&](int n) { out += std::to_string(n); });
  }
  CHECK(out == R"({"text":"x","flag":true,"number":7,"some":1.5,"none":null,"inner":{},"list":[1,2]})");
}
