#include "lb/admit/network_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {
namespace {

constexpr std::string_view kBlanks = " \t\r";
/// Of a line that is repeated in a message: the longest network has 49.
constexpr std::size_t kShownBytes = 60;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

NetworkFile parse_network_file(std::string_view text) {
  NetworkFile file;
  std::size_t untold = 0;
  std::size_t first_untold = 0;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view written = trimmed(whole.substr(0, whole.find('#')));
    if (written.empty()) continue;
    const auto network = Network::parse(written.substr(0, kShownBytes));
    if (network) {
      file.networks.push_back(*network);
    } else if (file.faults.size() < kMaxNetworkFaults) {
      file.faults.push_back({line, network.error().message});
    } else if (untold++ == 0) {
      first_untold = line;
    }
  }
  if (untold > 0)
    file.faults.push_back({first_untold, fmt::format("this line and {} more are wrong, too", untold - 1)});
  return file;
}

}  // namespace weir
