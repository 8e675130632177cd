#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/config/parse.h"

using namespace weir;
using namespace weir::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

/// A directory of its own for one test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The rights of an ordinary user within a scope, for root passes every check of a mode.
class OrdinaryUser {
 public:
  OrdinaryUser() {
    if (before_ == 0) REQUIRE(::seteuid(65534) == 0);
  }
  ~OrdinaryUser() {
    if (before_ == 0 && ::seteuid(0) != 0) std::abort();
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

 private:
  uid_t before_ = ::geteuid();
};

LoadOptions with_limit(std::uint64_t limit) {
  LoadOptions options = default_options();
  options.descriptor_limit = limit;
  return options;
}

const std::string kSmall = with_root("workers = 1");

}  // namespace

TEST_CASE("a limit of 64 descriptors holds ten sessions with one worker") {
  const Config config = good(kSmall, with_limit(64));
  CHECK(sessions_that_fit(config, 1, 64) >= 10);
  CHECK(2 * sessions_that_fit(config, 1, 64) + reserved_descriptors(config, 1, 64) <= 64);
}

TEST_CASE("descriptors are reserved for every worker, address and probe") {
  const Config config = good(kSmall);
  const std::uint64_t one = reserved_descriptors(config, 1);
  CHECK(reserved_descriptors(config, 3) == one + 2 * (5 + 1 + 1));
  const Config two_addresses = good(
      "[[listener]]\nname=\"l\"\npool=\"web\"\nbind=[\"127.0.0.1:1\",\"127.0.0.1:2\"]\n" + kPool + kBackend);
  CHECK(reserved_descriptors(two_addresses, 1) == one + 2);
  CHECK(reserved_descriptors(good(and_backend("address = \"10.0.0.2:80\"")), 1) == one + 1);
  CHECK(reserved_descriptors(good(with_health("probe = \"none\"")), 1) ==
        one - reserved_probe_sockets(config, kNoDescriptorLimit));
  CHECK(reserved_descriptors(good(with_root("admin.socket = \"\"")), 1) < one);
  CHECK(reserved_descriptors(good(with_health("probe = \"http\"")), 1) == one + 2);
  const std::uint64_t small = reserved_descriptors(config, 1, 48);
  CHECK(small < 48);
  CHECK(sessions_that_fit(config, 1, small + 1) == 0);
  CHECK(sessions_that_fit(config, 1, small + 2) == 1);
  CHECK(sessions_that_fit(config, 1, 0) == 0);
}

TEST_CASE("admin connections and probes are few under a small limit") {
  CHECK(admin_connection_limit(64) == 4);
  CHECK(admin_connection_limit(512) == 32);
  CHECK(admin_connection_limit(kNoDescriptorLimit) == 64);
  CHECK(probe_socket_limit(16) == 4);
  CHECK(probe_socket_limit(64) == 8);
  CHECK(probe_socket_limit(kNoDescriptorLimit) == kMostProbeSockets);
}

TEST_CASE("for probes descriptors are reserved for the backends there are and some that may be added") {
  const auto with_backends = [](std::uint64_t count) {
    std::string text = "workers = 1\nadmin.socket = \"\"\n" + kListener + kPool;
    for (std::uint64_t i = 0; i < count; ++i)
      text += "[[pool.backend]]\naddress = \"10.0.0.1:" + std::to_string(i + 1) + "\"\n";
    return good(text);
  };
  const Config hundred = with_backends(100);
  const Config many = with_backends(kMostProbeSockets + 200);
  const Config none = good("workers = 1\nadmin.socket = \"\"\n" + kListener + kPool + kBackend +
                           "[pool.health]\nprobe = \"none\"\n");
  const auto reserved = [&](const Config& config, std::uint64_t limit) {
    const std::uint64_t sockets = reserved_probe_sockets(config, limit);
    CHECK(reserved_descriptors(config, 1, limit) == reserved_descriptors(none, 1, limit) + sockets);
    return sockets;
  };
  CHECK(reserved(none, 4'000) == 0);
  CHECK(reserved(with_backends(1), 64) == 1 + 1);
  CHECK(reserved(hundred, 400) == probe_socket_limit(400));
  CHECK(reserved(hundred, 4'000) == 100 + 16);
  CHECK(reserved(many, 4'000) == probe_socket_limit(4'000));
  CHECK(reserved(many, 1'000'000) == kMostProbeSockets);
}

TEST_CASE("a limit on sessions beyond the descriptor limit is refused with both numbers") {
  const Config config = good(kSmall, with_limit(1000));
  const std::uint64_t reserved = reserved_descriptors(config, 1, 1000);
  const std::uint64_t fit = sessions_that_fit(config, 1, 1000);
  const auto root = [](std::uint64_t most) {
    return with_root("workers = 1\nmax_connections = " + std::to_string(most));
  };
  CHECK(good(root(fit), with_limit(1000)).max_connections == fit);
  const std::string fault = bad(root(8000), with_limit(1000));
  CHECK_THAT(fault,
             StartsWith("f:2:19: max_connections = 8000: needs " + std::to_string(16000 + reserved) +
                        " file descriptors (2 for each session, " + std::to_string(reserved) +
                        " for Weir itself), and the limit is 1000: at most " + std::to_string(fit) + " fit"));
  CHECK_THAT(bad(root(fit + 1), with_limit(1000)), StartsWith("f:2:19: "));
  CHECK_THAT(bad(root(1'000'000'000), with_limit(1000)), StartsWith("f:2:19: "));
  CHECK_THAT(bad(with_listener("max_connections = 8000"), with_limit(1000)),
             StartsWith("f:5:19: listener.max_connections = 8000: needs "));
}

TEST_CASE("a descriptor limit that holds no session at all is refused") {
  CHECK_THAT(bad(kSmall, with_limit(20)), StartsWith("f:1:1: a single session needs "));
  CHECK_THAT(bad(with_root("workers = 1024"), with_limit(1024)), Contains("and the limit is 1024"));
  CHECK(good(kSmall, with_limit(0)).workers == 1);
}

TEST_CASE("a listener's limit above the whole process's is a warning") {
  const LoadResult result = parse("max_connections = 10\n" + with_listener("max_connections = 11"));
  CHECK(result.config != nullptr);
  CHECK_THAT(all_of(result.warnings), StartsWith("f:6:19: listener.max_connections = 11 has no effect: "));
}

TEST_CASE("workers left out are as many as the process has CPUs") {
  const std::uint32_t workers = resolved_workers(good(kListener + kPool + kBackend));
  CHECK(workers >= 1);
  CHECK(workers <= kMaxWorkers);
  CHECK(resolved_workers(good(with_root("workers = 7"))) == 7);
}

TEST_CASE("the path of the admin socket has at most 107 bytes") {
  TemporaryDirectory directory;
  const auto root = [&](std::size_t size) {
    return with_root("[admin]\nsocket = \"" + directory.path() + "/" +
                     std::string(size - directory.path().size() - 1, 's') + "\"");
  };
  CHECK(good(root(107)).admin.socket.size() == 107);
  CHECK_THAT(bad(root(108)), StartsWith("f:2:10: admin.socket = "));
  CHECK_THAT(bad(root(108)), Contains("has 108 bytes: the path of a unix socket has at most 107"));
}

TEST_CASE("a path given in the file must be in a directory that exists") {
  const auto [lines, fault] = GENERATE(table<std::string, std::string>({
      {"[admin]\nsocket = \"/no/such/x.sock\"",
       "f:2:10: admin.socket = \"/no/such/x.sock\": the directory \"/no/such\" does not exist: create it "
       "first\n"},
      {"state_file = \"/no/such/x.json\"",
       "f:1:14: state_file = \"/no/such/x.json\": the directory \"/no/such\" does not exist: create it "
       "first\n"},
      {"[log]\naccess = \"/no/such/x.log\"",
       "f:2:10: log.access = \"/no/such/x.log\": the directory \"/no/such\" does not exist: create it "
       "first\n"},
      {"state_file = \"/dev/null/x\"",
       "f:1:14: state_file = \"/dev/null/x\": \"/dev/null\" is not a directory\n"},
      {"state_file = \"/\"", "f:1:14: state_file = \"/\": is a directory: name a file in it\n"},
      {"[admin]\nsocket = \"/tmp\"", "f:2:10: admin.socket = \"/tmp\": is a directory: name a file in it\n"},
      {"state_file = \"x.json\"", "f:1:14: state_file = \"x.json\": must be an absolute path\n"},
      {"[admin]\nsocket = \"x.sock\"", "f:2:10: admin.socket = \"x.sock\": must be an absolute path\n"},
      {"[log]\naccess = \"stderr\"",
       "f:2:10: log.access = \"stderr\": must be \"off\", \"stdout\", an absolute path or \"syslog:\"\n"},
      {"[log]\naccess = \"\"",
       "f:2:10: log.access = \"\": must be \"off\", \"stdout\", an absolute path or \"syslog:\"\n"},
      {"state_file = \"/tmp/a\\u0000b\"",
       "f:1:14: state_file = \"/tmp/a\\x00b\": a path cannot hold a NUL character\n"},
  }));
  CHECK(bad(with_root(lines)) == fault);
}

TEST_CASE("socket and state file can be turned off") {
  const Config config = good(with_root("state_file = \"\"\nadmin.socket = \"\"\nlog.access = \"off\""));
  CHECK(config.state_file.empty());
  CHECK(config.state_file_given);
  CHECK(config.admin.socket.empty());
  CHECK(config.log.access == "off");
}

TEST_CASE("a state file given in the file must be writable, and nothing is written to find out") {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/state.json";
  const std::string text = with_root("state_file = \"" + path + "\"");
  CHECK(good(text).state_file == path);
  CHECK(std::filesystem::is_empty(directory.path()));

  REQUIRE(::chmod(directory.path().c_str(), 0555) == 0);
  {
    const OrdinaryUser user;
    CHECK(bad(text) == "f:1:14: state_file = \"" + path + "\": the directory \"" + directory.path() +
                           "\" is not writable\n");
  }
  REQUIRE(::chmod(directory.path().c_str(), 0777) == 0);
  std::ofstream(path) << "{}";
  REQUIRE(::chmod(path.c_str(), 0) == 0);
  {
    const OrdinaryUser user;
    CHECK(bad(text) == "f:1:14: state_file = \"" + path + "\": cannot be read and written\n");
  }
}
