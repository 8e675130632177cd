#include "lb/base/log.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <iterator>

namespace weir {

std::string quoted(std::string_view text) {
  const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '='; };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c < ' ' || c >= 0x7f)
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out += '"';
}

std::optional<std::chrono::system_clock::time_point> parse_time(const std::string& text) {
  // 64 bits of nanoseconds, as the system's clock has them, end in 2262.
  constexpr int kFirstYear = 1970, kLastYear = 2261;
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr || parts.tm_year < kFirstYear - 1900 || parts.tm_year > kLastYear - 1900)
    return std::nullopt;
  double fraction = 0;
  if (*rest == '.') {
    const auto [end, error] =
        std::from_chars(rest, text.c_str() + text.size(), fraction, std::chars_format::fixed);
    if (error != std::errc()) return std::nullopt;
    rest = end;
  }
  if (std::string_view(rest) != "Z") return std::nullopt;
  const auto millis = std::chrono::milliseconds(std::lround(fraction * 1000));
  return std::chrono::system_clock::from_time_t(::timegm(&parts)) + millis;
}

std::string format_time(std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<milliseconds>(time - day));
  return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z"), static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace weir
