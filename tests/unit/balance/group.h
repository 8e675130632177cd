#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lb/balance/table.h"

namespace weir {

/// A pool under construction: backends that are up, to be changed by name and built again and again.
class Group {
 public:
  explicit Group(std::string balance) { settings.balance = std::move(balance); }
  Group(std::string balance, const std::vector<std::pair<std::string, std::uint32_t>>& members)
      : Group(std::move(balance)) {
    for (const auto& [name, weight] : members) add(name, weight);
  }

  Backend& add(const std::string& name, std::uint32_t weight = 1, bool backup = false) {
    Backend backend;
    backend.name = name;
    backend.addresses.push_back(*Address::parse_ip_port("10.0.0.1:80"));
    backend.weight = weight;
    backend.configured_weight = weight;
    backend.backup = backup;
    backend.health = Health::Up;
    backend.reason = "probe passed";
    backend.load = std::make_shared<BackendLoad>(next_id_++, "web", name, "10.0.0.1:80", 1, queue);
    backends.push_back(std::move(backend));
    return backends.back();
  }

  Backend& operator[](std::string_view name) {
    for (Backend& backend : backends) {
      if (backend.name == name) return backend;
    }
    throw std::out_of_range(std::string(name));
  }

  /// The next version, from the one before.
  const Pool& build() {
    pool = Pool::build(settings, backends, pool.get(), queue);
    return *pool;
  }
  /// How many sessions it may have; to be built.
  void limit(std::string_view name, std::uint32_t most) {
    Backend& backend = (*this)[name];
    backend.max_sessions = most;
    backend.load->set_max_sessions(most);
  }
  /// It has that many more.
  void fill(std::string_view name, int sessions) {
    while (sessions-- > 0) held_.push_back(std::make_shared<Lease>(Lease::take((*this)[name].load)));
  }
  void set(std::string_view name, Health health) {
    (*this)[name].health = health;
    build();
  }

  /// The names picked for short sessions, one after another, as one word.
  std::string picks(int count, const PickInput& input = {}) const {
    std::string names;
    for (int i = 0; i < count; ++i) {
      const Backend* backend = pool->pick(input);
      names += backend != nullptr ? backend->name : "-";
    }
    return names;
  }
  std::map<std::string, int> counts(int count) const {
    std::map<std::string, int> result;
    for (int i = 0; i < count; ++i) ++result[pool->pick({})->name];
    return result;
  }

  PoolSettings settings;
  std::vector<Backend> backends;
  std::shared_ptr<PoolLoad> queue = std::make_shared<PoolLoad>(1, "web");
  std::shared_ptr<const Pool> pool;

 private:
  std::vector<std::shared_ptr<const Lease>> held_;
  BackendId next_id_ = 100;  // ids are not indices
};

inline ClientAddress client_number(std::uint32_t n) {
  return *ClientAddress::parse_ip(fmt::format("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255));
}

}  // namespace weir
