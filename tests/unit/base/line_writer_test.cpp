#include "lb/base/line_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "lb/base/fd.h"
#include "tests/support/timing.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

struct TestPipe {
  TestPipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end = Fd(ends[0]);
    write_end = Fd(ends[1]);
  }
  std::string read_until(const std::string& text) const {
    std::string all;
    std::array<char, 65536> buffer{};
    while (all.find(text) == std::string::npos) {
      const ssize_t got = ::read(read_end.get(), buffer.data(), buffer.size());
      if (got <= 0) break;
      all.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return all;
  }
  Fd read_end;
  Fd write_end;
};

}  // namespace

TEST_CASE("lines are written whole and in order") {
  const TestPipe pipe;
  LineWriter writer(pipe.write_end.get());
  std::string expected;
  for (int i = 0; i < 1'000; ++i) expected += fmt::format("line {}\n", i);
  std::string read;
  std::thread reader([&] { read = pipe.read_until("line 999\n"); });
  for (int i = 0; i < 1'000; ++i) writer.put(fmt::format("line {}\n", i));
  reader.join();
  CHECK(read == expected);
  writer.flush(patient(5s));
}

TEST_CASE("a pipe that nobody reads holds nobody up, and what was lost is counted") {
  const TestPipe pipe;
  LineWriter writer(pipe.write_end.get());
  const std::string line = std::string(99, 'x') + "\n";
  const auto begin = Clock::now();
  for (int i = 0; i < 30'000; ++i) writer.put(line);
  CHECK(since(begin) < patient(2s));
  writer.flush(10ms);
  CHECK(since(begin) < patient(3s));
  // As many are written or counted as were put; the count may come in parts.
  const auto accounted = [](const std::string& said) {
    std::size_t lines = 0;
    std::istringstream in(said);
    for (std::string one; std::getline(in, one); ++lines)
      if (const auto at = one.find(" warning "); at != std::string::npos)
        lines += std::stoul(one.substr(at + 9)) - 1;
    return lines;
  };
  std::string said;
  while (accounted(said) < 30'000) {
    const std::string more = pipe.read_until("\n");
    REQUIRE_FALSE(more.empty());
    said += more;
  }
  CHECK(accounted(said) == 30'000);
  CHECK_THAT(said, Catch::Contains(" lines of this log were dropped: nobody took them\n"));
}

TEST_CASE("a reader that has gone away holds nobody up") {
  TestPipe pipe;
  LineWriter writer(pipe.write_end.get());
  pipe.read_end.reset();
  for (int i = 0; i < 10; ++i) writer.put("to nobody\n");
  const auto begin = Clock::now();
  writer.flush(patient(5s));
  CHECK(since(begin) < patient(4s));
}
