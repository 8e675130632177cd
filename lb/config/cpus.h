#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// CPU time that one control group grants, as CPUs: 1.5 for 150 ms in every 100. Nothing when it sets no
/// bound, or when the text is not what the kernel writes.
std::optional<double> parse_cpu_max(std::string_view text);  ///< v2 cpu.max: "150000 100000", "max 100000"
std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us);  ///< v1; -1: no

/// A directory whose quota holds for this process.
struct CpuGroup {
  std::string directory;
  bool v2;

  friend bool operator==(const CpuGroup&, const CpuGroup&) = default;
};

/// This process's own groups and all above them, as far as its mounts show them: of cgroup v2, and of v1's
/// cpu controller. From the texts of /proc/self/cgroup and /proc/self/mountinfo; what is malformed is passed
/// over. A path that leads out of the cgroup namespace (/../..) counts as the mount itself; a mount of other
/// groups, as the host sees those of its containers, does not count.
std::vector<CpuGroup> cpu_groups(std::string_view cgroup, std::string_view mountinfo);

/// The smallest quota of all of them, rounded up to whole CPUs, at least 1; nothing when there is none. Reads
/// /proc and the groups' files below `root`; what cannot be read bounds nothing.
std::optional<std::uint32_t> cpu_quota(const std::string& root = "");

/// CPUs that this process may use: its affinity, and no more than its quota. At least 1.
std::uint32_t usable_cpus();

}  // namespace weir
