#include "lb/observe/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "lb/observe/metric_list.h"

namespace weir {
namespace {

/// Of /proc/self/stat (proc_pid_stat(5)), the field of that number, counted from 1; 0 when it is not there.
std::uint64_t stat_field(const std::string& stat, int number) {
  // The name, the second one, may have blanks in it.
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(stat.substr(name_end + 1));
  std::string word;
  for (int field = 3; rest >> word; ++field)
    if (field == number) return std::strtoull(word.c_str(), nullptr, 10);
  return 0;
}

double start_time(const std::string& stat) {
  std::ifstream boot("/proc/stat");
  std::uint64_t booted = 0;
  for (std::string line; std::getline(boot, line);)
    if (line.starts_with("btime ")) booted = std::strtoull(line.c_str() + 6, nullptr, 10);
  return static_cast<double>(booted) +
         static_cast<double>(stat_field(stat, 22)) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

void write_process(Exposition& text) {
  std::ifstream file("/proc/self/stat");
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const auto gauge = [&](const MetricFamily& family, std::uint64_t value) {
    text.begin(family);
    text.sample({}, value);
  };
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  text.begin(metrics::kCpuSeconds);
  text.sample({}, seconds(used.ru_utime) + seconds(used.ru_stime));
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (!error)
    gauge(metrics::kOpenFds, static_cast<std::uint64_t>(std::distance(begin(descriptors), end(descriptors))));
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  gauge(metrics::kMaxFds, limit.rlim_cur);
  gauge(metrics::kVirtualBytes, stat_field(stat, 23));
  gauge(metrics::kResidentBytes, stat_field(stat, 24) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  text.begin(metrics::kStartTime);
  text.sample({}, start_time(stat));
}

}  // namespace weir
