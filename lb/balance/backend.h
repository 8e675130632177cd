#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lb/base/address.h"
#include "lb/base/state.h"

namespace weir {

/// A backend's identity for the life of the process: unique over all pools, never reused.
using BackendId = std::uint32_t;

/// A backend's place in its Pool's `backends`. Means nothing in another version of that pool.
using BackendIndex = std::uint32_t;

/// Totals that one worker keeps for one backend. Only that worker writes (plain load, add, store); anyone
/// reads.
struct alignas(64) WorkerTotals {
  std::atomic<std::uint64_t> sessions{0};  ///< sessions connected to this backend
  std::atomic<std::uint64_t> connect_failures{0};
  std::atomic<std::uint64_t> bytes_to_backend{0};
  std::atomic<std::uint64_t> bytes_to_client{0};

  static void add(std::atomic<std::uint64_t>& total, std::uint64_t n) {
    total.store(total.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
};

/// Who a backend is and how busy it is. Outlives every Table: sessions and access-log records hold it by
/// shared_ptr. The names never change; a backend whose address changes gets a new BackendLoad. Thread-safe.
class BackendLoad {
 public:
  BackendLoad(BackendId own_id, std::string pool_name, std::string own_name, std::string own_address,
              std::uint32_t workers)
      : id(own_id),
        pool(std::move(pool_name)),
        name(std::move(own_name)),
        address(std::move(own_address)),
        per_worker(workers) {}

  const BackendId id;
  const std::string pool;
  const std::string name;
  const std::string address;  ///< as the configuration writes it
  std::vector<WorkerTotals> per_worker;

  /// Sessions picked and not yet ended, connecting ones included. Written through Lease only. On a cache
  /// line apart from all that is only read.
  alignas(64) std::atomic<std::uint32_t> active{0};
  /// Passive health. Connects failed since the last one that worked, over all workers.
  std::atomic<std::uint32_t> failures_in_a_row{0};
  /// Set by the worker that reports a change of failures_in_a_row, cleared by the reader before it looks: one
  /// report at a time is under way, however many connects fail.
  std::atomic<bool> report_pending{false};
  /// While Backend::on_trial: taken by the one session that tries the backend.
  std::atomic<bool> trial_taken{false};
};

/// Counts one session on its backend from the pick until it ends, however it ends. A move-only value.
class Lease {
 public:
  Lease() = default;
  explicit Lease(std::shared_ptr<BackendLoad> load) : load_(std::move(load)) {
    load_->active.fetch_add(1, std::memory_order_relaxed);
  }
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      release();
      load_ = std::move(other.load_);
    }
    return *this;
  }
  ~Lease() { release(); }

  /// Ends the count and hands the identity on (to the access log). Null when there was none.
  std::shared_ptr<BackendLoad> release() {
    if (load_) load_->active.fetch_sub(1, std::memory_order_relaxed);
    return std::move(load_);
  }
  BackendLoad* get() const { return load_.get(); }
  const std::shared_ptr<BackendLoad>& load() const { return load_; }
  explicit operator bool() const { return load_ != nullptr; }

 private:
  std::shared_ptr<BackendLoad> load_;
};

/// One backend as one version of its pool sees it. Never changed once published.
struct Backend {
  std::string name;
  Endpoint endpoint;
  std::vector<Address>
      addresses;             ///< what to connect to, in this order; empty while a host name does not resolve
  std::uint32_t weight = 1;  ///< in force
  std::uint32_t configured_weight = 1;
  bool backup = false;
  Admin admin = Admin::Enabled;
  Health health = Health::Unknown;
  bool on_trial =
      false;  ///< back from a passive ejection: one session alone may try it (BackendLoad::trial_taken)
  bool used_although_down = false;    ///< on_all_down = "try_all" is in force; set by Pool::build alone
  std::uint32_t share_percent = 100;  ///< slow start: the part of its weight it gets, 1..100
  std::string reason;                 ///< of its health, as a sentence for the operator
  std::chrono::system_clock::time_point since{};  ///< when `health` became what it is
  /// Another one each time its health is forgotten: what was known of an earlier one is void.
  std::uint64_t life = 0;
  std::shared_ptr<BackendLoad> load;

  BackendId id() const { return load->id; }

  /// May get new sessions. The only place where the operator's word and the checker's meet.
  bool eligible() const {
    return admin == Admin::Enabled && (health == Health::Up || used_although_down) && !addresses.empty();
  }
};

}  // namespace weir
