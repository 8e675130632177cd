#pragma once

#include <sys/types.h>

#include "lb/base/error.h"
#include "lb/base/fd.h"

namespace weir {

// As process 1 of a container Weir is two processes. The first one stays: when it ends, the kernel ends all
// the others, so it must outlive every upgrade, and it must reap whatever is orphaned. It does only that,
// passes signals on to the process that serves, and ends as that one does when no process of Weir is left.
// The second one serves. (Serving in the first one and replacing it by exec would end the sessions that an
// upgrade leaves to the old process.)

/// To be called by process 1 before it has a thread or a descriptor that matters. Returns in the second
/// process only: a descriptor on which it is to say when it serves. All processes of Weir hold it; no other
/// does.
Result<Fd> split_off_first_process();

/// This process serves now: signals come to it from here on. No-op when there is no descriptor.
void tell_first_process(const Fd& fd);

/// A process of Weir has ended so, and this one, its parent, has reaped it. No-op when there is no
/// descriptor.
void tell_first_process_of_end(const Fd& fd, pid_t pid, int exit_status);

}  // namespace weir
