// `weir top` without a terminal: what a key does, what is asked, and what is shown.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>

#include "lb/cli/table.h"
#include "lb/cli/top_model.h"
#include "lb/cli/top_view.h"

using namespace weir;
using Catch::Contains;

namespace {

const std::chrono::system_clock::time_point kNow{std::chrono::seconds(1'769'853'600)};

struct Backend {
  std::string name, health = "up", admin = "enabled";
  int active = 0, weight = 1;
  bool backup = false;
};

AnswerJson json_of(const Backend& one) {
  return {{"name", one.name},
          {"address", "10.0.0.1:80"},
          {"weight", one.weight},
          {"configured_weight", 1},
          {"share_percent", 100},
          {"backup", one.backup},
          {"admin", one.admin},
          {"configured_admin", "enabled"},
          {"health", one.health},
          {"eligible", one.health == "up" && one.admin == "enabled"},
          {"reason", "probe passed (tcp, 0.4 ms)"},
          {"active", one.active},
          {"sessions_per_second", one.active / 2.0}};
}

std::string status(const std::vector<std::pair<std::string, std::vector<Backend>>>& pools,
                   const std::vector<std::string>& problems = {}) {
  AnswerJson root{{"version", "0.1.0"}, {"pid", 7}, {"problems", problems}, {"pools", AnswerJson::array()}};
  for (const auto& [name, backends] : pools) {
    AnswerJson pool{{"name", name}, {"balance", "round_robin"}, {"backends", AnswerJson::array()}};
    for (const Backend& one : backends) pool["backends"].push_back(json_of(one));
    root["pools"].push_back(pool);
  }
  return root.dump();
}

std::vector<std::string> names(const TopModel& model) {
  std::vector<std::string> out;
  for (const auto& row : model.rows()) out.push_back(row.name);
  return out;
}

TopModel::Effect type(TopModel& model, const std::string& text) {
  TopModel::Effect last;
  for (const char c : text) last = model.press({KeyPress::Kind::Text, std::string(1, c)});
  return last;
}

TopModel::Effect press(TopModel& model, KeyPress::Kind kind) {
  return model.press({kind});
}

std::string joined_lines(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

const Terminal kPlain80{.width = 80, .colour = false, .height = 24};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the problems are first, in any pool, and the selected one stays selected") {
  TopModel model;
  model.hear_status(status({{"web", {{"a"}, {"b"}}}, {"db", {{"c"}}}}));
  press(model, KeyPress::Kind::Down);
  REQUIRE(model.selected_row()->name == "web/b");
  model.hear_status(status({{"web", {{"a"}, {"b"}}}, {"db", {{"c", "down"}}}}));
  CHECK(names(model) == Names{"db/c", "web/a", "web/b"});
  CHECK(model.selected_row()->name == "web/b");
  // Whoever has left gives its place to the next.
  model.hear_status(status({{"web", {{"a"}}}, {"db", {{"c", "down"}}}}));
  CHECK(model.selected_row()->name == "web/a");
  model.hear_status(status({}));
  CHECK(model.selected_row() == nullptr);
  CHECK_FALSE(type(model, "dyewS/").order);
}

TEST_CASE("s sorts by the next column and S by the one before") {
  TopModel model;
  model.hear_status(status({{"web", {{"b", "up", "enabled", 5}, {"a", "up", "enabled", 9}, {"c", "down"}}}}));
  CHECK(names(model) == Names{"web/c", "web/b", "web/a"});
  type(model, "s");
  CHECK(model.sort() == TopModel::Sort::Name);
  CHECK(names(model) == Names{"web/a", "web/b", "web/c"});
  type(model, "s");
  CHECK(names(model) == Names{"web/a", "web/b", "web/c"});
  CHECK(model.sort() == TopModel::Sort::Active);
  type(model, "SSS");
  CHECK(model.sort() == TopModel::Sort::Failed);
}

TEST_CASE("a filter is a part of the name, the address or the state, or a glob") {
  TopModel model;
  model.hear_status(status({{"web", {{"a"}, {"b", "down"}}}, {"db", {{"a"}}}}));
  type(model, "/DOWN");
  CHECK(names(model) == Names{"web/b"});
  press(model, KeyPress::Kind::Escape);
  CHECK(model.rows().size() == 3);
  type(model, "/*/a");
  press(model, KeyPress::Kind::Enter);
  CHECK(names(model) == Names{"web/a", "db/a"});
  // It goes on for what is heard later, and its letters are no keys.
  model.hear_status(status({{"web", {{"a"}, {"quick"}}}}));
  CHECK(names(model) == Names{"web/a"});
  type(model, "/q");
  CHECK(model.mode() == TopModel::Mode::Filter);
  press(model, KeyPress::Kind::Erase);
  CHECK(model.filter() == "*/a");
}

TEST_CASE("a drain is asked for with its effect, and sent by y alone") {
  TopModel model;
  model.hear_status(status({{"web", {{"a", "up", "enabled", 37}, {"b"}, {"c", "down"}}}}));
  press(model, KeyPress::Kind::Down);
  REQUIRE(model.selected_row()->name == "web/a");
  CHECK_FALSE(type(model, "d").order);
  CHECK(model.question() ==
        "drain web/a? 37 sessions on it go on until they end; 1 of 3 backends of web remain eligible. y/n");
  const std::string other = GENERATE("n", "x", "q");
  CHECK_FALSE(type(model, other).order);
  CHECK(model.mode() == TopModel::Mode::Browse);
  const auto sent = type(model, "dy").order;
  REQUIRE(sent);
  CHECK(sent->pool == "web");
  CHECK(sent->backend == "a");
  CHECK(sent->verb == "drain");
  CHECK(sent->body == AnswerJson{{"force", false}});
}

TEST_CASE("the last eligible backend is drained by a capital Y only, which forces it") {
  TopModel model;
  model.hear_status(status({{"web", {{"a", "up", "enabled", 1}}}}));
  type(model, "d");
  CHECK_THAT(model.question(), Contains("NOBODY is left to serve pool web"));
  CHECK_FALSE(type(model, "y").order);
  const auto sent = type(model, "dY").order;
  REQUIRE(sent);
  CHECK(sent->body == AnswerJson{{"force", true}});
}

TEST_CASE("what is asked follows what has changed while it is read") {
  TopModel model;
  model.hear_status(status({{"web", {{"a", "up", "enabled", 9}, {"b"}}}}));
  type(model, "d");
  // The other one dies: y is not enough any more.
  model.hear_status(status({{"web", {{"a", "up", "enabled", 7}, {"b", "down"}}}}));
  CHECK_THAT(model.question(), Contains("7 sessions on it") && Contains("NOBODY is left"));
  CHECK_FALSE(type(model, "y").order);
  type(model, "d");
  REQUIRE(model.mode() == TopModel::Mode::Confirm);
  model.hear_status(status({{"web", {{"a", "up", "drained", 7}, {"b"}}}}));
  CHECK(model.mode() == TopModel::Mode::Browse);
  CHECK(model.note().text == "web/a is drained already");
  press(model, KeyPress::Kind::Home);
  type(model, "e");
  model.hear_status(status({{"web", {{"b"}}}}));
  CHECK(model.note().text == "web/a has gone");
}

TEST_CASE("a drain that leaves backups only says so") {
  TopModel model;
  model.hear_status(status({{"web", {{"a"}, {"b", "up", "enabled", 0, 1, true}}}}));
  type(model, "d");
  CHECK_THAT(model.question(), Contains("1 of 2 backends of web remain eligible, backups only"));
}

TEST_CASE("what is so already is not asked for") {
  TopModel model;
  model.hear_status(status({{"web", {{"a", "up", "drained"}, {"b"}}}}));
  type(model, "d");
  CHECK(model.mode() == TopModel::Mode::Browse);
  CHECK(model.note().text == "web/a is drained already");
  type(model, "e");
  CHECK(model.question() == "enable web/a? it gets new sessions at once, beside 1 eligible in web. y/n");
  CHECK(type(model, "y").order->verb == "enable");
  press(model, KeyPress::Kind::Down);
  type(model, "e");
  CHECK(model.note().text == "web/b is enabled already");
}

TEST_CASE("a weight is typed, and asked for with the share that it gives") {
  TopModel model;
  model.hear_status(status({{"web", {{"a", "up", "enabled", 2}, {"b"}}}}));
  const std::string wrong = GENERATE("", "0", "257", "x", "-1", "1.5");
  type(model, "w" + wrong);
  press(model, KeyPress::Kind::Enter);
  CHECK_THAT(model.note().text, Contains("is no weight: 1 to 256, or default"));
  type(model, "w3");
  // A look in between changes neither what is typed nor whom it concerns.
  model.hear_status(status({{"web", {{"b"}, {"a", "up", "enabled", 2}}}}));
  press(model, KeyPress::Kind::Enter);
  CHECK(model.question() ==
        "weight of web/a from 1 to 3? its share of web's new sessions goes from 50% to 75%; 2 sessions on it "
        "stay. y/n");
  const auto sent = type(model, "y").order;
  REQUIRE(sent);
  CHECK(sent->verb == "weight");
  CHECK(sent->body == AnswerJson{{"weight", "3"}});
}

TEST_CASE("on a socket for looking only no question is asked") {
  TopModel model;
  model.hear_status(status({{"web", {{"a"}, {"b"}}}}));
  model.set_may_change(false);
  const std::string key = GENERATE("d", "e", "w");
  type(model, key);
  CHECK(model.mode() == TopModel::Mode::Browse);
  CHECK(model.note().bad);
  CHECK_THAT(model.note().text, Contains("read-only"));
}

TEST_CASE("a page moves by what has room, and the selected one is in view") {
  std::vector<Backend> many;
  for (int i = 0; i < 50; ++i) many.push_back({fmt::format("b{:02}", i)});
  TopModel model;
  model.hear_status(status({{"web", many}}));
  model.set_room(10);
  press(model, KeyPress::Kind::PageDown);
  CHECK(model.selected() == 10);
  CHECK(model.first() == 1);
  press(model, KeyPress::Kind::End);
  CHECK(model.selected() == 49);
  CHECK(model.first() == 40);
  model.set_room(20);
  CHECK(model.first() == 30);
  press(model, KeyPress::Kind::PageUp);
  CHECK(model.selected() == 29);
  CHECK(model.first() == 29);
  press(model, KeyPress::Kind::Home);
  CHECK(model.first() == 0);
}

TEST_CASE("what is shown fits any terminal") {
  std::vector<Backend> many;
  for (int i = 0; i < 30; ++i)
    many.push_back({fmt::format("server-with-a-long-name-{}", i), i == 7 ? "down" : "up"});
  TopModel model;
  model.hear_status(
      status({{"web", many}, {"世界", {{"世"}}}},
             {"pool web is degraded, and this is told in a line that is too long for a terminal"}));
  const auto [width, height] = GENERATE(table<std::size_t, std::size_t>(
      {{80, 24}, {120, 40}, {40, 10}, {200, 60}, {30, 8}, {20, 5}, {80, 3}, {10, 1}}));
  const std::string keys = GENERATE("", "d", "w", "/server", "\t");
  for (const char c : keys)
    model.press(c == '\t' ? KeyPress{KeyPress::Kind::Tab}
                          : KeyPress{KeyPress::Kind::Text, std::string(1, c)});
  model.hear_sessions(
      R"({"sessions":[{"id":"1-1","client":"203.0.113.9:51234","pool":"web","backend":"a","state":"relaying"}]})");
  CAPTURE(width, height, keys);
  const auto lines = top_lines(model, {.width = width, .colour = false, .height = height}, kNow);
  CHECK(lines.size() <= height);
  for (const auto& line : lines) CHECK(columns_of(line) <= width);
  if (width >= 40 && height >= 10) CHECK_THAT(joined_lines(lines), Contains("! pool web is degraded"));
  if (width >= 40 && height >= 10 && keys != "d")
    CHECK_THAT(joined_lines(lines), Contains(">!web/server") || Contains(">!web/serv"));
}

TEST_CASE("the sessions of a backend are scrolled by a pane, to the last one") {
  TopModel model;
  model.hear_status(status({{"web", {{"a", "up", "enabled", 50}, {"b"}}}}));
  press(model, KeyPress::Kind::Tab);
  AnswerJson sessions{{"sessions", AnswerJson::array()}, {"left_out", 7}};
  for (int i = 0; i < 50; ++i)
    sessions["sessions"].push_back({{"id", fmt::format("0-{}", i)},
                                    {"client", fmt::format("203.0.113.9:{}", 2'000 + i)},
                                    {"pool", "web"},
                                    {"backend", "a"},
                                    {"state", "relaying"}});
  model.hear_sessions(sessions.dump());
  const auto shown = [&] { return joined_lines(top_lines(model, kPlain80, kNow)); };
  CHECK_THAT(shown(),
             Contains("── 57 sessions of web/a, 1 to 11, the oldest first; [ ] scroll, tab closes") &&
                 Contains(":2000") && Contains(":2010") && !Contains(":2011"));
  type(model, "[");
  CHECK_THAT(shown(), Contains("1 to 11"));
  type(model, "]");
  CHECK_THAT(shown(), Contains("12 to 22") && Contains(":2011") && !Contains(":2010"));
  // What comes in between leaves the place; fewer of them move it.
  model.hear_sessions(sessions.dump());
  CHECK_THAT(shown(), Contains("12 to 22"));
  type(model, "]]]]]]");
  CHECK_THAT(shown(), Contains("40 to 50") && Contains(":2049"));
  while (sessions["sessions"].size() > 20) sessions["sessions"].erase(20);
  model.hear_sessions(sessions.dump());
  CHECK_THAT(shown(), Contains("10 to 20"));
  press(model, KeyPress::Kind::Down);
  press(model, KeyPress::Kind::Up);
  model.hear_sessions(sessions.dump());
  CHECK_THAT(shown(), Contains("1 to 11"));
}

TEST_CASE("a frame of a thousand backends costs what one of fifty does") {
  struct Frames {
    std::size_t most_bytes = 0;
    std::clock_t time = 0;  ///< of this process alone, however busy the machine is
    std::size_t selected = 0;
  };
  const auto frames_of = [](int backends) {
    std::vector<Backend> many;
    for (int i = 0; i < backends; ++i)
      many.push_back({fmt::format("server-{}", i), i % 50 == 0 ? "down" : "up", "enabled", i});
    TopModel model;
    model.hear_status(status({{"web", many}}));
    const Terminal terminal{.width = 120, .colour = true, .height = 40};
    Frames out;
    const std::clock_t begin = std::clock();
    for (int i = 0; i < 15; ++i) {
      press(model, i % 2 == 0 ? KeyPress::Kind::PageDown : KeyPress::Kind::Down);
      std::size_t bytes = 0;
      for (const auto& line : top_lines(model, terminal, kNow)) bytes += line.size();
      out.most_bytes = std::max(out.most_bytes, bytes);
    }
    out.time = std::clock() - begin;
    out.selected = model.selected();
    return out;
  };
  const Frames some = frames_of(50), many = frames_of(1'000);
  CHECK(many.selected > 200);
  // A block of a history is three bytes, and a state has its colour.
  CHECK(many.most_bytes < 2 * 120 * 40);
  CHECK(many.time < 3 * some.time);
}

TEST_CASE("a daemon that is away is said above what it said last") {
  TopModel model;
  model.hear_status(status({{"web", {{"a"}}}}));
  model.hear_nothing("no daemon at /x", std::chrono::seconds(5));
  auto lines = top_lines(model, kPlain80, kNow);
  CHECK_THAT(lines.at(0), Contains("! no answer for 5s: no daemon at /x"));
  CHECK_THAT(joined_lines(lines), Contains("web/a"));
  model.hear_status(status({{"web", {{"a"}}}}));
  lines = top_lines(model, kPlain80, kNow);
  CHECK_THAT(lines.at(0), Contains("weir 0.1.0"));
}

TEST_CASE("without colours there are no escapes, and with them the selected one is reversed") {
  TopModel model;
  model.hear_status(status({{"web", {{"a"}, {"b", "down"}}}}, {"something"}));
  const auto plain = joined_lines(top_lines(model, kPlain80, kNow));
  CHECK(plain.find('\x1b') == std::string::npos);
  const auto coloured = joined_lines(top_lines(model, {.width = 80, .colour = true, .height = 24}, kNow));
  CHECK_THAT(coloured, Contains("\x1b[7m>!web/b"));
}

TEST_CASE("text is wrapped at blanks, and cut where it has no more lines") {
  CHECK(wrapped("one two three", 7, 5) == Names{"one two", "three"});
  CHECK(wrapped("one two three", 80, 5) == Names{"one two three"});
  CHECK(wrapped("abcdefgh", 3, 5) == Names{"abc", "def", "gh"});
  CHECK(wrapped("one two three four", 7, 2) == Names{"one two", "three …"});
  CHECK(wrapped("", 7, 2) == Names{""});
}
