// What operators said, over reloads, restarts and edits of the file.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "lb/base/user_name.h"
#include "tests/support/operated.h"
#include "tests/support/skip.h"
#include "tests/support/slow_calls.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// Three backends: "a" drained, "b" with weight 7, "c" disabled, all by an operator.
void override_all(Operated& weir) {
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  REQUIRE(weir.status({"weight", "web/b", "7"}) == 0);
  REQUIRE(weir.status({"disable", "web/c"}) == 0);
}

void check_overridden(Operated& weir) {
  CHECK(weir.backend_status("a").at("admin") == "drained");
  CHECK(weir.backend_status("a").at("admin_by") == "operator");
  CHECK(weir.backend_status("b").at("admin_by") == "file");
  CHECK(weir.backend_status("b").at("weight") == 7);
  CHECK(weir.backend_status("b").at("configured_weight") == 1);
  CHECK(weir.backend_status("c").at("admin") == "disabled");
  CHECK(weir.letters(4) == "bbbb");
}

/// Makes an edited file true by a reload, or by a restart.
void apply(Operated& weir, bool by_restart) {
  if (by_restart)
    weir.restart();
  else
    REQUIRE(weir.reload().status == 0);
}

std::size_t files_beginning(const TempDir& dir, const std::string& prefix) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
    if (entry.path().filename().string().starts_with(prefix)) ++count;
  return count;
}

}  // namespace

TEST_CASE("what an operator said outlives reloads, a restart and kill -9") {
  Operated weir(lettered(3));
  override_all(weir);
  check_overridden(weir);
  const auto since = weir.backend_status("a").at("admin_since");
  REQUIRE(weir.reload().status == 0);
  check_overridden(weir);
  weir.weir().expect_exit();
  weir.process().signal(SIGKILL);
  weir.process().wait();
  weir.restart();
  check_overridden(weir);
  CHECK(weir.backend_status("a").at("admin_since") == since);
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  REQUIRE(weir.status({"weight", "web/b", "default"}) == 0);
  weir.restart();
  CHECK(weir.backend_status("a").at("admin") == "enabled");
  CHECK(weir.backend_status("b").at("weight") == 1);
  CHECK(weir.backend_status("c").at("admin") == "disabled");
}

TEST_CASE("who said it and why is shown and kept, and what was said for a time ends by itself") {
  Operated weir(lettered(3));
  REQUIRE(weir.status({"drain", "web/a", "--comment", "for good"}) == 0);
  REQUIRE(weir.cli({"weight", "web/b", "7", "--for", "1h"}, {.environment = {{"SUDO_USER", "ann"}}}).status ==
          0);
  // Longer than the commands up to the restart take.
  const char* const while_it_lasts = kSanitized ? "20s" : "3s";
  REQUIRE(weir.status({"disable", "web/c", "--for", while_it_lasts, "--comment", "new disk"}) == 0);
  const auto check = [&] {
    const auto a = weir.backend_status("a").at("admin_word");
    CHECK(a.at("by") == weir::user_name(::geteuid()));
    CHECK(a.at("comment") == "for good");
    CHECK_FALSE(a.contains("until"));
    const auto b = weir.backend_status("b").at("weight_word");
    CHECK(b.at("by") == (::geteuid() == 0 ? "ann by sudo" : weir::user_name(::geteuid())));
    CHECK(b.contains("until"));
  };
  check();
  const std::string me = weir::user_name(::geteuid());
  CHECK_THAT(weir.cli({"status"}).out, Contains("drained by " + me + ": for good"));
  CHECK_THAT(weir.cli({"status", "web/a"}).out,
             Contains("drained by " + me) && Contains("enabled → drained"));
  CHECK_THAT(weir.cli({"explain", "web", "127.0.0.1"}).out, Contains("drained by an operator ("));
  weir.restart();
  check();
  CHECK(weir.says("new disk): its time is over"));
  CHECK(eventually([&] { return weir.backend_status("c").at("eligible") == true; }));
  CHECK(weir.backend_status("c").at("admin_by") == "file");
  // Not only in this process's memory.
  weir.restart();
  CHECK(weir.backend_status("c").at("admin") == "enabled");
  check();
}

TEST_CASE("what is said along with a word is refused whole when it makes no sense") {
  Operated weir(lettered(2));
  CHECK(weir.cli({"drain", "web/a", "--comment", "two\nlines"}).status == 2);
  CHECK(weir.cli({"drain", "web/a", "--comment", std::string(300, 'x')}).status == 2);
  CHECK(weir.cli({"drain", "web/a", "--for", "0s"}).status == 2);
  CHECK(weir.cli({"drain", "web/a", "--for", "1m", "--timeout", "2m", "--then", "close"}).status == 2);
  CHECK(weir.backend_status("a").at("admin") == "enabled");
}

TEST_CASE("edits elsewhere in the file leave what an operator said alone") {
  const bool by_restart = GENERATE(false, true);
  Operated weir(lettered(4));
  REQUIRE(weir.status({"drain", "web/d"}) == 0);
  override_all(weir);
  weir.config.pool = "idle_timeout = \"9m\"\nbalance = \"least_connections\"";
  weir.config.backends[3].more = "weight = 4";
  std::swap(weir.config.backends[0], weir.config.backends[2]);
  weir.config.backends[1].more = "backup = false";
  apply(weir, by_restart);
  check_overridden(weir);
  CHECK(weir.backend_status("d").at("admin") == "drained");  // of d the weight was edited, not the word
  CHECK(weir.backend_status("d").at("weight") == 4);
}

TEST_CASE("an edit of the very value in the file wins over the operator and is logged") {
  const bool by_restart = GENERATE(false, true);
  Operated weir(lettered(3));
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  REQUIRE(weir.status({"weight", "web/a", "9"}) == 0);
  REQUIRE(weir.status({"weight", "web/b", "7"}) == 0);
  weir.config.backends[1].more = "weight = 3";
  apply(weir, by_restart);
  CHECK(weir.backend_status("b").at("weight") == 3);
  CHECK(weir.says("web/b: weight 7 by an operator is dropped"));
  CHECK(weir.backend_status("a").at("admin") == "drained");
  weir.config.backends[0].more = "admin = \"disabled\"";
  apply(weir, by_restart);
  CHECK(weir.backend_status("a").at("admin") == "disabled");
  CHECK(weir.backend_status("a").at("weight") == 9);
  CHECK(weir.says("web/a: \"drained\" by an operator is dropped"));
}

TEST_CASE("a new address in the file ends what an operator said of the old one") {
  const bool by_restart = GENERATE(false, true);
  Operated weir(lettered(3));
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  FakeBackend moved(lettered(26)[25]);
  weir.config.backends[0].address = moved.address();
  apply(weir, by_restart);
  CHECK(weir.backend_status("a").at("admin") == "enabled");
  CHECK(weir.says("web/a: \"drained\" by an operator is dropped, its address was edited"));
  CHECK(weir.letters(3).find('z') != std::string::npos);
}

TEST_CASE("a damaged state file is kept aside and the start goes on") {
  Operated weir(lettered(2));
  REQUIRE(weir.status({"drain", "web/a"}) == 0);
  REQUIRE(weir.weir().stop() == 0);
  const std::string whole = read_file(weir.state_file());
  write_file(weir.state_file(), whole.substr(0, whole.size() / 2));
  weir.restart();
  CHECK(weir.says("is damaged"));
  CHECK(files_beginning(weir.dir(), "state.json.bad-") == 1);
  CHECK(weir.backend_status("a").at("admin") == "enabled");
  REQUIRE(weir.status({"drain", "web/b"}) == 0);
  weir.restart();
  CHECK(weir.backend_status("b").at("admin") == "drained");
}

TEST_CASE("a state file that is somebody else's is refused and left alone") {
  FakeBackend backend;
  const FreePort port;
  const TempDir dir;
  const std::string path = dir.file("state.json");
  write_file(path, "{\"precious\": true}");
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"a", backend.address()}};
  config.state_file = path;
  const Finished finished = run_weir({"run", "-c", "{}"}, config.toml());
  CHECK(finished.status == 1);
  CHECK_THAT(finished.err, Contains(path) && Contains("not a state file"));
  CHECK(read_file(path) == "{\"precious\": true}");
}

TEST_CASE("a disk that hangs holds up only the command that waits for it") {
  TempDir dir;
  SimpleConfig config;
  config.health = "probe = \"tcp\"\ninterval = \"100ms\"\nfall = 1\nrise = 1";
  ProcessOptions options;
  options.environment = with_slow_calls({{"WEIR_TEST_HANG", dir.file("hang")}});
  Operated weir(lettered(3), config, options);
  REQUIRE(eventually([&] { return weir.backend_status("b").at("health") == "up"; }));
  write_file(dir.file("hang"), "");
  Process waits({weir_binary(), "drain", "web/a", "--socket", weir.socket()});
  REQUIRE(eventually([&] { return weir.backend_status("a").at("admin") == "drained"; }));
  const auto quickly = [](auto act) {
    const auto begin = Clock::now();
    act();
    CHECK(since(begin) < patient(1s));
  };
  quickly([&] { CHECK(weir.status({"status"}) == 0); });
  quickly([&] { CHECK(weir.status({"sessions"}) == 0); });
  quickly([&] { CHECK(weir.status({"explain", "web", "10.0.0.1"}) == 0); });
  quickly([&] { CHECK(weir.letters(2).find('a') == std::string::npos); });
  weir.backend(1).stop_listening();
  quickly([&] {
    CHECK(eventually(patient(1s), [&] { return weir.log().find("web/b up → down") != std::string::npos; }));
  });
  quickly([&] { CHECK(weir.letters(2) == "cc"); });
  CHECK(waits.running());
  std::filesystem::remove(dir.file("hang"));
  CHECK(waits.wait() == 0);
  CHECK(waits.err().empty());
}

TEST_CASE("an override that cannot be kept is said to its operator and holds all the same") {
  Operated weir(lettered(2));
  // A directory in the place of the temporary file: nothing can be written there, even by root.
  const auto temporary = fmt::format("{}.tmp-{}", weir.state_file(), weir.process().pid());
  std::filesystem::create_directories(temporary + "/full");
  const Finished drained = weir.cli({"drain", "web/a"});
  CHECK(drained.status == 0);
  CHECK_THAT(drained.err, Contains("will not survive a restart"));
  CHECK(weir.letters(2) == "bb");
  CHECK(weir.get("status").at("overrides_saved") == false);
  std::filesystem::remove_all(temporary);
  // Without another word from anybody.
  CHECK(eventually([&] { return weir.get("status").at("overrides_saved") == true; }));
  CHECK(weir.cli({"drain", "web/a"}).err.empty());
  weir.restart();
  CHECK(weir.backend_status("a").at("admin") == "drained");
}
