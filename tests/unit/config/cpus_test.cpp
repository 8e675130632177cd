#include "lb/config/cpus.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "lb/config/config.h"
#include "lb/config/load.h"
#include "tests/support/temp_dir.h"

using namespace weir;
using weir::test::TempDir;

namespace {

/// A machine's files below a directory of their own.
class FakeRoot {
 public:
  FakeRoot(const std::string& cgroup, const std::string& mountinfo) {
    write("/proc/self/cgroup", cgroup);
    write("/proc/self/mountinfo", mountinfo);
  }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = directory_.path().string() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string path() const { return directory_.path().string(); }
  std::optional<std::uint32_t> quota() const { return cpu_quota(path()); }

 private:
  TempDir directory_;
};

const std::string kV2 =
    "25 1 0:22 / /proc rw - proc proc rw\n31 23 0:28 / /cg rw,relatime - cgroup2 cgroup2 rw\n";
const std::string kV1 =
    "32 31 0:29 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"
    "33 31 0:30 / /cg/cpu,cpuacct rw shared:9 master:3 - cgroup cgroup rw,cpu,cpuacct\n";

}  // namespace

TEST_CASE("a quota of time is a number of CPUs") {
  CHECK(parse_cpu_max("150000 100000\n") == 1.5);
  CHECK(parse_cpu_max("50000 100000") == 0.5);
  CHECK(parse_cpu_max("max 100000\n") == std::nullopt);
  for (const char* text : {"", "max", "1000", "0 100000", "-5 100000", "100000 0", "1e5 100000", "1 2 3"})
    CHECK(parse_cpu_max(text) == std::nullopt);
  CHECK(parse_cfs_quota("200000\n", "100000\n") == 2.0);
  CHECK(parse_cfs_quota("-1\n", "100000\n") == std::nullopt);
  CHECK(parse_cfs_quota("", "") == std::nullopt);
}

TEST_CASE("a quota of cgroup v2 is rounded up and never below one CPU") {
  FakeRoot root("0::/weir.service\n", kV2);
  CHECK(root.quota() == std::nullopt);
  root.write("/cg/weir.service/cpu.max", "200000 100000\n");
  CHECK(root.quota() == 2);
  root.write("/cg/weir.service/cpu.max", "200001 100000\n");
  CHECK(root.quota() == 3);
  root.write("/cg/weir.service/cpu.max", "1000 100000\n");
  CHECK(root.quota() == 1);
  root.write("/cg/weir.service/cpu.max", "max 100000\n");
  CHECK(root.quota() == std::nullopt);
}

TEST_CASE("the smallest quota of all groups above holds") {
  FakeRoot root("0::/a/b/c\n", kV2);
  root.write("/cg/a/b/c/cpu.max", "max 100000\n");
  root.write("/cg/a/b/cpu.max", "350000 100000\n");
  root.write("/cg/a/cpu.max", "800000 100000\n");
  CHECK(root.quota() == 4);
  root.write("/cg/cpu.max", "100000 50000\n");  // a container's own: its root is not the machine's
  CHECK(root.quota() == 2);
  root.write("/cg/a/b/c/cpu.max", "60000 100000\n");
  CHECK(root.quota() == 1);
}

TEST_CASE("a quota of cgroup v1 holds too, beside v2 and with several controllers in one") {
  FakeRoot root("9:name=systemd:/\n4:cpu,cpuacct:/docker/x\n3:cpuset:/\n0::/\n", kV1);
  CHECK(root.quota() == std::nullopt);
  root.write("/cg/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  root.write("/cg/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  CHECK(root.quota() == std::nullopt);
  root.write("/cg/cpu,cpuacct/docker/cpu.cfs_period_us", "50000\n");
  root.write("/cg/cpu,cpuacct/docker/cpu.cfs_quota_us", "125000\n");
  CHECK(root.quota() == 3);
}

TEST_CASE("groups are found below what is mounted, and only there") {
  using Groups = std::vector<CpuGroup>;
  const auto mount = [](const std::string& group) {
    return "31 23 0:28 " + group + " /cg rw - cgroup2 c rw\n";
  };
  CHECK(cpu_groups("0::/\n", mount("/")) == Groups{{"/cg", true}});
  CHECK(cpu_groups("0::/a/b\n", mount("/")) == Groups{{"/cg/a/b", true}, {"/cg/a", true}, {"/cg", true}});
  // A container that sees the host's names, and has only its own group mounted.
  CHECK(cpu_groups("0::/docker/x\n", mount("/docker/x")) == Groups{{"/cg", true}});
  CHECK(cpu_groups("0::/docker/x/y\n", mount("/docker/x")) == Groups{{"/cg/y", true}, {"/cg", true}});
  // The host sees a container's mount: not ours.
  CHECK(cpu_groups("0::/weir\n", mount("/docker/x")).empty());
  CHECK(cpu_groups("0::/docker/xy\n", mount("/docker/x")).empty());
  // A process that stands outside of its cgroup namespace, or was started outside.
  CHECK(cpu_groups("0::/../..\n", mount("/")) == Groups{{"/cg", true}});
  CHECK(cpu_groups("0::/../other\n", mount("/")) == Groups{{"/cg", true}});
  CHECK(cpu_groups("0::/\n", mount("/..")) == Groups{{"/cg", true}});
  // Names with colons, dots and blanks.
  CHECK(cpu_groups("0::/a:b/..c\n", mount("/a:b")) == Groups{{"/cg/..c", true}, {"/cg", true}});
  CHECK(cpu_groups("0::/\n", "31 23 0:28 / /c\\040g rw - cgroup2 c rw\n") == Groups{{"/c g", true}});
}

TEST_CASE("malformed lines and files that cannot be read bound nothing") {
  CHECK(cpu_groups("", kV2).empty());
  CHECK(cpu_groups("0::/a", "").empty());
  CHECK(cpu_groups("rubbish\n0\n:\n::\n", kV2 + kV1).empty());
  CHECK(cpu_groups("0::/\n", "31 23 0:28 / /cg rw - cgroup2\n- - -\n\n31\n").empty());
  CHECK(cpu_quota("/nowhere") == std::nullopt);
  FakeRoot root("0::/a\n", kV2);
  std::filesystem::create_directories(root.path() + "/cg/a/cpu.max");  // a directory: reading it fails
  CHECK(root.quota() == std::nullopt);
}

TEST_CASE("as many CPUs are usable as the process has, and a worker for each is the default") {
  CHECK(usable_cpus() >= 1);
  CHECK(resolved_workers(Config{}) == std::min(usable_cpus(), kMaxWorkers));
}
