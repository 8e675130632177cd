#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lb/balance/change_board.h"
#include "lb/balance/end_book.h"
#include "lb/balance/pool_load.h"
#include "lb/balance/smoothed_time.h"
#include "lb/base/address.h"
#include "lb/base/error.h"
#include "lb/base/state.h"
#include "lb/observe/amounts.h"
#include "lb/observe/histogram.h"

namespace weir {

/// A backend's identity for the life of the process: unique over all pools, never reused.
using BackendId = std::uint32_t;

/// A backend's place in its Pool's `backends`. Means nothing in another version of that pool.
using BackendIndex = std::uint32_t;

/// Totals that one thread keeps for one backend. Only that thread writes (plain load, add, store); anyone
/// reads.
struct alignas(64) WorkerTotals {
  std::atomic<std::uint64_t> sessions{0};  ///< sessions connected to this backend
  std::atomic<std::uint64_t> connect_failures{0};
  std::atomic<std::uint64_t> bytes_to_backend{0};
  std::atomic<std::uint64_t> bytes_to_client{0};
  /// How long connects took that worked, from the try to its end, and backends to their first byte to the
  /// client, from the accept. Made at the first; owned by the BackendLoad.
  std::atomic<TimeHistogram*> connect_times{nullptr};
  std::atomic<TimeHistogram*> first_byte_times{nullptr};
  /// How sessions with it have ended, by listener.
  EndBook ends;
  /// Of ended sessions that it had accepted: how long from the client's accept, and how many bytes both ways.
  /// Made at the first; owned by the BackendLoad.
  struct Ended {
    AmountHistogram<SpanBuckets> spans;  ///< µs
    AmountHistogram<SizeBuckets> sizes;
  };
  std::atomic<Ended*> ended{nullptr};

  Ended& make_ended() {
    Ended* all = ended.load(std::memory_order_relaxed);
    if (all == nullptr) ended.store(all = new Ended, std::memory_order_release);
    return *all;
  }

  static TimeHistogram& made(std::atomic<TimeHistogram*>& of) {
    TimeHistogram* times = of.load(std::memory_order_relaxed);
    if (times == nullptr) of.store(times = new TimeHistogram, std::memory_order_release);
    return *times;
  }
  static void record(std::atomic<TimeHistogram*>& of, std::chrono::microseconds took) {
    made(of).record(took);
  }
  static void add(std::atomic<std::uint64_t>& total, std::uint64_t n) {
    total.store(total.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
};

/// Who a backend is and how busy it is. Outlives every Table: sessions and access-log records hold it by
/// shared_ptr. The names never change; a backend whose address changes gets a new BackendLoad. Thread-safe.
class BackendLoad {
 public:
  /// `own_queue`: of its pool; null: nobody waits for it.
  BackendLoad(BackendId own_id, std::string pool_name, std::string own_name, std::string own_address,
              std::uint32_t workers, std::shared_ptr<PoolLoad> own_queue = nullptr)
      : id(own_id),
        queue(std::move(own_queue)),
        pool(std::move(pool_name)),
        name(std::move(own_name)),
        address(std::move(own_address)),
        per_worker(workers) {}
  ~BackendLoad() {
    const auto free = [](const WorkerTotals& totals) {
      delete totals.connect_times.load();
      delete totals.first_byte_times.load();
      delete totals.ended.load();
    };
    for (const WorkerTotals& totals : per_worker) free(totals);
    free(elsewhere);
    delete probes.times.load();
    delete probes_elsewhere.times.load();
  }
  BackendLoad(const BackendLoad&) = delete;
  BackendLoad& operator=(const BackendLoad&) = delete;

  const BackendId id;
  const std::shared_ptr<PoolLoad> queue;
  const std::string pool;
  const std::string name;
  const std::string address;  ///< as the configuration writes it
  std::vector<WorkerTotals> per_worker;
  WorkerTotals
      elsewhere;  ///< by other processes of this Weir, before and after an upgrade; the control thread's

  /// What its probes have found. One thread writes, anyone reads.
  struct Probes {
    std::atomic<std::uint64_t> passed{0}, failed{0};
    std::atomic<TimeHistogram*> times{
        nullptr};  ///< whatever they found; made at the first; owned by this load

    void count(bool has_passed, std::chrono::microseconds took) {
      WorkerTotals::add(has_passed ? passed : failed, 1);
      WorkerTotals::record(times, took);
    }
  };
  Probes probes;            ///< the checker's
  Probes probes_elsewhere;  ///< of other processes of this Weir; the control thread's

  void smooth_first_bytes() { smooths_first_bytes_.store(true, std::memory_order_relaxed); }
  void record_first_byte(std::chrono::microseconds took, std::uint64_t now_ms) {
    if (smooths_first_bytes_.load(std::memory_order_relaxed)) first_byte_of_late.record(took, now_ms);
  }

  /// Over all workers of this process.
  TimeCounts connect_times() const { return sum(&WorkerTotals::connect_times); }
  TimeCounts first_byte_times() const { return sum(&WorkerTotals::first_byte_times); }

  /// From now on each change of `active` is marked on this board too, at `place`; once for all the life of
  /// this load. Control thread. A count read after this call is either marked or has the change in it.
  void watch(std::shared_ptr<ChangeBoard> board, std::uint32_t place) {
    WEIR_CHECK(board_owner_ == nullptr);
    board_owner_ = std::move(board);
    place_ = place;
    board_.store(board_owner_.get(), std::memory_order_seq_cst);
  }
  /// Null when nobody watches. Control thread.
  const std::shared_ptr<ChangeBoard>& board() const { return board_owner_; }
  std::uint32_t place() const { return place_; }

  /// How many sessions it may have at once, over all workers and all processes of this Weir; 0 = no limit.
  /// Control thread.
  void set_max_sessions(std::uint32_t most) {
    if (max_sessions_.exchange(most, std::memory_order_seq_cst) == most) return;
    mark_change();
    if (queue != nullptr) queue->room();
  }
  std::uint32_t max_sessions() const { return max_sessions_.load(std::memory_order_relaxed); }
  /// How many of them other processes of this Weir have. Control thread.
  void set_active_elsewhere(std::uint32_t sessions) {
    if (active_elsewhere_.exchange(sessions, std::memory_order_seq_cst) == sessions) return;
    mark_change();
    say_room();
  }
  /// One session more fits.
  bool has_room() const {
    const std::uint32_t most = max_sessions();
    return most == 0 || counted(active.load(std::memory_order_seq_cst)) < most;
  }

  /// False: it is full, and nothing is counted.
  bool count_session() {
    const std::uint32_t most = max_sessions();
    if (most == 0) {
      active.fetch_add(1, std::memory_order_seq_cst);
    } else {
      std::uint32_t now = active.load(std::memory_order_relaxed);
      do {
        if (counted(now) >= most) return false;
      } while (!active.compare_exchange_weak(now, now + 1, std::memory_order_seq_cst));
    }
    mark_change();
    return true;
  }
  void discount_session() {
    active.fetch_sub(1, std::memory_order_seq_cst);
    mark_change();
    say_room();
  }

  /// Sessions picked and not yet ended, connecting ones included. Written through Lease only. On a cache
  /// line apart from all that is only read.
  alignas(64) std::atomic<std::uint32_t> active{0};
  /// Sessions that wait for a source port or a place in the backlog towards it (proxy/wait_list): newcomers
  /// queue behind them.
  std::atomic<std::uint32_t> waiting{0};
  /// From the accept to the first byte to the client, once somebody has asked for it by smooth_first_bytes().
  SmoothedTime first_byte_of_late;
  /// How long the last probe took, whatever it found; negative: none has ended yet. Written by the checker.
  std::atomic<std::chrono::microseconds> last_probe{std::chrono::microseconds(-1)};
  /// Passive health. Connects failed since the last one that worked, over all workers.
  std::atomic<std::uint32_t> failures_in_a_row{0};
  /// Set by the worker that reports a change of failures_in_a_row, cleared by the reader before it looks: one
  /// report at a time is under way, however many connects fail.
  std::atomic<bool> report_pending{false};
  /// Of a backend with Backend::for_one_session: held by the session that tries it. Pool::pick takes it.
  std::atomic<bool> trial_taken{false};

 private:
  std::uint64_t counted(std::uint32_t own) const {
    return std::uint64_t{own} + active_elsewhere_.load(std::memory_order_relaxed);
  }
  void say_room() {
    if (queue != nullptr && max_sessions_.load(std::memory_order_relaxed) != 0) queue->room();
  }

  TimeCounts sum(std::atomic<TimeHistogram*> WorkerTotals::*of) const {
    TimeCounts out;
    for (const WorkerTotals& totals : per_worker)
      if (const TimeHistogram* const times = (totals.*of).load(std::memory_order_acquire)) out += *times;
    return out;
  }

  /// Sequentially consistent, as `active` is where it is written: either a change sees the board that was
  /// hung up before the counts were read, or that reading sees the change.
  void mark_change() {
    if (ChangeBoard* const board = board_.load(std::memory_order_seq_cst)) board->mark(place_);
  }

  std::atomic<std::uint32_t> active_elsewhere_{0};
  std::atomic<std::uint32_t> max_sessions_{0};
  std::atomic<bool> smooths_first_bytes_{false};
  std::atomic<ChangeBoard*> board_{nullptr};
  std::uint32_t place_ = 0;
  std::shared_ptr<ChangeBoard> board_owner_;
};

/// Counts one session on its backend from the pick until it ends, however it ends. A move-only value.
class Lease {
 public:
  Lease() = default;
  /// An empty one when the backend is full.
  static Lease take(const std::shared_ptr<BackendLoad>& load) {
    return load->count_session() ? Lease(load) : Lease();
  }
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      release();
      load_ = std::move(other.load_);
      counted_ = other.counted_;
    }
    return *this;
  }
  ~Lease() { release(); }

  /// Ends the count and hands the identity on (to the access log). Null when there was none.
  std::shared_ptr<BackendLoad> release() {
    end_count();
    return std::move(load_);
  }
  /// The session is no load of the backend's any more; the identity stays.
  void end_count() {
    if (load_ && counted_) load_->discount_session();
    counted_ = false;
  }
  bool counts() const { return load_ != nullptr && counted_; }
  BackendLoad* get() const { return load_.get(); }
  const std::shared_ptr<BackendLoad>& load() const { return load_; }
  explicit operator bool() const { return load_ != nullptr; }

 private:
  explicit Lease(std::shared_ptr<BackendLoad> counted) : load_(std::move(counted)) {}

  std::shared_ptr<BackendLoad> load_;
  bool counted_ = true;
};

/// One backend as one version of its pool sees it. Never changed once published.
struct Backend {
  std::string name;
  Endpoint endpoint;
  std::vector<Address>
      addresses;             ///< what to connect to, in this order; empty while a host name does not resolve
  std::uint32_t weight = 1;  ///< in force
  std::uint32_t configured_weight = 1;
  std::uint32_t max_sessions = 0;  ///< 0 = no limit; what counts is BackendLoad's
  bool backup = false;
  Admin admin = Admin::Enabled;
  Health health = Health::Unknown;
  bool on_trial = false;   ///< back from a passive ejection, and not yet known to work
  bool agent_out = false;  ///< its own agent wants no new sessions for it
  /// probe = "none": `down` is an ejection, said of it by its sessions' connects alone.
  bool unprobed = false;
  /// Enabled and probed, and nothing has been heard of it yet: soon it may be eligible. Set by the Registry.
  bool undecided = false;
  /// No backend of this pool's own: it serves while none of those is eligible and one is undecided. Its
  /// name, and its load's pool, are its own.
  bool stand_in = false;
  bool used_although_down = false;  ///< on_all_down = "try_all" is in force; set by Pool::build alone
  /// Nobody of the pool is in rotation, and this one is ejected or on trial: it is used, by every session.
  /// Set by Pool::build alone.
  bool last_resort = false;
  /// The part of its weight that it gets, 1..100: slow start's, and its agent's.
  std::uint32_t share_percent = 100;
  bool ramping = false;                           ///< in slow start: its share will grow
  std::string reason;                             ///< of its health, as a sentence for the operator
  std::chrono::system_clock::time_point since{};  ///< when `health` became what it is
  /// Another one each time its health is forgotten: what was known of an earlier one is void.
  std::uint64_t life = 0;
  std::shared_ptr<BackendLoad> load;

  BackendId id() const { return load->id; }

  /// May get new sessions. The only place where the operator's word, the checker's and the agent's meet.
  bool eligible() const {
    return admin == Admin::Enabled && !agent_out && !addresses.empty() &&
           (health == Health::Up || used_although_down || last_resort);
  }
  /// Eligible for one session at a time, which holds BackendLoad::trial_taken; the others pass it over.
  bool for_one_session() const { return on_trial && !last_resort; }
};

}  // namespace weir
