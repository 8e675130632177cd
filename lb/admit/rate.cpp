#include "lb/admit/rate.h"

#include <fmt/format.h>

#include <charconv>

namespace weir {

Result<Rate> parse_rate(std::string_view text, std::uint32_t burst) {
  if (burst > kMaxRateNumber) return fail(fmt::format("a burst of {} is over {}", burst, kMaxRateNumber));
  if (text.empty()) return Rate();
  const auto slash = text.find('/');
  const std::string_view number = text.substr(0, slash);
  const std::string_view unit = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  std::uint32_t count = 0;
  const auto [end, status] = std::from_chars(number.data(), number.data() + number.size(), count);
  Rate::Time period{0};
  if (unit == "s") period = std::chrono::seconds(1);
  if (unit == "m") period = std::chrono::minutes(1);
  if (unit == "h") period = std::chrono::hours(1);
  const bool is_number = status == std::errc{} && end == number.data() + number.size();
  if (!is_number || period.count() == 0)
    return fail(fmt::format("\"{}\" is no rate: write a number and /s, /m or /h, like \"20/s\"", text));
  if (count == 0 || count > kMaxRateNumber)
    return fail(
        fmt::format("\"{}\" is no rate: the number is 1 to {}; \"\" is no limit", text, kMaxRateNumber));
  const auto a_second = static_cast<std::uint32_t>(count * std::uint64_t{std::nano::den} /
                                                   static_cast<std::uint64_t>(period.count()));
  return Rate{period / count, burst != 0 ? burst : std::max(1u, a_second)};
}

bool TokenBucket::take(const Rate& rate, Rate::Time now) {
  if (!rate.is_limited()) return true;
  std::int64_t full_at = full_at_.load(std::memory_order_relaxed);
  for (;;) {
    const auto then = rate.take(Rate::Time(full_at), now);
    if (!then) return false;
    if (full_at_.compare_exchange_weak(full_at, then->count(), std::memory_order_relaxed)) return true;
  }
}

}  // namespace weir
