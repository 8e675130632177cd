#include "lb/daemon/check.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "lb/base/counted.h"
#include "lb/cli/exit_status.h"
#include "lb/config/fault_json.h"

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

struct Contents {
  std::size_t listeners = 0;
  std::size_t pools = 0;
  std::size_t backends = 0;
};

Contents contents_of(const Config& config) {
  Contents out{config.listeners.size(), config.pools.size(), 0};
  for (const PoolConfig& pool : config.pools) out.backends += pool.backends.size();
  return out;
}

void print_json(const std::string& path, const LoadResult& result) {
  Json out{{"valid", result.config != nullptr}, {"file", path}};
  if (result.config != nullptr) {
    const Contents contents = contents_of(*result.config);
    out["listeners"] = contents.listeners;
    out["pools"] = contents.pools;
    out["backends"] = contents.backends;
  }
  out["faults"] = json_of(result.faults, path);
  out["warnings"] = json_of(result.warnings, path);
  std::printf("%s\n", out.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

}  // namespace

LoadResult load_or_complain(const std::string& path, const LoadOptions& options) {
  LoadResult result = load_config(path, options);
  for (const Fault& fault : result.faults) std::fprintf(stderr, "%s\n", fault.to_string(path).c_str());
  if (!result.config) return result;
  for (const Fault& warning : result.warnings)
    std::fprintf(stderr, "%s (warning)\n", warning.to_string(path).c_str());
  return result;
}

int check_file(const std::string& path, bool json, const LoadOptions& options) {
  const LoadResult result = load_or_complain(path, options);
  if (json) {
    print_json(path, result);
  } else if (result.config != nullptr) {
    const Contents contents = contents_of(*result.config);
    std::printf("%s: fine: %s, %s, %s\n", path.c_str(), counted(contents.listeners, "listener").c_str(),
                counted(contents.pools, "pool").c_str(), counted(contents.backends, "backend").c_str());
  }
  return result.config != nullptr ? kExitDone : kExitFailed;
}

}  // namespace weir
