// An ordinary user's Weir, which nobody has told where to put its socket and its state.
#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/support/rig.h"
#include "tests/support/skip.h"

using namespace weir::test;
using Catch::Contains;

TEST_CASE("an ordinary user's Weir keeps its socket and its state in the user's own directories") {
  SKIP_UNLESS(!std::filesystem::exists("/run/weir"), "there is a /run/weir");
  SKIP_UNLESS(::geteuid() == 0, "only root can be another user");
  const TempDir dir;
  const uid_t user = 65'534;
  REQUIRE(::chown(dir.path().c_str(), user, user) == 0);
  const FakeBackend a(lettered(1)[0]), b(lettered(1)[0]);
  const FreePort port;
  const ProcessOptions options{.environment = {{"XDG_RUNTIME_DIR", dir.path()},
                                               {"XDG_STATE_HOME", dir.file("not/there/yet")},
                                               {"HOME", dir.path()}},
                               .user = user};
  const std::string text = fmt::format(
      "[[listener]]\nname = \"web\"\nbind = \"{}\"\npool = \"web\"\n[[pool]]\nname = \"web\"\n"
      "[[pool.backend]]\nname = \"a\"\naddress = \"{}\"\n[[pool.backend]]\nname = \"b\"\naddress = \"{}\"\n",
      port.v4(), a.address(), b.address());
  const auto weir = [&](std::vector<std::string> words) {
    words.insert(words.begin(), weir_binary());
    return run_program(std::move(words), options);
  };
  const auto drained = [&] { return weir({"status", "web/a"}).out.find("drained") != std::string::npos; };
  {
    const WeirDaemon daemon(text, options);
    REQUIRE(weir({"status"}).status == 0);
    CHECK(weir({"drain", "web/a"}).status == 0);
    CHECK(std::filesystem::exists(dir.file("weir/weir.sock")));
    CHECK_THAT(read_file(dir.file("not/there/yet/weir/state.json")), Contains("drained"));
  }
  const WeirDaemon daemon(text, options);
  CHECK(drained());
}
