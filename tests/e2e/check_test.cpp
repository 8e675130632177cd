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
  CHECK_THAT(bad.err, Contains(fmt::format("{}:{}:{}: ", faults.at(0).at("file").get<std::string>(),
                                           faults.at(0).at("line").get<int>(),
                                           faults.at(0).at("column").get<int>())));
  CHECK(run_weir({"check", "-c", "{}", "-o", "xml"}, plain().toml()).status == 2);
}

TEST_CASE("a warning is in check's JSON and makes nothing invalid") {
  const Finished checked =
      run_weir({"check", "-c", "{}", "-o", "json"},
               plain().toml() + "\n[[pool]]\nname = \"idle\"\n[[pool.backend]]\naddress = \"127.0.0.1:10\"\n");
  CHECK(checked.status == 0);
  const json answer = json::parse(checked.out);
  CHECK(answer.at("valid") == true);
  REQUIRE(answer.at("warnings").size() == 1);
  CHECK_THAT(answer.at("warnings").at(0).at("message").get<std::string>(), Contains("idle"));
}
