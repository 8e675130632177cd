#include "lb/config/cpus.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

namespace weir {
namespace {

std::optional<std::int64_t> parse_number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool lists(std::string_view list, std::string_view wanted) {
  return std::ranges::count(split(list, ','), wanted) > 0;
}

/// mountinfo writes a blank, a tab, a newline and a backslash as three octal digits behind a backslash.
std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
      result += static_cast<char>(code);
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

struct Mount {
  std::string root;  ///< the group that is seen at `point`
  std::string point;
  bool v2;
};

/// "31 23 0:28 /root /point options [optional fields] - type source super-options"
std::optional<Mount> parse_mount(std::string_view line) {
  const std::vector<std::string_view> fields = split(line, ' ');
  const auto dash = std::ranges::find(fields, "-");
  if (dash - fields.begin() < 6 || fields.end() - dash < 4) return std::nullopt;
  const bool v2 = dash[1] == "cgroup2";
  if (!v2 && (dash[1] != "cgroup" || !lists(dash[3], "cpu"))) return std::nullopt;
  return Mount{unescaped(fields[3]), unescaped(fields[4]), v2};
}

bool leads_out(std::string_view path) {
  return std::ranges::count(split(path, '/'), "..") > 0;
}

/// Where the group `path` is below the mount: "" for the mount itself, else "/a/b". Nothing when the mount
/// shows other groups: another container's, seen from the host.
std::optional<std::string> path_below(const std::string& root, std::string_view path) {
  if (leads_out(root) || leads_out(path)) return "";
  if (root != "/") {
    if (!path.starts_with(root)) return std::nullopt;
    path.remove_prefix(root.size());
    if (!path.empty() && path.front() != '/') return std::nullopt;
  }
  return path == "/" ? "" : std::string(path);
}

void add_with_ancestors(const Mount& mount, std::string_view path, std::vector<CpuGroup>& groups) {
  auto below = path_below(mount.root, path);
  if (!below) return;
  for (;; below->resize(below->rfind('/'))) {
    groups.push_back({mount.point + *below, mount.v2});
    if (below->empty()) return;
  }
}

std::string read_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

std::uint32_t affinity() {
  // The kernel refuses a set smaller than its own; 2^16 CPUs is beyond every kernel's.
  for (int cpus = 1024; cpus <= 65536; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(static_cast<std::size_t>(cpus)),
                                                               [](cpu_set_t* s) { CPU_FREE(s); });
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    if (!set) break;
    if (sched_getaffinity(0, size, set.get()) == 0)
      return static_cast<std::uint32_t>(CPU_COUNT_S(size, set.get()));
    if (errno != EINVAL) break;
  }
  return std::thread::hardware_concurrency();
}

}  // namespace

std::optional<double> parse_cpu_max(std::string_view text) {
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  return parse_cfs_quota(text.substr(0, blank), text.substr(blank + 1));
}

std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us) {
  const auto quota = parse_number(quota_us);
  const auto period = parse_number(period_us);
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::vector<CpuGroup> cpu_groups(std::string_view cgroup, std::string_view mountinfo) {
  std::optional<std::string_view> v1_path;
  std::optional<std::string_view> v2_path;
  for (const std::string_view line : split(cgroup, '\n')) {
    // "0::/path", "4:cpu,cpuacct:/path": the path may have colons of its own.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty() && line.starts_with("0:")) v2_path = line.substr(second + 1);
    if (lists(controllers, "cpu")) v1_path = line.substr(second + 1);
  }
  std::vector<CpuGroup> groups;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto mount = parse_mount(line);
    if (!mount) continue;
    const auto& path = mount->v2 ? v2_path : v1_path;
    if (path) add_with_ancestors(*mount, *path, groups);
  }
  return groups;
}

std::optional<std::uint32_t> cpu_quota(const std::string& root) {
  std::optional<double> least;
  for (const CpuGroup& group :
       cpu_groups(read_text(root + "/proc/self/cgroup"), read_text(root + "/proc/self/mountinfo"))) {
    const std::string directory = root + group.directory;
    const auto quota = group.v2 ? parse_cpu_max(read_text(directory + "/cpu.max"))
                                : parse_cfs_quota(read_text(directory + "/cpu.cfs_quota_us"),
                                                  read_text(directory + "/cpu.cfs_period_us"));
    if (quota) least = std::min(least.value_or(*quota), *quota);
  }
  if (!least) return std::nullopt;
  constexpr double kMost = 65'536;
  return static_cast<std::uint32_t>(std::ceil(std::min(*least, kMost)));
}

std::uint32_t usable_cpus() {
  const std::uint32_t cpus = std::max<std::uint32_t>(1, affinity());
  return std::min(cpus, cpu_quota().value_or(cpus));
}

}  // namespace weir
