#include "lb/proxy/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>

#include <concurrentqueue/concurrentqueue.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "lb/base/line_writer.h"

namespace weir {
namespace {

/// How long records may gather before they are written.
constexpr std::chrono::milliseconds kBatchPause{10};
/// A reader of a pipe that takes nothing for this long loses lines.
constexpr std::chrono::milliseconds kWritePatience{1000};
constexpr std::size_t kDrainRecords = 256;

}  // namespace

/// moodycamel's queue with one token for each worker: try_enqueue takes a slot allocated at the start or
/// fails.
struct AccessLog::Queues {
  struct alignas(64) OfWorker {
    moodycamel::ConcurrentQueue<AccessRecord> queue{kQueueRecords};
    moodycamel::ProducerToken producer{queue};
    std::atomic<std::uint64_t> dropped{0};
    std::uint64_t dropped_said = 0;  ///< the log's thread only
  };
  explicit Queues(std::uint32_t workers) : of_worker(workers) {}
  std::vector<OfWorker> of_worker;
  std::array<AccessRecord, kDrainRecords> batch;
};

AccessLog::AccessLog(Target target, std::uint32_t workers, std::function<void(std::string)> complain,
                     std::string instance)
    : complain_(std::move(complain)),
      instance_(std::move(instance)),
      queues_(std::make_unique<Queues>(workers)),
      enabled_(target.name != "off"),
      target_(std::move(target)) {
  thread_ = std::thread([this] { run(); });
}

Result<AccessLog::Target> AccessLog::open(const std::string& name) {
  Target target{name, {}};
  if (name == "off") return target;
  if (const auto path = syslog_path(name); !path.empty()) {
    auto socket = SyslogSocket::open(path);
    if (!socket) return fail(fmt::format("cannot open the access log {}: {}", name, socket.error().message));
    target.syslog = std::move(*socket);
    return target;
  }
  if (name == "stdout")
    target.file = Fd(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  else
    target.file = Fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640));
  if (!target.file && errno == ENXIO)
    return fail(fmt::format("cannot open the access log {}: it is a pipe that nobody reads", name));
  if (!target.file) return fail_errno(fmt::format("cannot open the access log {}", name), errno);
  return target;
}

AccessLog::~AccessLog() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
}

void AccessLog::write(std::uint32_t worker, AccessRecord&& record) {
  auto& own = queues_->of_worker[worker];
  record.worker = worker + 1;
  if (is_turned_away(record.end) && !is_sampled(worker, record)) return wake_if_asleep();
  if (!own.queue.try_enqueue(own.producer, std::move(record))) {
    own.dropped.store(own.dropped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return;
  }
  wake_if_asleep();
}

bool AccessLog::is_sampled(std::uint32_t worker, const AccessRecord& record) {
  auto& sampled = record.listener->sampled[worker].by_end[static_cast<std::size_t>(record.end)];
  const std::int64_t second = record.time_ms / 1000;
  if (sampled.second.load(std::memory_order_relaxed) != second) {
    sampled.second.store(second, std::memory_order_relaxed);
    sampled.lines = 0;
  }
  if (sampled.lines < TurnedAwayLines::kLines) {
    ++sampled.lines;
    return true;
  }
  sampled.others.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void AccessLog::wake_if_asleep() {
  // A full barrier between the record and the look at the flag, as the sleeper has between the flag and the
  // look at the queue.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_relaxed)) wake();
}

void AccessLog::reopen(std::function<void()> done) {
  const std::lock_guard lock(orders_mutex_);
  reopen_.push_back(std::move(done));
  ordered_ = true;
  wake();
}

void AccessLog::redirect(Target target) {
  const std::lock_guard lock(orders_mutex_);
  enabled_ = target.name != "off";
  redirect_ = std::move(target);
  ordered_ = true;
  wake();
}

void AccessLog::wake() {
  asleep_.store(false);
  wake_.fetch_add(1);
  wake_.notify_one();
}

void AccessLog::run() {
  while (true) {
    const bool stopping = stopping_;
    if (ordered_) follow_orders();
    std::size_t written = 0;
    while (const std::size_t records = drain()) {
      written += records;
      if (stopping_ && unwritten_ > 0) break;  // nobody takes them: each batch would cost another second
    }
    say_dropped();
    if (stopping) {
      turned_away_.say_finished(INT64_MAX,
                                [this](const auto& others) { append_line(lines_, others, style_.load()); });
      return flush();
    }
    // What clients share is said at the end of its second, which nobody else may come to tell.
    if (written > 0 || take_others() || turned_away_.pending()) {
      std::this_thread::sleep_for(kBatchPause);
      continue;
    }
    const std::uint32_t seen = wake_.load();
    asleep_.store(true);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const bool empty = std::all_of(queues_->of_worker.begin(), queues_->of_worker.end(),
                                   [](const auto& own) { return own.queue.size_approx() == 0; });
    if (empty && !take_others() && !ordered_ && !stopping_) wake_.wait(seen);
    asleep_.store(false);
  }
}

std::size_t AccessLog::drain() {
  std::size_t records = 0;
  for (auto& own : queues_->of_worker) {
    const std::size_t got =
        own.queue.try_dequeue_bulk_from_producer(own.producer, queues_->batch.begin(), kDrainRecords);
    for (std::size_t i = 0; i < got; ++i) {
      append(queues_->batch[i]);
      queues_->batch[i].backend.reset();
      queues_->batch[i].facts.reset();
    }
    records += got;
  }
  take_others();
  // While there are records, some of the last second may still be queued.
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  turned_away_.say_finished(records == 0 ? now : now - 1,
                            [this](const auto& others) { append_line(lines_, others, style_.load()); });
  flush();
  return records;
}

bool AccessLog::take_others() {
  struct Others {
    const ListenerLoad* listener;
    End end;
    std::int64_t second;
    std::uint64_t count;
  };
  std::vector<Others> all;
  turned_away_.for_each([&](const ListenerLoad& listener, End end) {
    for (auto& worker : listener.sampled) {
      auto& sampled = worker.by_end[static_cast<std::size_t>(end)];
      if (sampled.others.load(std::memory_order_relaxed) == 0) continue;
      const auto second = sampled.second.load(std::memory_order_relaxed);
      all.push_back({&listener, end, second, sampled.others.exchange(0, std::memory_order_relaxed)});
    }
  });
  for (const Others& one : all) turned_away_.take_others(*one.listener, one.end, one.second, one.count);
  return !all.empty();
}

void AccessLog::append(const AccessRecord& record) {
  if (is_turned_away(record.end) && !turned_away_.take(*record.listener, record.end, record.time_ms / 1000))
    return;
  const AccessLineStyle style = style_.load(std::memory_order_relaxed);
  if (is_good(record.end) && good_++ % style.sample != 0) return;
  append_line(lines_, instance_, record, style);
}

int AccessLog::write_to_file(std::string_view& rest) const {
  struct stat status {};
  const bool regular = fstat(target_.file.get(), &status) == 0 && S_ISREG(status.st_mode);
  while (!rest.empty()) {
    pollfd ready{target_.file.get(), POLLOUT, 0};
    if (!regular && poll(&ready, 1, static_cast<int>(kWritePatience.count())) == 0) return ETIMEDOUT;
    const ssize_t wrote =
        ::write(target_.file.get(), rest.data(), regular ? rest.size() : first_atomic_write(rest).size());
    if (wrote >= 0)
      rest.remove_prefix(static_cast<std::size_t>(wrote));
    else if (errno != EINTR && errno != EAGAIN)
      return errno;
  }
  return 0;
}

int AccessLog::send_to_syslog(std::string_view& rest) {
  const auto now = std::chrono::system_clock::now();
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto message = syslog_message(Severity::Info, now, "access", rest.substr(0, end));
    int error = target_.syslog->send(message);
    if (error == EAGAIN) {
      target_.syslog->wait(kWritePatience);
      error = target_.syslog->send(message);
    }
    if (error != 0) return error == EAGAIN ? ETIMEDOUT : error;
    rest.remove_prefix(end + 1);
  }
  return 0;
}

void AccessLog::flush() {
  if (lines_.empty() || (!target_.file && !target_.syslog)) return lines_.clear();
  std::string_view rest = lines_;
  const int error = target_.syslog ? send_to_syslog(rest) : write_to_file(rest);
  if (error != 0) {
    if (unwritten_ == 0)
      complain_(
          fail_errno(fmt::format("cannot write the access log {}", target_.name), error).value().message);
    unwritten_ += static_cast<std::uint64_t>(std::count(rest.begin(), rest.end(), '\n'));
  } else if (unwritten_ > 0 && !lines_.empty()) {
    complain_(fmt::format("access log {}: writing again, {} lines were lost", target_.name, unwritten_));
    unwritten_ = 0;
  }
  lines_.clear();
}

void AccessLog::follow_orders() {
  // What is queued belongs to the old file.
  while (drain() > 0) {
  }
  std::optional<Target> elsewhere;
  std::vector<std::function<void()>> asked;
  {
    const std::lock_guard lock(orders_mutex_);
    ordered_ = false;
    elsewhere.swap(redirect_);
    asked.swap(reopen_);
  }
  if (elsewhere) target_ = std::move(*elsewhere);
  if (!asked.empty() && !elsewhere && target_.name.starts_with('/')) {
    auto again = open(target_.name);
    if (again)
      target_ = std::move(*again);
    else
      complain_(again.error().message + ": writing to the old file");
  }
  for (const auto& done : asked) done();
}

void AccessLog::say_dropped() {
  for (std::size_t worker = 0; worker < queues_->of_worker.size(); ++worker) {
    auto& own = queues_->of_worker[worker];
    const std::uint64_t dropped = own.dropped.load(std::memory_order_relaxed);
    if (dropped == own.dropped_said) continue;
    complain_(fmt::format("access log {}: {} lines of worker {} were dropped, its queue was full",
                          target_.name, dropped - own.dropped_said, worker + 1));
    own.dropped_said = dropped;
  }
}

}  // namespace weir
