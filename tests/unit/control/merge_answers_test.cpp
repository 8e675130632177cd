#include "lb/control/merge_answers.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace weir;
using Json = nlohmann::json;

namespace {

Json backend(const std::string& name, unsigned active, unsigned total) {
  return {{"name", name},          {"admin", "enabled"}, {"eligible", true},       {"reason", "probe passed"},
          {"active", active},      {"total", total},     {"connect_failures", 1u}, {"bytes_to_backend", 10u},
          {"bytes_to_client", 20u}};
}

/// A vector, since `{json}` may mean a copy as well as a list of one.
Json status(unsigned active, const std::vector<Json>& backends, const std::string& pool = "web") {
  const Json listener{{"name", "web"}, {"active", active}, {"total", 10u}};
  const Json one_pool{{"name", pool}, {"balance", "round_robin"}, {"backends", backends}};
  Json out{{"version", "0.1.0"}, {"sessions", {{"active", active}, {"total", 10u}, {"max", 100u}}}};
  out["listeners"] = std::vector{listener};
  out["pools"] = std::vector{one_pool};
  return out;
}

HttpResponse own(const Json& json, int code = 200) {
  return {code, json.dump()};
}

Json read(const HttpResponse& response) {
  return Json::parse(response.body);
}

}  // namespace

TEST_CASE("of the sessions of all processes the one that has been idle for longest is told") {
  const auto idle = [](const Json& seconds) {
    Json one = backend("a", 1, 1);
    one["longest_idle_seconds"] = seconds;
    return status(1, {one});
  };
  const auto merged = [&](const Json& ours, const Json& theirs) {
    return read(merge_status(own(idle(ours)), {{41, 200, idle(theirs).dump()}}))["pools"][0]["backends"][0]
        .value("longest_idle_seconds", Json());
  };
  CHECK(merged(1.5, 7.5) == 7.5);
  CHECK(merged(7.5, 1.5) == 7.5);
  CHECK(merged(nullptr, 1.5) == 1.5);
  CHECK(merged(nullptr, nullptr).is_null());
}

TEST_CASE("status sums the counters of all processes and lists the older ones") {
  const auto merged =
      read(merge_status(own(status(3, {backend("a", 3, 7)})),
                        {{41, 200, status(2, {backend("a", 2, 5)}).dump()}, {42, 0, ""}, {0, 0, ""}}));
  CHECK(merged["sessions"]["active"] == 5);
  CHECK(merged["sessions"]["total"] == 20);
  CHECK(merged["sessions"]["max"] == 100);
  CHECK(merged["listeners"][0]["active"] == 5);
  const auto& a = merged["pools"][0]["backends"][0];
  CHECK(a["active"] == 5);
  CHECK(a["total"] == 12);
  CHECK(a["connect_failures"] == 2);
  CHECK(a["bytes_to_backend"] == 20);
  CHECK(a["bytes_to_client"] == 40);
  REQUIRE(merged["predecessors"].size() == 2);  // not the one that is gone
  CHECK(merged["predecessors"][0]["active"] == 2);
  CHECK(merged["predecessors"][1]["error"] == "no answer within 2 s");
}

TEST_CASE("those who were turned away by any process are counted at its listener, by their end") {
  Json here = status(0, {}), there = status(0, {});
  here["listeners"][0]["turned_away"] = {{"denied", 2u}};
  there["listeners"][0]["turned_away"] = {{"denied", 3u}, {"bad_header", 1u}};
  const auto merged =
      read(merge_status(own(here), {{41, 200, there.dump()}, {42, 200, status(0, {}).dump()}}));
  CHECK(merged["listeners"][0]["turned_away"] == Json{{"denied", 5}, {"bad_header", 1}});
}

TEST_CASE("what only an older process has is shown as removed while it has sessions") {
  const auto theirs = status(2, {backend("gone", 2, 5), backend("empty", 0, 5)}).dump();
  const auto merged = read(merge_status(own(status(0, {backend("a", 0, 0)})), {{41, 200, theirs}}));
  const auto& backends = merged["pools"][0]["backends"];
  REQUIRE(backends.size() == 2);
  CHECK(backends[1]["name"] == "gone");
  CHECK(backends[1]["removed"] == true);
  CHECK(backends[1]["eligible"] == false);

  const auto other_pool = status(1, {backend("x", 1, 1)}, "old").dump();
  const auto pools = read(merge_status(own(status(0, {})), {{41, 200, other_pool}}))["pools"];
  REQUIRE(pools.size() == 2);
  CHECK(pools[1]["removed"] == true);
}

TEST_CASE("a name that only an older process knows is answered as long as it has sessions") {
  const HttpResponse unknown{404, R"({"error":{"code":"unknown","message":"no pool x"}})"};
  CHECK(merge_status(unknown, {{41, 200, status(1, {backend("x", 1, 1)}).dump()}}).status == 200);
  CHECK(merge_status(unknown, {{41, 200, status(0, {backend("x", 0, 1)}).dump()}}).status == 404);
  CHECK(merge_status(unknown, {{41, 404, unknown.body}}).status == 404);
}

TEST_CASE("the ids of older processes' sessions name the process") {
  const Json mine = Json::parse(R"({"sessions":[{"id":"1-1"}]})");
  const Json theirs = Json::parse(R"({"sessions":[{"id":"1-1"}],"left_out":7})");
  const auto merged = read(merge_sessions(own(mine), {{41, 200, theirs.dump()}}));
  REQUIRE(merged["sessions"].size() == 2);
  CHECK(merged["sessions"][0]["id"] == "1-1");
  CHECK(merged["sessions"][1]["id"] == "41.1-1");
  CHECK(merged["left_out"] == 7);
}

TEST_CASE("the killed of all processes are summed") {
  CHECK(read(merge_killed(own({{"killed", 1u}}),
                          {{41, 200, R"({"killed":2})"}, {42, 200, R"({"killed":3})"}}))["killed"] == 6);
  const HttpResponse unknown{404, "{}"};
  CHECK(read(merge_killed(unknown, {{41, 404, "{}"}, {42, 200, R"({"killed":3})"}}))["killed"] == 3);
  CHECK(merge_killed(unknown, {{41, 404, "{}"}}).status == 404);
}

TEST_CASE("a change sums the sessions, and what this process refuses is refused") {
  const Json mine{{"changed", {{{"backend", "web/a"}, {"admin", "drained"}, {"sessions", 1u}}}}};
  const Json theirs{{"changed",
                     {{{"backend", "web/a"}, {"sessions", 2u}},
                      {{"backend", "web/old"}, {"sessions", 4u}},
                      {{"backend", "web/empty"}, {"sessions", 0u}}}}};
  const auto changed = read(merge_changes(own(mine), {{41, 200, theirs.dump()}}))["changed"];
  REQUIRE(changed.size() == 2);
  CHECK(changed[0]["sessions"] == 3);
  CHECK(changed[1]["backend"] == "web/old");
  CHECK(merge_changes({409, "{}"}, {{41, 200, theirs.dump()}}).status == 409);
}

TEST_CASE("answers that make no sense change nothing") {
  const auto mine = own(status(3, {backend("a", 3, 7)}));
  for (const char* body : {"", "[]", "{}", "no json", R"({"pools":[{}],"listeners":[{}]})"}) {
    CAPTURE(body);
    CHECK(read(merge_status(mine, {{41, 200, body}}))["sessions"]["active"] == 3);
    CHECK(read(merge_killed(own({{"killed", 1u}}), {{41, 200, body}}))["killed"] == 1);
  }
}

TEST_CASE("a client's sessions in several processes are added up before the list is cut") {
  const HttpResponse own{200, R"({"clients":[{"client":"a","sessions":3},{"client":"b","sessions":2}]})"};
  const std::vector<PredecessorAnswer> others{
      {41, 200, R"({"clients":[{"client":"b","sessions":2},{"client":"c","sessions":1}]})"}};
  const auto merged = nlohmann::json::parse(merge_clients(own, others, "2").body);
  REQUIRE(merged.at("clients").size() == 2);
  CHECK(merged.at("clients").at(0).at("client") == "b");
  CHECK(merged.at("clients").at(0).at("sessions") == 4);
  CHECK(merged.at("clients").at(1).at("client") == "a");
  CHECK(merged.at("left_out") == 1);
  CHECK(nlohmann::json::parse(merge_clients(own, others, "").body).at("clients").size() == 3);
}

TEST_CASE("an older process that does not answer is named, and one that is gone or refuses is not") {
  const HttpResponse merged{200, R"({"killed":1})"};
  const auto named =
      read(naming_unheard(merged, {{41, 0, ""}, {42, 200, R"({"killed":1})"}, {0, 0, ""}, {43, 404, "{}"}}));
  CHECK(named["killed"] == 1);
  CHECK(named["unheard"] == Json::array({41}));
  REQUIRE(named["warnings"].size() == 1);
  CHECK(named["warnings"][0].get<std::string>().starts_with("the older process 41 has not answered"));
  CHECK(naming_unheard(merged, {{42, 200, "{}"}}).body == merged.body);
  CHECK(naming_unheard({409, "{}"}, {{41, 0, ""}}).status == 409);
}

TEST_CASE("an older process that says nothing of a drain's sessions is not taken for one without any") {
  const HttpResponse own{200, R"({"changed":[{"backend":"web/a","sessions":0}],"enabled":[]})"};
  const auto unheard = [&](int status, const std::string& body) {
    const auto merged = nlohmann::json::parse(merge_drains(own, {{41, status, body}}).body);
    return merged.value("unheard", nlohmann::json::array()) == nlohmann::json::array({41});
  };
  CHECK_FALSE(unheard(200, R"({"changed":[{"backend":"web/a","sessions":2}]})"));
  CHECK_FALSE(unheard(404, R"({"error":{"code":"unknown","message":"no backend web/a"}})"));
  CHECK(unheard(404, R"({"error":{"code":"no_such_request","message":"…"}})"));
  CHECK(unheard(0, ""));
}
