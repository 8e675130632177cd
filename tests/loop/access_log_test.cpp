#include "lb/proxy/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <set>

#include "lb/net/signals.h"
#include "tests/support/access_log.h"
#include "tests/support/temp_dir.h"
#include "tests/support/timing.h"

using namespace weir;
using namespace weir::test;

namespace {

class Complaints {
 public:
  std::function<void(std::string)> taker() {
    return [this](std::string text) {
      const std::lock_guard lock(mutex_);
      all_ += std::move(text) + "\n";
    };
  }
  bool mention(std::string_view text) {
    const std::lock_guard lock(mutex_);
    return all_.find(text) != std::string::npos;
  }

 private:
  std::mutex mutex_;
  std::string all_;
};

AccessRecord record(const ListenerLoad& listener, std::uint64_t number) {
  AccessRecord made;
  made.listener = &listener;
  made.bytes_to_backend = number;
  return made;
}

std::unique_ptr<AccessLog> open_log(const std::string& target, std::uint32_t workers,
                                    Complaints& complaints) {
  ignore_sigpipe();
  auto opened = AccessLog::open(target);
  REQUIRE(opened);
  return std::make_unique<AccessLog>(std::move(*opened), workers, complaints.taker());
}

}  // namespace

TEST_CASE("every record of every worker is a line, each worker's in its order") {
  TempDir directory;
  Complaints complaints;
  const ListenerLoad listener("web", "pool", 2);
  const std::size_t records = AccessLog::kQueueRecords + 1'000;
  auto log = open_log(directory.file("log"), 2, complaints);
  std::vector<std::thread> workers;
  for (std::uint32_t worker = 0; worker < 2; ++worker)
    workers.emplace_back([&, worker] {
      for (std::size_t i = 0; i < records; ++i) {
        log->write(worker, record(listener, i * 2 + worker));
        if (i % 1'000 == 0) std::this_thread::sleep_for(milliseconds(20));  // never ahead by a whole queue
      }
    });
  for (auto& worker : workers) worker.join();
  log.reset();
  std::array<std::uint64_t, 2> next{0, 1};
  const auto lines = parse_access_log(read_file(directory.file("log")));
  if (!complaints.mention("dropped")) REQUIRE(lines.size() == 2 * records);
  for (const AccessLine& line : lines) {
    const auto number = static_cast<std::uint64_t>(line.number("bytes_to_backend"));
    REQUIRE(number >= next[number % 2]);
    next[number % 2] = number + 2;
  }
}

TEST_CASE("a single record is written soon, though the log's thread was asleep") {
  TempDir directory;
  Complaints complaints;
  const ListenerLoad listener("web", "pool", 1);
  const auto log = open_log(directory.file("log"), 1, complaints);
  for (std::size_t i = 1; i <= 20; ++i) {
    log->write(0, record(listener, i));
    REQUIRE(eventually([&] { return parse_access_log(read_file(directory.file("log"))).size() == i; }));
  }
}

TEST_CASE("what does not fit is counted and said, and never blocks the worker") {
  TempDir directory;
  Complaints complaints;
  const ListenerLoad listener("web", "pool", 1);
  const std::string path = directory.file("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto log = open_log(path, 1, complaints);
  for (std::size_t i = 0; i < 3 * AccessLog::kQueueRecords; ++i) log->write(0, record(listener, i));
  REQUIRE(eventually([&] { return complaints.mention("cannot write"); }));
  log.reset();
  REQUIRE(complaints.mention("were dropped"));
}

TEST_CASE("clients that are turned away never take the room of others, and each of them is in a line") {
  TempDir directory;
  Complaints complaints;
  const ListenerLoad listener("web", "pool", 1);
  const std::string path = directory.file("log");
  auto log = open_log(path, 1, complaints);
  constexpr std::uint64_t kTurnedAway = 3 * AccessLog::kQueueRecords;
  constexpr std::uint64_t kOthers = AccessLog::kQueueRecords / 2;
  // A burst that is faster than the log's thread.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto time_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  for (std::uint64_t i = 0; i < kTurnedAway; ++i) {
    AccessRecord refused = record(listener, i);
    refused.time_ms = time_ms;
    refused.end = End::Denied;
    log->write(0, std::move(refused));
    if (i % 6 == 0) log->write(0, record(listener, i));
  }
  static_assert(kTurnedAway / 6 == kOthers);
  const auto told = [&] {
    const std::string text = read_file(path);
    std::uint64_t denied = 0, others = 0;
    for (const AccessLine& line : parse_access_log(text.substr(0, text.rfind('\n') + 1))) {
      if (line["end"] == "done") ++others;
      if (line["end"] == "denied") denied += line["why"] == "-" ? 1 : std::stoull(line["why"]);
    }
    return std::pair(denied, others);
  };
  CHECK(eventually([&] { return told() == std::pair(kTurnedAway, kOthers); }));
  CHECK_FALSE(complaints.mention("dropped"));
}

TEST_CASE("a log whose reader takes nothing holds up the end by a second, not by one for each batch") {
  TempDir directory;
  Complaints complaints;
  const ListenerLoad listener("web", "pool", 1);
  const std::string path = directory.file("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto log = open_log(path, 1, complaints);
  for (std::size_t i = 0; i < AccessLog::kQueueRecords; ++i) log->write(0, record(listener, i));
  const auto start = Clock::now();
  log.reset();
  REQUIRE(since(start) < milliseconds(15'000));  // the batches are 32
}

TEST_CASE("what is written to a pipe at once is whole lines, so that two processes may share it") {
  ignore_sigpipe();
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_DIRECT) == 0);  // each read finds what one write wrote
  const Fd read_end(ends[0]);
  Complaints complaints;
  const ListenerLoad listener("web", "pool", 1);
  const std::size_t records = 500;
  std::size_t lines = 0;
  bool whole = true;
  std::thread reader([&] {
    char packet[4096];
    for (ssize_t got; (got = ::read(read_end.get(), packet, sizeof packet)) > 0;) {
      const std::string_view text(packet, static_cast<std::size_t>(got));
      lines += static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
      whole = whole && text.ends_with('\n');
    }
  });
  {
    AccessLog log({"pipe", Fd(ends[1])}, 1, complaints.taker());
    for (std::size_t i = 0; i < records; ++i) log.write(0, record(listener, i));
  }
  reader.join();
  REQUIRE(lines == records);
  REQUIRE(whole);
}

TEST_CASE("after a reopen lines go to the new file of that name") {
  TempDir directory;
  Complaints complaints;
  const ListenerLoad listener("web", "pool", 1);
  const auto log = open_log(directory.file("log"), 1, complaints);
  log->write(0, record(listener, 1));
  REQUIRE(eventually([&] { return !read_file(directory.file("log")).empty(); }));
  std::filesystem::rename(directory.file("log"), directory.file("log.1"));
  log->reopen([] {});
  REQUIRE(eventually([&] { return std::filesystem::exists(directory.file("log")); }));
  log->write(0, record(listener, 2));
  REQUIRE(eventually([&] { return !read_file(directory.file("log")).empty(); }));
  REQUIRE(parse_access_log(read_file(directory.file("log.1"))).size() == 1);
}

TEST_CASE("a log that cannot be opened is an error with its path, and one that is off takes no file") {
  Complaints complaints;
  const auto log = AccessLog::open("/nonexistent/access.log");
  REQUIRE_FALSE(log);
  REQUIRE(log.error().message.find("/nonexistent/access.log") != std::string::npos);
  REQUIRE_FALSE(open_log("off", 1, complaints)->enabled());
}
