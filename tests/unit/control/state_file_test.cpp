#include "lb/control/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace weir;
namespace fs = std::filesystem;

namespace {

/// What the system calls that make a file last were asked, in their order. The test program's own, in place
/// of libc's.
std::vector<std::string>& lasting_calls() {
  static std::vector<std::string> calls;
  return calls;
}

}  // namespace

extern "C" int fsync(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  lasting_calls().push_back(S_ISDIR(status.st_mode) ? "fsync of the directory" : "fsync of the file");
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

extern "C" int rename(const char* from, const char* to) noexcept {
  lasting_calls().emplace_back("rename");
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

namespace {

struct TemporaryDirectory {
  fs::path path;
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "weir-state-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() { fs::remove_all(path); }
  std::string file() const { return (path / "state.json").string(); }
  void write(const std::string& text) const { std::ofstream(file()) << text; }
  std::string read() const {
    std::stringstream out;
    out << std::ifstream(file()).rdbuf();
    return out.str();
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
};

constexpr SystemTime kSaid{std::chrono::milliseconds(1'769'853'600'123)};

Word<std::uint32_t> weight(std::uint32_t value) {
  return {.value = value};
}

Overrides some() {
  Overrides out;
  out[{"web", "web1"}] = {.admin = Word<Admin>{.value = Admin::Drained,
                                               .since = kSaid,
                                               .by = "ann",
                                               .comment = "disk \"7\" – ünder",
                                               .until = kSaid + std::chrono::hours(2)},
                          .weight = {},
                          .file_address = "10.0.0.1:80"};
  out[{"web", "[::1]:80"}] = {.admin = Word<Admin>{.value = Admin::Enabled},
                              .weight = Word<std::uint32_t>{.value = 9, .since = kSaid, .by = "uid 7"},
                              .file_admin = Admin::Disabled,
                              .file_weight = 3,
                              .file_address = "[::1]:80"};
  return out;
}

}  // namespace

TEST_CASE("what was saved is loaded, and nothing else is left in the directory") {
  const TemporaryDirectory dir;
  StateFile state(dir.file());
  REQUIRE(state.save(some()));
  REQUIRE(state.save(some()));
  CHECK(state.load()->overrides == some());
  CHECK(dir.files() == 1);
}

TEST_CASE("a save is on the disk before it takes the old one's place, and its name is when the save ends") {
  const TemporaryDirectory dir;
  StateFile state(dir.file());
  lasting_calls().clear();
  REQUIRE(state.save(some()));
  CHECK(lasting_calls() == std::vector<std::string>{"fsync of the file", "rename", "fsync of the directory"});
}

TEST_CASE("what is on disk already is not written again, unless the last write failed") {
  const TemporaryDirectory dir;
  StateFile state(dir.file());
  REQUIRE(state.save(some()));
  fs::remove(dir.file());
  REQUIRE(state.save(some()));
  CHECK_FALSE(fs::exists(dir.file()));
  fs::create_directory(dir.file());
  Overrides others = some();
  others.erase(others.begin());
  CHECK_FALSE(state.save(others));
  fs::remove(dir.file());
  REQUIRE(state.save(others));
  CHECK(fs::exists(dir.file()));
}

TEST_CASE("no file, an empty file and no path mean no overrides") {
  const TemporaryDirectory dir;
  CHECK(StateFile(dir.file()).load()->overrides.empty());
  dir.write("");
  CHECK(StateFile(dir.file()).load()->overrides.empty());
  CHECK(StateFile("").load()->overrides.empty());
  CHECK(StateFile("").save(some()));
}

TEST_CASE("a state file cut anywhere is never half read, and is kept aside") {
  const auto whole = format_state(some());
  const auto size = GENERATE_COPY(range<std::size_t>(1, format_state(some()).size() - 1, 7));
  const TemporaryDirectory dir;
  dir.write(whole.substr(0, size));
  const auto loaded = StateFile(dir.file()).load();
  REQUIRE(loaded);
  CHECK(loaded->overrides.empty());
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(loaded->warnings[0].find(dir.file() + ".bad-") != std::string::npos);
  CHECK_FALSE(fs::exists(dir.file()));
  CHECK(dir.files() == 1);
}

TEST_CASE("a file that is not Weir's is neither read nor moved") {
  const TemporaryDirectory dir;
  const std::string foreign = GENERATE("root:x:0:0::/root:/bin/sh\n", "{\"overrides\": []}",
                                       "\x7f"
                                       "ELF");
  dir.write(foreign);
  CHECK_FALSE(StateFile(dir.file()).load());
  CHECK(dir.read() == foreign);
}

TEST_CASE("what cannot be taken apart is refused") {
  const std::string text = GENERATE(R"({"weir_state":1,"overrides":{}})", R"({"weir_state":"x"})",
                                    R"({"overrides":[]})", R"([])", R"({"weir_state":1,)");
  CHECK_FALSE(parse_state(text));
}

TEST_CASE("an override that makes no sense stays in the file, and the others count") {
  const std::string odd = GENERATE(
      R"(1)", R"({"pool":"a","backend":"b"})",
      R"({"pool":"a","backend":"b","weight":0,"file":{"admin":"enabled","weight":1,"address":"x"}})",
      R"({"pool":"a","backend":"b","admin":"drained","admin_since_ms":1e300,)"
      R"("file":{"admin":"enabled","weight":1,"address":"x"}})",
      R"({"pool":"a","backend":"b","admin":"drained","admin_since_ms":253402300800000,)"
      R"("file":{"admin":"enabled","weight":1,"address":"x"}})",
      R"({"pool":"a","backend":"b","admin":"frozen","file":{"admin":"enabled","weight":1,"address":"x"}})");
  CAPTURE(odd);
  std::string text = format_state(some());
  text.insert(text.rfind(']'), "," + odd);
  const auto state = parse_state(text);
  REQUIRE(state);
  CHECK(state->overrides == some());
  CHECK(state->complaints.size() == 1);
  Overrides more = some();
  more[{"web", "new"}] = {.admin = {}, .weight = weight(5), .file_address = "10.0.0.9:80"};
  const auto again = parse_state(format_state(more, state->unknown));
  REQUIRE(again);
  CHECK(again->overrides == more);
  CHECK(again->complaints == state->complaints);
  if (odd.size() > 1) {
    more[{"a", "b"}] = {.admin = {}, .weight = weight(5), .file_address = "x"};
    CHECK(parse_state(format_state(more, state->unknown))->complaints.empty());
  }
}

TEST_CASE("what a newer version says more is said again when the file is written") {
  const TemporaryDirectory dir;
  dir.write(
      "  { \"weir_state\" : 2, \"moon\": {\"phase\": 3},\n \"overrides\" : [ "
      "{\"pool\":\"web\",\"backend\":\"web1\",\"weight\":4,"
      "\"colour\":\"red\",\"file\":{\"admin\":\"enabled\",\"weight\":1,\"address\":\"x\"}} ]}");
  StateFile file(dir.file());
  const auto loaded = file.load();
  REQUIRE(loaded);
  CHECK(loaded->warnings.size() == 3);
  auto overrides = loaded->overrides;
  REQUIRE(overrides.size() == 1);
  overrides.begin()->second.weight = weight(7);
  REQUIRE(file.save(overrides));
  const std::string text = dir.read();
  CHECK(text.find("\"weir_state\":2") != std::string::npos);
  CHECK(text.find("\"moon\":{\"phase\":3}") != std::string::npos);
  CHECK(text.find("\"colour\": \"red\"") != std::string::npos);
  CHECK(StateFile(dir.file()).load()->overrides == overrides);
}

TEST_CASE("a symbolic link is followed, and stays one") {
  const TemporaryDirectory dir;
  const auto real = dir.path / "real" / "state.json";
  fs::create_directory(real.parent_path());
  fs::create_symlink(real, dir.file());
  StateFile file(dir.file());
  REQUIRE(file.load());
  REQUIRE(file.save(some()));
  CHECK(fs::is_symlink(dir.file()));
  CHECK(StateFile(real.string()).load()->overrides == some());
}

TEST_CASE("a file that is no longer this process's is not replaced") {
  const TemporaryDirectory dir;
  StateFile file(dir.file());
  REQUIRE(file.save(some(), [] { return false; }));
  CHECK(dir.files() == 0);
}

TEST_CASE("whether the file can be written is known beforehand") {
  const TemporaryDirectory dir;
  CHECK(StateFile(dir.file()).check_writable(false));
  StateFile deeper((dir.path / "sub" / "state.json").string());
  CHECK_FALSE(deeper.check_writable(false));
  CHECK(deeper.check_writable(true));
  CHECK(deeper.save(some()));
}

TEST_CASE("what was said along with a word that an older Weir has replaced since is not taken for its own") {
  const std::string word = GENERATE(R"("admin":"disabled","admin_since_ms":1769853600123)",
                                    R"("admin":"drained","admin_since_ms":1769853600999)");
  const auto state = parse_state(
      R"({"weir_state":1,"overrides":[{"pool":"web","backend":"web1",)" + word +
      R"(,"admin_word":{"value":"drained","since_ms":1769853600123,"by":"ann","until_ms":1769853600200},)" +
      R"("file":{"admin":"enabled","weight":1,"address":"x"}}]})");
  REQUIRE(state);
  REQUIRE(state->overrides.size() == 1);
  const auto& admin = state->overrides.begin()->second.admin;
  REQUIRE(admin);
  CHECK(admin->by.empty());
  CHECK_FALSE(admin->until);
}
