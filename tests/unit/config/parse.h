#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "lb/config/load.h"

namespace weir::test {

inline LoadOptions default_options() {
  LoadOptions options;
  options.kinds.balancers = {"round_robin", "least_connections", "source_hash"};
  options.kinds.probes = {"tcp",   "http", "expect", "postgres", "mysql",
                          "redis", "smtp", "tls",    "exec",     "none"};
  options.descriptor_limit = 20'000;
  options.environment = [](std::string_view) { return std::nullopt; };
  return options;
}

inline LoadOptions options_with(std::map<std::string, std::string, std::less<>> environment) {
  LoadOptions options = default_options();
  options.environment = [environment =
                             std::move(environment)](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  return options;
}

inline std::string all_of(const std::vector<Fault>& faults) {
  std::string text;
  for (const Fault& fault : faults) text += fault.to_string("f") + "\n";
  return text;
}

inline LoadResult parse(std::string_view text, const LoadOptions& options = default_options()) {
  return parse_config(text, "f", options);
}

/// The configuration, which has no fault.
inline Config good(std::string_view text, const LoadOptions& options = default_options()) {
  const LoadResult result = parse(text, options);
  INFO(all_of(result.faults));
  REQUIRE(result.faults.empty());
  REQUIRE(result.config != nullptr);
  return *result.config;
}

/// Every fault, one line each.
inline std::string bad(std::string_view text, const LoadOptions& options = default_options()) {
  const LoadResult result = parse(text, options);
  CHECK(result.config == nullptr);
  CHECK_FALSE(result.faults.empty());
  return all_of(result.faults);
}

// A valid file in parts, so that a test shows only what it is about: kListener takes lines 1 to 4, the pool
// begins on line 5.
inline const std::string kListener =
    "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:8080\"\npool = \"web\"\n";
inline const std::string kPool = "[[pool]]\nname = \"web\"\n";
inline const std::string kBackend = "[[pool.backend]]\naddress = \"10.0.0.1:80\"\n";

/// `lines` in the [[listener]] (from line 5), the [[pool]] (from line 7), its health (from line 8) or its
/// backend (from line 9).
inline std::string with_listener(const std::string& lines) {
  return kListener + lines + "\n" + kPool + kBackend;
}
inline std::string with_pool(const std::string& lines) {
  return kListener + kPool + lines + "\n" + kBackend;
}
inline std::string with_health(const std::string& lines) {
  return kListener + kPool + "[pool.health]\n" + lines + "\n" + kBackend;
}
inline std::string with_backend(const std::string& lines) {
  return kListener + kPool + kBackend + lines + "\n";
}
/// A whole backend on lines 9 and on.
inline std::string and_backend(const std::string& lines) {
  return kListener + kPool + kBackend + "[[pool.backend]]\n" + lines + "\n";
}
/// `lines` at the top, from line 1.
inline std::string with_root(const std::string& lines) {
  return lines + "\n" + kListener + kPool + kBackend;
}

}  // namespace weir::test
