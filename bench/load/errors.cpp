#include "bench/load/errors.h"

#include <cerrno>

namespace weir::load {

ErrorKind kind_of_errno(int code, bool connecting) {
  switch (code) {
    case ECONNREFUSED:
    case ENOENT:  // a unix path that is not there
      return ErrorKind::ConnectRefused;
    case EADDRNOTAVAIL:
      return ErrorKind::NoSourcePort;
    case EMFILE:
    case ENFILE:
      return ErrorKind::NoDescriptor;
    case ETIMEDOUT:
      return connecting ? ErrorKind::ConnectTimeout : ErrorKind::Timeout;
    case ECONNRESET:
    case EPIPE:
      return ErrorKind::Reset;
    default:
      return connecting ? ErrorKind::ConnectFailed : ErrorKind::Other;
  }
}

}  // namespace weir::load
