#include "lb/control/event_json.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::system_clock::time_point kStart{1'769'853'600'123ms};

}  // namespace

TEST_CASE("events are handed over as they are") {
  Event event{.time = kStart,
              .kind = Event::Kind::Health,
              .pool = "web",
              .backend = "a",
              .text = "odd \"text\" – \x7f"};
  event.by = "ann";
  event.changes = {"+ web/b", "- web/c"};
  event.count = 7;
  const auto back = parse_events(to_json(std::vector{event}));
  REQUIRE(back.size() == 1);
  CHECK(back[0].time == event.time);
  CHECK(back[0].kind == event.kind);
  CHECK(back[0].backend == "a");
  CHECK(back[0].text == event.text);
  CHECK(back[0].by == "ann");
  CHECK(back[0].changes == event.changes);
  CHECK(back[0].count == 7);
  CHECK(parse_events("nothing").empty());
  CHECK(parse_events(R"({"events": [1, {"time": "x"}, {}]})").empty());
}
