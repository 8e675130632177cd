#include "lb/config/value_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "lb/base/address.h"
#include "lb/base/duration.h"

namespace weir {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t millis;
};
constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};

constexpr std::uint64_t kMostPort = 65'535;
constexpr std::string_view kIpv4 = R"([0-9]{1,3}(?:\.[0-9]{1,3}){3})";
constexpr std::string_view kIpv6 = R"([0-9A-Fa-f:.]+)";
constexpr std::string_view kZone = R"((?:%[^\]%\s]+)?)";

std::string digits(std::size_t count) {
  if (count == 0) return "";
  return count == 1 ? "[0-9]" : fmt::format("[0-9]{{{}}}", count);
}

/// Matches 1 to `bound` - 1 in decimal.
std::string one_to_below(std::uint64_t bound) {
  const std::string text = std::to_string(bound);
  std::vector<std::string> ways;
  if (text.size() > 1) ways.push_back(fmt::format("[1-9][0-9]{{0,{}}}", text.size() - 2));
  // As many digits: the same ones up to some place, where there is a smaller one.
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char first = i == 0 ? '1' : '0';
    if (text[i] <= first) continue;
    ways.push_back(fmt::format("{}[{}-{}]{}", text.substr(0, i), first, static_cast<char>(text[i] - 1),
                               digits(text.size() - i - 1)));
  }
  return fmt::format("{}", fmt::join(ways, "|"));
}

std::string durations() {
  std::vector<std::string> ways;
  for (const Unit& unit : kUnits) {
    const auto most = static_cast<std::uint64_t>(kMaxDuration.count() / unit.millis);
    ways.push_back(
        fmt::format(R"((?:0*(?:0|{})(?:\.[0-9]+)?|0*{}(?:\.0+)?){})", one_to_below(most), most, unit.name));
  }
  return fmt::format("{}", fmt::join(ways, "|"));
}

/// Of a file, not of a directory.
std::string path_up_to(std::size_t bytes) {
  return fmt::format(R"(/[\s\S]{{0,{}}}[^/])", bytes - 2);
}

std::string addresses(std::string_view v4_or_name) {
  return fmt::format(R"(unix:(?:{}|@[\s\S]{{1,{}}})|(?:{}|\[{}{}\]):0*(?:{}))", path_up_to(kMaxUnixPath),
                     kMaxUnixPath, v4_or_name, kIpv6, kZone, one_to_below(kMostPort + 1));
}

}  // namespace

bool is_string(ValueType type) {
  return type != ValueType::Integer && type != ValueType::Boolean && type != ValueType::Bound &&
         type != ValueType::Table && type != ValueType::Tables;
}

std::span<const std::string_view> words_of(const Value& value, const KnownKinds& kinds) {
  if (value.type == ValueType::Balancer) return kinds.balancers;
  if (value.type == ValueType::Probe) return kinds.probes;
  return {std::begin(value.words), std::ranges::find(value.words, "")};
}

std::string placeholder_of(const Value& value, std::span<const std::string_view> words) {
  const auto name = [&]() -> std::string_view {
    switch (value.type) {
      case ValueType::Duration:
        return "DURATION";
      case ValueType::Name:
        return "NAME";
      case ValueType::Mode:
        return "MODE";
      case ValueType::Path:
      case ValueType::SocketPath:
      case ValueType::HttpPath:
        return "PATH";
      case ValueType::LogTarget:
        return "off|stdout|PATH|syslog:[PATH]";
      case ValueType::DaemonLogTarget:
        return "stderr|syslog:[PATH]";
      case ValueType::Sample:
        return "1/N";
      case ValueType::Bind:
      case ValueType::WebBind:
      case ValueType::Address:
        return "ADDRESS";
      case ValueType::Ip:
        return "IP";
      case ValueType::Network:
        return "NETWORK";
      case ValueType::Rate:
        return "RATE";
      case ValueType::ByteRate:
        return "BYTES";
      case ValueType::HttpHost:
      case ValueType::ServerName:
        return "HOST";
      case ValueType::Statuses:
        return "STATUS";
      case ValueType::Program:
        return "PROGRAM";
      case ValueType::Account:
      case ValueType::Login:
      case ValueType::Database:
      case ValueType::CongestionControl:
        return "NAME";
      case ValueType::File:
      case ValueType::NetworkFile:
      case ValueType::TokenFile:
        return "PATH";
      default:
        return "TEXT";
    }
  }();
  if (value.type == ValueType::Integer && value.shape == Shape::List)
    return fmt::format("[{} to {}, ...]", value.least, value.most);
  if (value.type == ValueType::Integer) return fmt::format("{} to {}", value.least, value.most);
  if (value.type == ValueType::Boolean) return "true or false";
  if (value.type == ValueType::Bound) return fmt::format("0, or {} to {}", kLeastBound, kMostBound);
  if (!words.empty()) return fmt::format("\"{}\"", fmt::join(words, "\" | \""));
  if (value.shape == Shape::List) return fmt::format("[\"{}\", ...]", name);
  if (value.shape == Shape::OneOrMore || value.shape == Shape::AnyNumber)
    return fmt::format("\"{0}\" or [\"{0}\", ...]", name);
  return fmt::format("\"{}\"", name);
}

std::string pattern_of(ValueType type) {
  switch (type) {
    case ValueType::Duration:
      return durations();
    case ValueType::Filled:
    case ValueType::Account:
      return R"([\s\S]+)";
    case ValueType::Name:
      return R"([A-Za-z0-9._:\[\]-]{1,128})";
    case ValueType::Mode:
      return "0?[0-7]{3}";
    case ValueType::Path:
      return R"((?:/[\s\S]*[^/])?)";
    case ValueType::SocketPath:
      return fmt::format("(?:{})?", path_up_to(kMaxUnixPath));
    case ValueType::LogTarget:
      return fmt::format(R"(off|stdout|/[\s\S]*[^/]|syslog:(?:{})?)", path_up_to(kMaxUnixPath));
    case ValueType::DaemonLogTarget:
      return fmt::format("stderr|syslog:(?:{})?", path_up_to(kMaxUnixPath));
    case ValueType::Sample:
      return "1/0*[1-9][0-9]{0,5}";
    case ValueType::Bind:
      return addresses(kIpv4);
    case ValueType::WebBind:
      return fmt::format("(?:{})?", addresses(kIpv4));
    case ValueType::Address:
      return addresses("[A-Za-z0-9_][A-Za-z0-9._-]{0,252}");
    case ValueType::Ip:
      return fmt::format("{}|{}", kIpv4, kIpv6);
    case ValueType::Network:
      return fmt::format("unix|{}(?:/0*(?:[0-9]|[12][0-9]|3[0-2]))?|{}(?:/[0-9]{{1,3}})?", kIpv4,
                         "[0-9A-Fa-f]*:[0-9A-Fa-f:.]*");
    case ValueType::Rate:
      return "(?:0*[1-9][0-9]{0,6}/[smh])?";
    case ValueType::ByteRate:
      return R"(0|[0-9]+(?:\.[0-9]*)?(?:B|[KMG]i?B))";
    case ValueType::ServerName:
      return R"(\*|(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9._-]{0,252})";
    case ValueType::Protocol:
      return R"([\s\S]{1,255})";
    case ValueType::HttpPath:
      return R"(/[^\u0000-\u0020\u007f]*)";
    case ValueType::HttpHost:
      return R"([^\u0000-\u0020\u007f]*)";
    case ValueType::Statuses:
      return R"( *0*[1-5][0-9]{2} *(?:- *0*[1-5][0-9]{2} *)?(?:, *0*[1-5][0-9]{2} *(?:- *0*[1-5][0-9]{2} *)?)*)";
    case ValueType::Program:
    case ValueType::File:
    case ValueType::NetworkFile:
      return R"(/[\s\S]*)";
    case ValueType::TokenFile:
      return R"((?:/[\s\S]*)?)";
    case ValueType::CongestionControl:
      return "[A-Za-z0-9_-]{0,15}";
    case ValueType::Login:
      return R"([^\u0000-\u001f\u007f]{1,128})";
    case ValueType::Database:
      return R"([^\u0000-\u001f\u007f]{0,128})";
    default:
      return "";
  }
}

}  // namespace weir
