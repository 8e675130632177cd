#include "lb/net/descriptor_limit.h"

#include <sys/resource.h>

#include <atomic>

namespace weir {

namespace {

std::atomic<std::uint64_t> g_first_limit{0};  // 0: not known yet

}  // namespace

std::uint64_t first_descriptor_limit() {
  const std::uint64_t first = g_first_limit.load();
  return first != 0 ? first : descriptor_limit();
}

void set_first_descriptor_limit(std::uint64_t limit) {
  g_first_limit.store(limit);
}

std::uint64_t descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::uint64_t hard_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  std::uint64_t unknown = 0;
  g_first_limit.compare_exchange_strong(unknown, limit.rlim_cur);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace weir
