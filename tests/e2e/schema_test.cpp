#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;

namespace {

const std::filesystem::path kConf = source_path("conf");

}  // namespace

TEST_CASE("the schema beside the examples is the one that weir schema prints") {
  const Finished schema = run_program({weir_binary(), "schema"});
  CHECK(schema.status == 0);
  INFO("write it anew: weir schema > conf/weir.schema.json");
  CHECK(read_file(kConf / "weir.schema.json") == schema.out);
  CHECK(nlohmann::json::parse(schema.out).at("required") == nlohmann::json{"listener", "pool"});
}

TEST_CASE("the first line of every example names the schema") {
  int examples = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kConf)) {
    if (entry.path().extension() != ".toml") continue;
    CAPTURE(entry.path().string());
    const std::string text = read_file(entry.path());
    const std::string directive = "#:schema ";
    REQUIRE(text.starts_with(directive));
    const std::string named = text.substr(directive.size(), text.find('\n') - directive.size());
    CHECK(std::filesystem::equivalent(entry.path().parent_path() / named, kConf / "weir.schema.json"));
    ++examples;
  }
  CHECK(examples >= 6);
}
