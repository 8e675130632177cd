#pragma once

namespace weir::test {

/// From now on this system call fails with `error` in the calling thread, and in what it starts: as a sandbox
/// refuses it. Only with `fd` as its argument of that index (0 = the first), when one is given. For good.
/// Async-signal-safe. False when the kernel does not do it.
bool refuse_system_call(int number, int error, int argument = -1, int fd = -1);

}  // namespace weir::test
