#pragma once

#include "lb/observe/exposition.h"

namespace weir {

/// What the kernel says of this process: the process_* metrics. Counts the open descriptors one by one: some
/// ms where there are ten thousands. Any thread.
void write_process(Exposition& text);

}  // namespace weir
