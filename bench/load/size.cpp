#include "bench/load/size.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace weir::load {

namespace {

// 0: no such unit.
double factor_of(std::string_view unit) {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"", 1},         {"k", 1e3},     {"K", 1e3},
                                                            {"M", 1e6},      {"G", 1e9},     {"Ki", 1 << 10},
                                                            {"Mi", 1 << 20}, {"Gi", 1 << 30}};
  for (const auto& [name, factor] : kUnits)
    if (name == unit) return factor;
  return 0;
}

}  // namespace

Result<double> parse_size(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const double factor = factor_of({rest, static_cast<std::size_t>(end - rest)});
  const double size = number * factor;
  constexpr double kMost = 1125899906842624;  // 2^50
  // Written so that "nan", which from_chars knows, fails too.
  if (error != std::errc() || factor == 0 || !(size >= 1 && size <= kMost))
    return fail(fmt::format("\"{}\" is not a size (a number, and perhaps one of k M G Ki Mi Gi)", text));
  return size;
}

}  // namespace weir::load
