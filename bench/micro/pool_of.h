#pragma once

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

#include "lb/balance/table.h"

namespace weir {

/// `count` backends that are up, of equal or random weights (the same ones every time).
inline std::vector<Backend> backends_of(std::int64_t count, bool random_weights) {
  std::mt19937 random(1);  // NOLINT: the same weights every time
  std::vector<Backend> backends;
  for (std::int64_t i = 0; i < count; ++i) {
    Backend backend;
    backend.name = fmt::format("backend-{}", i);
    backend.endpoint.text = fmt::format("10.0.{}.{}:8080", i / 256, i % 256);
    backend.endpoint.address = *Address::parse_ip_port(backend.endpoint.text);
    backend.addresses.push_back(*backend.endpoint.address);
    backend.weight = random_weights ? 1 + static_cast<std::uint32_t>(random()) % 256 : 1;
    backend.configured_weight = backend.weight;
    backend.health = Health::Up;
    backend.reason = "probe passed (tcp, 0.4 ms)";
    backend.load = std::make_shared<BackendLoad>(static_cast<BackendId>(i + 1), "web", backend.name,
                                                 backend.endpoint.text, 2);
    backends.push_back(std::move(backend));
  }
  return backends;
}

inline PoolSettings settings_of(const std::string& balance) {
  PoolSettings settings;
  settings.name = "web";
  settings.balance = balance;
  return settings;
}

}  // namespace weir
