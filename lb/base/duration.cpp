#include "lb/base/duration.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace weir {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t millis;
};
constexpr Unit kUnits[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  const auto unit_at = text.find_first_not_of("0123456789.");
  const std::string_view digits = text.substr(0, unit_at);
  const std::string_view unit = unit_at == std::string_view::npos ? std::string_view{} : text.substr(unit_at);
  double value = 0;
  const auto [end, status] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  const bool number = !digits.empty() && digits.front() != '.' && digits.back() != '.' &&
                      status == std::errc{} && end == digits.data() + digits.size();
  if (!number || text.empty())
    return fail(
        fmt::format("\"{}\" is not a duration: a number and a unit (ms, s, m, h), like \"1.5s\"", text));
  if (unit.empty()) return fail(fmt::format("\"{}\" has no unit (ms, s, m, h)", text));
  for (const Unit& known : kUnits) {
    if (known.name != unit) continue;
    const double millis = value * static_cast<double>(known.millis);
    if (millis > static_cast<double>(kMaxDuration.count()))
      return fail(fmt::format("\"{}\" is too long: at most {}", text, format_duration(kMaxDuration)));
    if (millis > 0 && millis < 0.5) return Millis(1);
    return Millis(std::llround(millis));
  }
  return fail(fmt::format("\"{}\" has an unknown unit \"{}\" (ms, s, m, h)", text, unit));
}

std::string format_duration(Millis duration) {
  const std::int64_t millis = duration.count();
  if (millis == 0) return "0s";
  for (const Unit& unit : kUnits)
    if (millis % unit.millis == 0) return fmt::format("{}{}", millis / unit.millis, unit.name);
  return fmt::format("{}ms", millis);
}

}  // namespace weir
