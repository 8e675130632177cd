#include "lb/proxy/endings.h"

namespace weir {

std::optional<End> end_of(Act act) {
  switch (act) {
    case Act::ResetBackend:
    case Act::EndClientReset:
      return End::ClientReset;
    case Act::ResetClient:
    case Act::EndBackendReset:
      return End::BackendReset;
    case Act::EndDone:
      return End::Done;
    default:
      return std::nullopt;
  }
}

}  // namespace weir
