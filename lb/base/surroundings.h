#pragma once

namespace weir {

/// Opens those of the descriptors 0 to 2 that whoever started this process has left closed, so that no socket
/// or file gets their numbers: reading from one and writing to one fails as it would have. To be called
/// before anything is opened.
void open_standard_descriptors();

/// For a daemon: signals are unblocked and mean what they mean by default, and files are for their owner to
/// read and write at least, and for others to write never, whatever whoever started it had set.
void forget_inherited_settings();

}  // namespace weir
