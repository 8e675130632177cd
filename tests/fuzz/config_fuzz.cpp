#include "lb/balance/balancer.h"
#include "lb/config/load.h"
#include "lb/control/config_difference.h"
#include "tests/fuzz/input.h"

using namespace weir;

namespace {

LoadOptions options() {
  LoadOptions out;
  for (const BalancerKind& kind : balancer_kinds()) out.kinds.balancers.push_back(kind.name);
  out.kinds.probes = {"tcp", "http", "expect", "postgres", "mysql", "redis", "smtp", "tls", "exec", "none"};
  out.descriptor_limit = 20'000;
  out.environment = [](std::string_view) { return std::nullopt; };
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const LoadOptions kOptions = options();
  const fuzz::Exact all(data, size);
  const std::string_view text = text_of(all.bytes());
  // A file that names another one would have it read.
  if (text.find("_file") != std::string_view::npos) return 0;
  const LoadResult result = parse_config(text, "f", kOptions);
  WEIR_CHECK((result.config == nullptr) == !result.faults.empty());
  WEIR_CHECK(result.faults.size() <= LoadResult::kMostFaults + 1);
  for (const auto* list : {&result.faults, &result.warnings})
    for (const Fault& fault : *list) {
      WEIR_CHECK(!fault.message.empty());
      WEIR_CHECK(fault.to_string("f").find('\n') == std::string::npos);
    }
  if (result.config == nullptr) return 0;
  // The same text is the same configuration, of which nothing differs.
  const LoadResult again = parse_config(text, "f", kOptions);
  WEIR_CHECK(again.config != nullptr);
  WEIR_CHECK(global_differences(*result.config, *again.config).empty());
  for (std::size_t i = 0; i < result.config->pools.size(); ++i)
    WEIR_CHECK(difference_of(result.config->pools[i], again.config->pools[i]).empty());
  for (std::size_t i = 0; i < result.config->listeners.size(); ++i)
    WEIR_CHECK(difference_of(result.config->listeners[i], again.config->listeners[i]).empty());
  return 0;
}
