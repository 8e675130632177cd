#include "lb/admit/network.h"

#include "lb/admit/network_file.h"
#include "lb/admit/network_set.h"
#include "lb/admit/rate.h"
#include "lb/admit/routes.h"
#include "tests/fuzz/input.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Exact all(data, size);
  const std::string_view text = text_of(all.bytes());

  if (const auto network = Network::parse(text)) {
    const auto again = Network::parse(network->to_string());
    WEIR_CHECK(again.has_value() && *again == *network);
    WEIR_CHECK(network->to_string() == again->to_string());
  }
  const NetworkFile file = parse_network_file(text);
  WEIR_CHECK(file.faults.size() <= kMaxNetworkFaults + 1);
  const NetworkSet set(file.networks);
  for (const Network& network : file.networks) {
    const std::string shown = network.to_string();
    const auto first = ClientAddress::parse_ip(shown.substr(0, shown.find('/')));
    const auto found = set.find(first ? *first : ClientAddress());
    WEIR_CHECK(found && file.networks[*found].bits() >= network.bits());
  }
  if (const auto pattern = parse_name_pattern(text)) {
    const Routes routes({RouteTerms{.names = {*pattern}, .protocols = {}, .clients = {}}});
    const std::string name = pattern->starts_with('*') ? "a" + pattern->substr(1) : *pattern;
    if (name.size() <= 253) WEIR_CHECK(routes.find(ClientAddress(), name, text).has_value());
  }
  if (const auto rate = parse_rate(text, 0)) WEIR_CHECK(rate->burst >= 1);
  return 0;
}
