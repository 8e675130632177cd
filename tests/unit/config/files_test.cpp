#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "lb/config/keys.h"
#include "tests/support/paths.h"
#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;

namespace {

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

const std::filesystem::path kConf = source_path("conf");

/// The file with its commented defaults in force: "# key = value" becomes "key = value".
std::string uncommented(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    const std::string start = "# " + std::string(key);
    const bool is_key =
        line.starts_with(start) && line.find_first_not_of(' ', start.size()) == line.find('=');
    result += (is_key ? line.substr(2) : line) + "\n";
  }
  return result;
}

}  // namespace

TEST_CASE("every file of conf/ is valid and raises no warning") {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kConf)) {
    if (entry.path().extension() != ".toml") continue;
    ++files;
    const LoadResult result = load_config(entry.path().string(), default_options());
    CAPTURE(entry.path().filename().string(), all_of(result.faults), all_of(result.warnings));
    CHECK(result.config != nullptr);
    CHECK(result.faults.empty());
    CHECK(result.warnings.empty());
  }
  CHECK(files >= 6);
}

TEST_CASE("the installed file names every key, and each default it gives is the default") {
  const std::string text = contents(kConf / "weir.toml");
  const Config plain = good(text);
  for (const TableKeys& table : all_tables()) {
    for (const std::string_view key : table.keys) {
      CAPTURE(table.path, key);
      CHECK(text.find(key) != std::string::npos);
    }
  }
  for (const std::string_view key : {"workers",
                                     "shutdown_grace",
                                     "mode",
                                     "level",
                                     "access",
                                     "balance",
                                     "connect_timeout",
                                     "connect_attempts",
                                     "idle_timeout",
                                     "half_close_timeout",
                                     "on_all_down",
                                     "on_backend_down",
                                     "queue",
                                     "queue_timeout",
                                     "hedge_after",
                                     "hash_bound",
                                     "rebalance",
                                     "max_lifetime",
                                     "rate_to_client",
                                     "rate_to_backend",
                                     "slow_start",
                                     "probe",
                                     "interval",
                                     "fast_interval",
                                     "timeout",
                                     "rise",
                                     "fall",
                                     "eject_after",
                                     "eject_for",
                                     "eject_for_at_most",
                                     "weight",
                                     "max_sessions",
                                     "backup",
                                     "admin"}) {
    CAPTURE(key);
    const std::string changed = uncommented(text, key);
    REQUIRE(changed != text);
    const Config config = good(changed);
    CHECK(config.pools == plain.pools);
    CHECK(config.workers == plain.workers);
    CHECK(config.shutdown_grace == plain.shutdown_grace);
    CHECK(config.admin == plain.admin);
    CHECK(config.log == plain.log);
  }
}

TEST_CASE("ten thousand backends, and as many faults, are one pass each") {
  std::string valid = kListener + kPool;
  std::string faulty = kListener + kPool;
  for (int i = 0; i < 10'000; ++i) {
    const std::string address = "[[pool.backend]]\naddress = \"10.1." + std::to_string(i / 250) + "." +
                                std::to_string(i % 250) + ":80\"\n";
    valid += address;
    faulty += address + "weight = 0\nwieght = 1\n";
  }
  CHECK(good(valid).pools[0].backends.size() == 10'000);
  CHECK(parse(faulty).fault_count() == 20'000);
}

TEST_CASE("a damaged file gives faults or a configuration, never both and never neither") {
  const std::string original = contents(kConf / "weir.toml") + contents(kConf / "examples/redis.toml");
  std::mt19937 random(20260131);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  const std::string_view alphabet = "[]{}=\"'\\#\n.,:-_$ 09az\x01\xff";
  for (int round = 0; round < 300; ++round) {
    std::string text = original;
    for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
      const std::size_t at = below(text.size());
      switch (below(3)) {
        case 0:
          text[at] = alphabet[below(alphabet.size())];
          break;
        case 1:
          text.erase(at, 1 + below(20));
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(40)));
      }
    }
    const LoadResult result = parse(text);
    CHECK((result.config != nullptr) == result.faults.empty());
    CHECK(std::is_sorted(result.faults.begin(), result.faults.end(), [](const Fault& a, const Fault& b) {
      return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    }));
  }
}
