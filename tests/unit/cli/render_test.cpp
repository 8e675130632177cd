#include "lb/cli/render.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "lb/cli/commands.h"
#include "lb/cli/table.h"

using namespace weir;

namespace {

constexpr auto kStatus = R"json({"version": "0.1.0", "generation": 7, "uptime_seconds": 12.5, "workers": 2,
 "sessions": {"active": 3, "total": 1200, "max": 8000},
 "listeners": [{"name": "web", "bind": ["0.0.0.0:8080"], "pool": "web", "active": 3, "total": 1200}],
 "pools": [{"name": "web", "balance": "round_robin", "backends": [
   {"name": "web1", "address": "10.0.0.11:80", "weight": 1, "configured_weight": 1, "share_percent": 100,
    "backup": false, "admin": "enabled", "health": "up", "eligible": true,
    "reason": "probe passed (tcp, 0.4 ms)",
               "since" : "2026-01-31T10:00:00Z",
               "active" : 3,
               "total" : 61234,
               "connect_failures" : 9,
               "last_probe_ms" : 0.61,
               "bytes_to_backend_per_second" : 1024,
               "bytes_to_client_per_second" : 2097152,
               "bytes_to_backend" : 1,
               "bytes_to_client" : 2
},
   {"name": "web2", "address": "10.0.0.12:80", "weight": 5, "configured_weight": 1, "share_percent": 50,
    "backup": true, "admin": "drained", "admin_by": "operator", "admin_since": "2026-01-31T09:33:00.000Z",
    "configured_admin": "enabled", "health": "down", "eligible": false,
    "reason": "connection refused, again and again, for such a long time that this line is too long",
    "since": "2026-01-31T09:00:00.250Z", "closes_at": "2026-01-31T10:05:00.000Z", "added": true,
    "sessions_per_second": 12.5, "bytes_to_backend": 1300, "bytes_to_client": 54000000,
    "active": 0, "total": 0},
   {"name": "web3", "address": "10.0.0.13:80", "weight": 1, "configured_weight": 1, "removed": true,
    "admin": "enabled", "health": "up", "reason": "\u001b[31mred", "active": 1, "total": 5}]}]})json";

/// 3 min 5 s after the moment that kStatus speaks of.
const std::chrono::system_clock::time_point kNow{std::chrono::seconds(1'769'853'600 + 185)};

/// The line that speaks of `name`.
std::string line_of(const std::string& text, const std::string& name) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line.find(name) != std::string::npos) return line;
  return "";
}

std::size_t longest_line(const std::string& text) {
  std::istringstream in(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(in, line);) longest = std::max(longest, columns_of(line));
  return longest;
}

}  // namespace

TEST_CASE("status fits a terminal of 80 columns and cuts nothing for a pipe") {
  CHECK(longest_line(render_status(kStatus, {80, false}, kNow)) <= 80);
  const auto whole = render_status(kStatus, {0, false}, kNow);
  CHECK(whole.find("this line is too long") != std::string::npos);
  CHECK(whole.find("drained, down, backup") != std::string::npos);
  CHECK(whole.find("5 at 50%") != std::string::npos);
  CHECK(whole.find("removed") != std::string::npos);
  CHECK(whole.find("61.2k") != std::string::npos);
}

TEST_CASE("at 80 columns a backend's line has state, age, sessions, rates and the reason, cut") {
  const auto lines = render_status(kStatus, {80, false}, kNow);
  const auto header = line_of(lines, "BACKEND");
  for (const auto* name : {"STATE", "SINCE", "ACTIVE", "NEW/S", "IN/S", "OUT/S", "CHECK"}) {
    CAPTURE(name);
    CHECK(header.find(name) != std::string::npos);
  }
  const auto web1 = line_of(lines, "web1");
  for (const auto* part : {"up", "3m", "0.0", "1.0K", "2.0M", "tcp 0.6 ms"}) {
    CAPTURE(part, web1);
    CHECK(web1.find(part) != std::string::npos);
  }
  const auto web2 = line_of(lines, "web2");
  for (const auto* part : {"drained", "30m", " 13 ", "…"}) {
    CAPTURE(part, web2);
    CHECK(web2.find(part) != std::string::npos);
  }
  const auto whole = line_of(render_status(kStatus, {0, false}, kNow), "web2");
  CHECK(whole.find("closes in 2m; weight 5 (file: 1); added; drained by an operator; connection refused") !=
        std::string::npos);
  CHECK(whole.find("10.0.0.12:80") != std::string::npos);
}

TEST_CASE("a backend kept out of rotation says by whom, and a backend's health says since when otherwise") {
  const auto line = [](const std::string& fields) {
    const auto json =
        R"({"pools": [{"name": "web", "backends": [{"name": "web9", "health": "up", "reason": "probe passed",
           "since": "2026-01-31T09:00:00Z", "admin_since": "2026-01-31T10:00:00Z", )" +
        fields + "}]}]}";
    return line_of(render_status(json, {0, false}, kNow), "web9");
  };
  const auto by_file = line(R"("admin": "disabled", "admin_by": "file", "configured_admin": "disabled")");
  CHECK(by_file.find("disabled by the file; probe passed") != std::string::npos);
  CHECK(by_file.find(" 3m ") != std::string::npos);
  const auto enabled = line(R"("admin": "enabled", "admin_by": "file", "configured_admin": "enabled")");
  CHECK(enabled.find(" by ") == std::string::npos);
  CHECK(enabled.find(" 1h ") != std::string::npos);
  const auto against = line(R"("admin": "enabled", "admin_by": "operator", "configured_admin": "drained")");
  CHECK(against.find("enabled by an operator (file: drained); probe passed") != std::string::npos);
  const auto said = line(R"("admin": "drained", "admin_by": "operator", "configured_admin": "enabled",
      "weight": 5, "configured_weight": 1, "weight_word": {"by": "bob"},
      "admin_word": {"by": "ann", "until": "2026-01-31T11:30:00.000Z", "comment": "new disk"})");
  CHECK(said.find("weight 5 by bob (file: 1); drained by ann, for 1h: new disk; probe passed") !=
        std::string::npos);
}

TEST_CASE("at any width no line of the status is longer than the terminal is wide") {
  for (std::size_t width = 78; width < 200; ++width) {
    CAPTURE(width);
    CHECK(longest_line(render_status(kStatus, {width, false}, kNow)) <= width);
  }
}

TEST_CASE("a screen is overwritten in place, and what does not fit is counted") {
  CHECK(in_place("a\nb\n", 24) == "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
  CHECK(in_place("1\n2\n3\n4\n5\n", 4) == "\x1b[H1\x1b[K\n2\x1b[K\nand 3 more lines\x1b[K\n\x1b[J");
  CHECK(in_place("1\n2\n3\n", 4) == "\x1b[H1\x1b[K\n2\x1b[K\n3\x1b[K\n\x1b[J");
}

TEST_CASE("a screen has the problems of all pools first, then the others, then how many are left out") {
  const auto pool = [](const std::string& name, int count, int bad) {
    std::string out =
        R"({"name":")" + name + R"(","balance":"round_robin","verdict":"degraded","up":"","backends":[)";
    for (int i = 0; i < count; ++i)
      out += std::string(i > 0 ? "," : "") + R"({"name":")" + name + std::to_string(i) +
             R"(","admin":"enabled","eligible":true,"health":")" + (i == bad ? "down" : "up") + R"("})";
    return out + "]}";
  };
  const std::string json = R"({"listeners":[{"name":"l"}],"problems":["p1","p2"],"pools":[)" +
                           pool("a", 9, 7) + "," + pool("b", 9, 8) + "]}";
  const Terminal terminal{80, false, 18};
  const auto screen = render_screen(json, terminal, kNow);
  CAPTURE(screen);
  CHECK(std::count(screen.begin(), screen.end(), '\n') == 17);
  CHECK(screen.find("! a7 ") < screen.find("  a0 "));
  CHECK(screen.find("! b8 ") != std::string::npos);
  CHECK(line_of(screen, "…") == "… 11 more backends, 1 listener");
  CHECK(render_screen(json, {80, false, 100}, kNow) == render_status(json, {80, false, 100}, kNow));
  const auto least = render_screen(json, {80, false, 8}, kNow);
  CHECK(std::count(least.begin(), least.end(), '\n') <= 7);
  CHECK(least.find("with problems") != std::string::npos);
}

TEST_CASE("a difference is said as changes and notes, or as no changes, or as the reason of a refusal") {
  const auto some = read_difference(
      R"({"accepted":true,"changes":["+ web/web4","- listener old"],"notes":["web/a is gone"],
          "warnings":[{"file":"w.toml","line":3,"column":1,"message":"idle"}]})");
  CHECK(some.accepted);
  CHECK(some.text == "+ web/web4\n- listener old\n! web/a is gone\n");
  CHECK(some.complaints == std::vector<std::string>{"w.toml:3:1: idle (warning)"});
  CHECK(read_difference(R"({"accepted":true,"changes":[],"notes":[]})").text == "no changes\n");
  const auto refused = read_difference(
      R"({"accepted":false,"refusal":"w.toml has 1 fault","faults":[{"file":"w.toml","line":2,"column":5,"message":"no"}]})");
  CHECK_FALSE(refused.accepted);
  CHECK(refused.text.empty());
  CHECK(refused.complaints ==
        std::vector<std::string>{"w.toml:2:5: no", "weir: a reload would be refused: w.toml has 1 fault"});
}

TEST_CASE("colour is used only where it is wanted, and what the daemon says brings none of its own") {
  CHECK(render_status(kStatus, {80, false}, kNow).find('\x1b') == std::string::npos);
  const auto coloured = render_status(kStatus, {80, true}, kNow);
  CHECK(coloured.find("\x1b[32mup\x1b[0m") != std::string::npos);
  CHECK(coloured.find("\x1b[31mred") == std::string::npos);
}

TEST_CASE("a change is said in one line for each backend") {
  CHECK(render_changed(R"({"changed":[{"backend":"web/web1","admin":"drained","weight":1,"sessions":37}]})",
                       "drain") == "web/web1: drained, 37 sessions left\n");
  CHECK(render_changed(R"({"changed":[{"backend":"web/web1","admin":"disabled","weight":1,"sessions":1}]})",
                       "disable") == "web/web1: disabled, 1 session left\n");
  CHECK(render_changed(R"({"changed":[{"backend":"web/web1","admin":"enabled","weight":5,"sessions":0}]})",
                       "weight") == "web/web1: weight 5\n");
}

TEST_CASE("an answer that is no JSON, or of other types, shows as nothing and breaks nothing") {
  const std::string json =
      GENERATE("", "[]", "{\"pools\": 3}", "{\"pools\": [1, {\"backends\": [null]}]}",
               "{\"changed\": {}, \"sessions\": [3], \"excluded\": [[]], \"because\": 1}");
  render_status(json, {80, true}, kNow);
  render_sessions(json, {80, true});
  render_changed(json, "drain");
  render_explanation(json);
  render_reload(json);
  CHECK_FALSE(read_difference(json).accepted);
  render_version(json);
  CHECK(warnings_of(json).empty());
}

TEST_CASE("numbers, sizes and times are short") {
  CHECK(short_number(0) == "0");
  CHECK(short_number(999) == "999");
  CHECK(short_number(12'345) == "12.3k");
  CHECK(short_number(4'500'000) == "4.5M");
  CHECK(short_bytes(1536) == "1.5 KiB");
  CHECK(short_duration(0.25) == "0.2 s");
  CHECK(short_duration(303) == "5 m 3 s");
  CHECK(short_duration(90'061) == "1 d 1 h");
  CHECK(terse_bytes(1023) == "1023B");
  CHECK(terse_bytes(54'000'000) == "51.5M");
  CHECK(age(59.9) == "59s");
  CHECK(age(3599) == "59m");
  CHECK(age(90'061) == "1d");
  CHECK(age(-1) == "0s");  // a clock that was set back
}

TEST_CASE("text is cut between code points") {
  CHECK(fitted("äöü", 3) == "äöü");
  CHECK(fitted("äöüß", 3) == "äö…");
  CHECK(fitted("a\nb", 3) == "a?b");
}

TEST_CASE("an error's code decides the exit status") {
  CHECK(exit_status_of("usage") == 2);
  CHECK(exit_status_of("unknown") == 3);
  CHECK(exit_status_of("refused") == 1);
  CHECK(exit_status_of("bad_config") == 1);
  CHECK(exit_status_of("no_such_request") == 1);
}

TEST_CASE(
    "the page of a backend tells all that is known of it, its last events and where its sessions stand") {
  constexpr std::string_view kOne = R"json({"pools": [{"name": "web", "backends": [{"name": "web1",
    "address": "w1.test:80", "resolved": ["10.0.0.1:80", "10.0.0.2:80"], "weight": 5, "configured_weight": 1,
    "share_percent": 50, "backup": true, "admin": "drained", "admin_by": "operator",
    "configured_admin": "enabled", "health": "up", "eligible": false, "reason": "probe passed (tcp, 0.4 ms)",
    "since": "2026-01-31T10:00:00.000Z", "active": 2, "total": 12, "sessions_per_second": 1.5,
    "connect_failures": 3, "bytes_to_backend": 2048, "bytes_to_client": 5,
    "first_byte_ms": {"p50": 1.5, "p99": 20}, "longest_idle_seconds": 61.5,
    "own_probe": {"health.port": "9000", "health.path": "/ready"},
    "admin_word": {"by": "ann", "since": "2026-01-31T10:02:00.000Z", "comment": "new disk",
                   "until": "2026-01-31T12:00:00.000Z"}}]}]})json";
  constexpr std::string_view kEvents = R"json({"events": [
    {"time": "2026-01-31T09:59:59.000Z", "kind": "health", "pool": "web", "backend": "web1", "by": "",
     "text": "down → up: probe passed", "changes": [], "count": 3}]})json";
  constexpr std::string_view kSessions =
      R"json({"sessions": [{"state": "relaying"}, {"state": "relaying"}, {"state": "half_closed"}]})json";
  const auto page = render_backend(kOne, kEvents, kSessions, {0, false}, kNow);
  for (const std::string_view part :
       {"web/web1\n", "10.0.0.1:80, 10.0.0.2:80", "up, 3m ago (01-31 10:00:00)",
        "drained by ann 1m ago (01-31 10:02:00), until 01-31 12:00:00: new disk (file: enabled)",
        "5 at 50% (file: 1)", "2 now: 1 half_closed, 2 relaying, 12 in all, 1.5 new/s", "2.0 KiB to it",
        "first byte       p50 1.5 ms, p99 20.0 ms of late", "for 1m at most", "port 9000, path /ready",
        "01-31 09:59:59", "down → up: probe passed (x3)"})
    CHECK_THAT(page, Catch::Contains(std::string(part)));
  CHECK(longest_line(render_backend(kOne, kEvents, kSessions, {60, false}, kNow)) <= 60);
}

TEST_CASE("events are listed with who, of what and what it changed") {
  const auto out = render_events(
      R"json({"events": [{"time": "2026-01-31T09:59:59.000Z", "kind": "reload", "pool": "", "backend": "",
      "by": "SIGHUP", "text": "reloaded: 1 change", "changes": ["+ web/web9"]}]})json",
      {0, false});
  CHECK_THAT(out, Catch::Contains("01-31 09:59:59  reload") && Catch::Contains("SIGHUP") &&
                      Catch::Contains("  + web/web9"));
  CHECK(render_events(R"({"events": []})", {0, false}) == "nothing has happened\n");
}

TEST_CASE("what is wrong comes first: the problems, the pools that have one, and in these the backends") {
  constexpr std::string_view kTwo = R"json({"version": "0.2.0", "problems": ["pool db: down, 0 of 2 up"],
    "last_reload": {"time": "2026-01-31T09:00:00.000Z", "ok": false},
    "pools": [{"name": "web", "balance": "round_robin", "verdict": "ok", "up": "1 of 1 up",
               "connect_ms": {"p50": 0.4, "p99": 12.3}, "backends": []},
              {"name": "db", "balance": "first", "verdict": "down", "up": "0 of 2 up", "backends": [
                {"name": "spare", "admin": "drained", "health": "up", "reason": "probe passed (tcp, 0.4 ms)"},
                {"name": "main", "admin": "enabled", "health": "down",
                 "reason": "probe failed 3 times (tcp): connection refused"}]}]})json";
  const auto shown = render_status(kTwo, {120, false}, kNow);
  CAPTURE(shown);
  const auto at = [&](std::string_view text) {
    const auto found = shown.find(text);
    REQUIRE(found != std::string::npos);
    return found;
  };
  CHECK(at("last reload REFUSED 2026-01-31T09:00, 1 problem\n") < at("! pool db: down, 0 of 2 up"));
  CHECK(at("! pool db") < at("pool db, first, 0 of 2 up, DOWN"));
  CHECK(at("! main") < at("  spare"));
  CHECK(at("  spare") < at("pool web, round_robin, 1 of 1 up, ok, connect p50 0.4 p99 12 ms"));
  CHECK(at("connection refused ×3 (tcp)") > at("! main"));
  for (const std::size_t width : {40, 80, 200})
    CHECK(longest_line(render_status(kTwo, {width, true}, kNow)) <= width + 12);  // with an escape
}

TEST_CASE("characters take as many columns as a terminal gives them") {
  CHECK(columns_of("日本") == 4);
  CHECK(columns_of("e\u0301") == 1);
  CHECK(columns_of("🚀") == 2);
  CHECK(columns_of("\xff\xfe") == 2);
  CHECK(fitted("日本語", 5) == "日本…");
  CHECK(fitted("日本語", 4) == "日…");
}
