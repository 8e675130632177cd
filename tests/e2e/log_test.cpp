// Both logs in their forms and at their targets.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <sstream>

#include "lb/base/fd.h"
#include "tests/support/operated.h"
#include "tests/support/upgradable.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (!in.eof()) out.push_back(line);
  return out;
}

/// A syslog daemon that keeps what it is told.
class FakeSyslog {
 public:
  explicit FakeSyslog(const std::string& path) {
    ::unlink(path.c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    fd_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  /// The first message with that in it; "" when none comes.
  std::string wait_for(const std::string& text) {
    std::string found;
    static_cast<void>(eventually([&] {
      std::array<char, 8192> bytes;
      for (ssize_t size = 0; (size = ::recv(fd_.get(), bytes.data(), bytes.size(), 0)) > 0;)
        messages_.emplace_back(bytes.data(), static_cast<std::size_t>(size));
      const auto one = std::ranges::find_if(
          messages_, [&](const std::string& message) { return message.find(text) != std::string::npos; });
      if (one != messages_.end()) found = *one;
      return !found.empty();
    }));
    return found;
  }

 private:
  Fd fd_;
  std::vector<std::string> messages_;
};

/// A Weir that is told that its stderr is the journal's stream, or that another file is.
class JournalWeir {
 public:
  JournalWeir(bool is_journal, const std::string& format) {
    SimpleConfig config;
    config.bind = port_.v4();
    config.backends = {{"a", backend_.address()}};
    config.admin = fmt::format("socket = \"{}\"", dir_.file("weir.sock"));
    config.log = fmt::format("access = \"off\"\nformat = \"{}\"", format);
    write_file(dir_.file("weir.toml"), config.toml());
    const std::string stream = is_journal ? "$(stat -L -c %d:%i /proc/self/fd/2)" : "1:1";
    process_ = std::make_unique<Process>(std::vector<std::string>{
        "sh", "-c",
        fmt::format("JOURNAL_STREAM={} exec {} run -c {}", stream, weir_binary(), dir_.file("weir.toml"))});
  }

  Process& process() { return *process_; }
  Finished cli(std::vector<std::string> command) const {
    command.insert(command.begin(), weir_binary());
    command.insert(command.end(), {"--socket", dir_.file("weir.sock")});
    return run_program(command);
  }

 private:
  FreePort port_;
  TempDir dir_;
  FakeBackend backend_{lettered(1)[0]};
  std::unique_ptr<Process> process_;
};

}  // namespace

TEST_CASE("both logs in JSON are one object a line, and a reload turns them back to text") {
  Operated weir(lettered(1));
  weir.config.log = "access = \"stdout\"\nformat = \"json\"";
  REQUIRE(weir.reload().status == 0);
  const std::size_t before = lines_of(weir.log()).size();
  REQUIRE(weir.letters(2) == "aa");
  REQUIRE(weir.status({"drain", "web/a", "--force", "--comment", "a \"quoted\" word"}) == 0);
  REQUIRE(weir.says("quoted"));
  REQUIRE(weir.process().wait_for_out("\"end\":\"done\""));
  const auto sessions = lines_of(weir.process().out());
  REQUIRE_FALSE(sessions.empty());
  for (const auto& line : sessions) {
    const json session = json::parse(line);
    CHECK(session.at("backend") == "a");
    CHECK(session.at("bytes_to_client") == 1);
    CHECK(session.at("peer").is_null());
  }
  const auto said = lines_of(weir.log());
  REQUIRE(said.size() > before);
  std::string messages;
  for (std::size_t i = before; i < said.size(); ++i) {
    CAPTURE(said[i]);
    const json line = json::parse(said[i]);
    CHECK(line.size() == 3);
    CHECK_THAT(line.at("time").get<std::string>(), Catch::EndsWith("Z"));
    CHECK((line.at("level") == "info" || line.at("level") == "warning"));
    messages += line.at("message").get<std::string>() + "\n";
  }
  CHECK_THAT(messages, Contains("drained"));
  weir.config.log = "access = \"stdout\"";
  REQUIRE(weir.reload().status == 0);
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  CHECK(weir.says("Z info admin: POST /v1/backends/web/a/enable"));
}

TEST_CASE("a log that starts in JSON is JSON from its first line") {
  SimpleConfig config;
  config.log = "access = \"off\"\nformat = \"json\"";
  Operated weir(lettered(1), config);
  const auto said = lines_of(weir.log());
  REQUIRE_FALSE(said.empty());
  for (const auto& line : said) CHECK(json::parse(line).contains("message"));
}

TEST_CASE("of sessions that end well a sample is written, and every one that does not") {
  Operated weir(lettered(1));
  weir.config.log = "access = \"stdout\"\nsample = \"1/10\"";
  REQUIRE(weir.reload().status == 0);
  CHECK(weir.letters(30) == std::string(30, 'a'));
  weir.backend().stop_listening();
  for (int i = 0; i < 5; ++i) {
    try {
      static_cast<void>(weir.connect().recv_some());
    } catch (const StreamError&) {
      // It is reset: that is what is to be logged.
    }
  }
  REQUIRE(eventually([&] {
    const auto log = weir.weir().access_log();
    return std::ranges::count_if(log, [](const auto& line) { return line["end"] == "connect_failed"; }) == 5;
  }));
  const auto log = weir.weir().access_log();
  CHECK(log.size() == 8);
  for (const auto& line : log) {
    const auto keys = line.keys();
    CHECK((std::ranges::find(keys, "sample") != keys.end()) == (line["end"] == "done"));
    if (line["end"] == "done") CHECK(line["sample"] == "10");
  }
}

TEST_CASE("both logs go to a syslog daemon, and go on when it is another one") {
  const TempDir dir;
  auto syslog = std::make_unique<FakeSyslog>(dir.file("log"));
  Operated weir(lettered(1));
  weir.config.log = fmt::format("access = \"syslog:{0}\"\ndaemon = \"syslog:{0}\"", dir.file("log"));
  REQUIRE(weir.reload().status == 0);
  REQUIRE(weir.letters(1) == "a");
  const std::string session = syslog->wait_for("backend=a");
  CHECK_THAT(session, Catch::StartsWith("<30>1 2") &&
                          Contains(fmt::format(" weir {} access - time=", weir.process().pid())) &&
                          Catch::EndsWith("why=-"));
  REQUIRE(weir.status({"drain", "web/a", "--force"}) == 0);
  CHECK_THAT(syslog->wait_for("drained"), Contains(" daemon - "));
  CHECK_THAT(weir.log(), !Contains("drained by"));

  // Nobody there: nothing waits, and what is lost is said once there is somebody.
  syslog.reset();
  REQUIRE(weir.status({"enable", "web/a"}) == 0);
  CHECK(eventually([&] { return weir.letters(1) == "a"; }));
  syslog = std::make_unique<FakeSyslog>(dir.file("log"));
  REQUIRE(eventually([&] {
    static_cast<void>(weir.letters(1));
    return weir.status({"weight", "web/a", "3"}) == 0;
  }));
  CHECK_THAT(syslog->wait_for("lines of this log were dropped"), Catch::StartsWith("<28>1 "));
  CHECK_THAT(syslog->wait_for("backend=a"), Contains(" access - "));
}

TEST_CASE("a syslog target that nobody listens at is refused, at the start and by a reload") {
  const TempDir dir;
  const std::string key = GENERATE("access", "daemon");
  SimpleConfig config;
  config.log = fmt::format("{} = \"syslog:{}\"", key, dir.file("nobody"));
  Operated weir(lettered(1));
  weir.config.log = config.log;
  const Finished refused = weir.reload();
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("no syslog daemon at " + dir.file("nobody")));
  CHECK(weir.letters(1) == "a");
  SimpleConfig other = weir.config;
  const FreePort port;
  other.bind = port.v4();
  other.admin = "socket = \"\"";
  other.state_file = "";
  const Finished run = run_weir({"run", "-c", "{}"}, other.toml());
  CHECK(run.status == 1);
  CHECK_THAT(run.err, Contains("no syslog daemon at"));
}

TEST_CASE("the journal is told of each line's priority") {
  const bool is_journal = GENERATE(true, false);
  const std::string format = GENERATE("text", "json");
  JournalWeir journal(is_journal, format);
  Process& weir = journal.process();
  const std::string begins = format == "text" ? "2" : "{\"time\"";
  REQUIRE(eventually([&] { return journal.cli({"disable", "web/a", "--force"}).status == 0; }));
  REQUIRE(weir.wait_for_err("disabled"));
  for (const auto& line : lines_of(weir.err())) {
    CAPTURE(line);
    CHECK(line.starts_with(is_journal ? "<" : begins));
    if (is_journal) CHECK_THAT(line, Contains(">" + begins));
  }
  CHECK((weir.err().find("<6>" + begins) != std::string::npos) == is_journal);
  weir.signal(SIGTERM);
  CHECK(weir.wait() == 0);
}

TEST_CASE("the process that follows knows the journal's stream for what it is, and another file, too") {
  const bool is_journal = GENERATE(true, false);
  JournalWeir journal(is_journal, "text");
  Process& weir = journal.process();
  REQUIRE(eventually([&] { return journal.cli({"status"}).status == 0; }));
  const Finished upgraded = journal.cli({"upgrade", "-o", "json"});
  REQUIRE(upgraded.status == 0);
  const Descendant successor(json::parse(upgraded.out).at("pid").get<pid_t>());
  REQUIRE(journal.cli({"disable", "web/a", "--force"}).status == 0);
  REQUIRE(weir.wait_for_err("disabled"));
  const auto lines = lines_of(weir.err());
  const auto line = std::ranges::find_if(
      lines, [](const std::string& one) { return one.find("disabled") != std::string::npos; });
  REQUIRE(line != lines.end());
  CHECK(line->starts_with("<") == is_journal);
}
