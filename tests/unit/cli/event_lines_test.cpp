#include "lb/cli/event_lines.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace weir;

TEST_CASE("events are taken out of a stream however it is cut") {
  const std::string text =
      "retry: 1000\n\n:\n\nid: 5-1\ndata: {\"a\":1}\n\nevent: missed\ndata: {\"missed\":3}\n\ndata: "
      "{\"b\":\"ö\"}\n\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    std::vector<std::string> lines;
    EventLines events([&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    });
    for (std::size_t at = 0; at < text.size(); at += size) CHECK(events.take(text.substr(at, size)));
    CHECK(lines == std::vector<std::string>{"{\"a\":1}", "{\"b\":\"ö\"}"});
    CHECK(events.last_id() == "5-1");
    CHECK(events.heard());
  }
}

TEST_CASE("who wants no more is given no more") {
  int lines = 0;
  EventLines events([&](std::string_view) { return ++lines < 2; });
  CHECK_FALSE(events.take("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  CHECK(lines == 2);
}
