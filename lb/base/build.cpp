#include "lb/base/build.h"

namespace weir {

const Build kBuild{.version = WEIR_VERSION,
                   .commit = WEIR_COMMIT,
                   .date = WEIR_DATE,
                   .config_file = WEIR_SYSCONFDIR "/weir/weir.toml"};

}  // namespace weir
