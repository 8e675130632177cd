#include "tests/support/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>

namespace weir::test {
namespace {

constexpr std::uint32_t kNumberOffset = offsetof(seccomp_data, nr);

constexpr std::uint32_t argument_offset(int index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) +
                                    static_cast<std::size_t>(index) * sizeof(std::uint64_t));
}

}  // namespace

bool refuse_system_call(int number, int error, int argument, int fd) {
  const auto code = static_cast<std::uint32_t>(number);
  // Little-endian: the lower half of an argument comes first. Without one, its comparison is with itself.
  const bool any = argument < 0;
  sock_filter program[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, kNumberOffset},
                           {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, code},
                           {BPF_LD | BPF_W | BPF_ABS, 0, 0, any ? kNumberOffset : argument_offset(argument)},
                           {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, any ? code : static_cast<std::uint32_t>(fd)},
                           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)},
                           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace weir::test
