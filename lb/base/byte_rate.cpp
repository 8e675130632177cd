#include "lb/base/byte_rate.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace weir {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr Unit kUnits[] = {{"GiB", 1 << 30}, {"GB", 1'000'000'000}, {"MiB", 1 << 20}, {"MB", 1'000'000},
                           {"KiB", 1 << 10}, {"KB", 1'000},         {"B", 1}};

}  // namespace

Result<std::uint64_t> parse_byte_rate(std::string_view text) {
  if (text == "0") return 0;
  double number = 0;
  const auto [end, status] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& known : kUnits) {
    if (status != std::errc() || unit != known.name || text.front() < '0' || text.front() > '9') continue;
    const double bytes = number * static_cast<double>(known.bytes);
    if (bytes < static_cast<double>(kMinByteRate) || bytes > static_cast<double>(kMaxByteRate))
      return fail(fmt::format("\"{}\" must be {} to {} a second, or \"0\" for no limit", text,
                              format_byte_rate(kMinByteRate), format_byte_rate(kMaxByteRate)));
    return static_cast<std::uint64_t>(std::llround(bytes));
  }
  return fail(
      fmt::format("\"{}\" is no number of bytes a second: write KB, MB or GB (of 1000), KiB, MiB or GiB (of "
                  "1024) behind it, "
                  "like \"500KB\", or \"0\" for no limit",
                  text));
}

std::string format_byte_rate(std::uint64_t bytes_per_second) {
  if (bytes_per_second == 0) return "0";
  for (const Unit& unit : kUnits)
    if (bytes_per_second % unit.bytes == 0)
      return fmt::format("{}{}", bytes_per_second / unit.bytes, unit.name);
  return fmt::format("{}B", bytes_per_second);
}

}  // namespace weir
