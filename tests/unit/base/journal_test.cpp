#include "lb/base/journal.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "lb/base/fd.h"
#include "tests/support/temp_dir.h"
#include "tests/support/timing.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

/// For its lifetime stderr is a stream to a journal, as the service manager says it, and the log goes there.
class AtTheJournals {
 public:
  explicit AtTheJournals(const std::string& socket) {
    init_daemon_log(spdlog::level::info);
    flush_daemon_log();
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    stream_ = Fd(pair[0]);
    const Fd end(pair[1]);
    before_ = Fd(::dup(STDERR_FILENO));
    ::dup2(end.get(), STDERR_FILENO);
    struct stat status {};
    REQUIRE(::fstat(STDERR_FILENO, &status) == 0);
    ::setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino).c_str(), 1);
    look_at_stderr_again(socket.c_str());
  }
  ~AtTheJournals() {
    ::unsetenv("JOURNAL_STREAM");
    ::dup2(before_.get(), STDERR_FILENO);
    look_at_stderr_again();
  }
  AtTheJournals(const AtTheJournals&) = delete;
  AtTheJournals& operator=(const AtTheJournals&) = delete;

  /// What has come by the stream.
  std::string lines() const {
    flush_daemon_log();
    std::array<char, 8192> bytes;
    const ssize_t size = ::recv(stream_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return size > 0 ? std::string(bytes.data(), static_cast<std::size_t>(size)) : "";
  }

 private:
  Fd stream_, before_;
};

/// A journald that keeps what it is told, once it is asked.
class FakeJournal {
 public:
  explicit FakeJournal(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    fd_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  std::vector<std::string> entries() const {
    std::vector<std::string> out;
    std::array<char, 8192> bytes;
    for (ssize_t size = 0; (size = ::recv(fd_.get(), bytes.data(), bytes.size(), 0)) > 0;)
      out.emplace_back(bytes.data(), static_cast<std::size_t>(size));
    return out;
  }

 private:
  Fd fd_;
};

}  // namespace

TEST_CASE("an entry for the journal is a field a line, and nothing that comes from outside adds one") {
  CHECK(journal_entry(Severity::Warning, "web/a up → down", {{"WEIR_POOL", "web"}, {"WEIR_BY", ""}}) ==
        "PRIORITY=4\nSYSLOG_IDENTIFIER=weir\nMESSAGE=web/a up → down\nWEIR_POOL=web\n\n");
  CHECK(journal_entry(Severity::Info, "a\n\nPRIORITY=0", {}) ==
        "PRIORITY=6\nSYSLOG_IDENTIFIER=weir\nMESSAGE=a  PRIORITY=0\n\n");
}

TEST_CASE("the journal gets entries with fields, each one datagram") {
  const TempDir dir;
  const FakeJournal journal(dir.file("journal"));
  const AtTheJournals stderr_there(dir.file("journal"));
  daemon_log().warn("said by {}", "somebody");
  log_with_fields(spdlog::level::info, "web/a up → down",
                  {{"WEIR_EVENT", "health"}, {"WEIR_POOL", "web"}, {"WEIR_BACKEND", "a"}});
  log_with_fields(spdlog::level::debug, "not at this level", {{"WEIR_EVENT", "health"}});
  relay_to_daemon_log("2026-01-31T10:00:00.123Z error of another process\n");
  flush_daemon_log();
  const auto entries = journal.entries();
  REQUIRE(entries.size() == 3);
  CHECK(entries[0] == "PRIORITY=4\nSYSLOG_IDENTIFIER=weir\nMESSAGE=said by somebody\n");
  CHECK(entries[1] ==
        "PRIORITY=6\nSYSLOG_IDENTIFIER=weir\nMESSAGE=web/a up → down\nWEIR_EVENT=health\nWEIR_POOL=web\n"
        "WEIR_BACKEND=a\n");
  CHECK(entries[2] ==
        "PRIORITY=3\nSYSLOG_IDENTIFIER=weir\nMESSAGE=2026-01-31T10:00:00.123Z error of another process\n");
  CHECK(stderr_there.lines().empty());
}

TEST_CASE("where no journald is, its stream gets lines with priorities") {
  const TempDir dir;
  const AtTheJournals stderr_there(dir.file("nobody"));
  log_with_fields(spdlog::level::warn, "web/a up → down", {{"WEIR_POOL", "web"}});
  const std::string lines = stderr_there.lines();
  CHECK_THAT(lines, Catch::StartsWith("<4>2") && Catch::EndsWith("Z warning web/a up → down\n"));
}

TEST_CASE("a journald that reads nothing holds nobody up, and is told what it has missed") {
  const TempDir dir;
  const FakeJournal journal(dir.file("journal"));
  const AtTheJournals stderr_there(dir.file("journal"));
  const std::string text(1'000, 'x');
  const auto begin = Clock::now();
  for (int i = 0; i < 5'000; ++i) log_with_fields(spdlog::level::info, text, {{"WEIR_POOL", "web"}});
  CHECK(since(begin) < patient(10s));
  CHECK(eventually([&] {
    for (const std::string& entry : journal.entries())
      if (entry.find("lines of this log were dropped") != std::string::npos) return true;
    return false;
  }));
}
