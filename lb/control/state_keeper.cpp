#include "lb/control/state_keeper.h"

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>

#include "lb/base/log.h"

namespace weir {
namespace {

constexpr std::chrono::milliseconds kEndPatience{1'000};

struct Order {
  std::uint64_t number;
  std::optional<StateFile> elsewhere;  ///< instead of the present file, from here on
  bool create_directory = false;
  std::optional<Overrides> overrides;
};

}  // namespace

struct StateKeeper::Writer {
  std::mutex mutex;  // guards all but `file`; never held while the disk is asked
  std::condition_variable changed;
  std::optional<Order> order;  ///< the next one
  bool writing = false;
  bool left = false;  ///< to another process
  bool over = false;
  std::function<void(std::uint64_t, Result<void>)> report;  ///< none any more once the keeper has gone
  StateFile file;                                           ///< the thread's, from its first order on

  explicit Writer(StateFile given) : file(std::move(given)) {}

  bool wanted() {
    const std::lock_guard lock(mutex);
    return !left;
  }

  Result<void> obey(Order& next) {
    if (next.elsewhere) {
      file = std::move(*next.elsewhere);
      static_cast<void>(file.check_writable(next.create_directory));
      // A damaged one is kept aside. What was said in it once does not count: what is said now does.
      if (auto loaded = file.load(); !loaded) return tl::unexpected(loaded.error());
    }
    return file.save(*next.overrides, [this] { return wanted(); });
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return order || over; });
      if (!order) return;
      Order next = std::move(*std::exchange(order, std::nullopt));
      writing = true;
      lock.unlock();
      const auto result = obey(next);
      lock.lock();
      writing = false;
      if (report) report(next.number, result);
      changed.notify_all();
    }
  }
};

StateKeeper::StateKeeper(Loop& loop, std::string path)
    : loop_(loop),
      path_(std::move(path)),
      writer_(std::make_shared<Writer>(StateFile(path_))),
      retry_(loop, [this] { write(); }) {
  writer_->report = [this](std::uint64_t number, Result<void> result) {
    loop_.post([this, number, result = std::move(result)] { on_written(number, result); });
  };
  std::thread([writer = writer_] { writer->run(); }).detach();
}

StateKeeper::~StateKeeper() {
  std::unique_lock lock(writer_->mutex);
  writer_->report = nullptr;
  writer_->changed.wait_for(lock, kEndPatience, [this] { return !writer_->order && !writer_->writing; });
  writer_->over = true;
  writer_->changed.notify_all();
}

StateFile& StateKeeper::file() {
  return writer_->file;
}

void StateKeeper::save(const Overrides& overrides) {
  if (path_.empty() || (asked_ > 0 && overrides == wanted_ && problem_.empty())) return;
  wanted_ = overrides;
  write();
}

void StateKeeper::write() {
  retry_.stop();
  const std::lock_guard lock(writer_->mutex);
  // One that has not been begun is overtaken, but for where it leads.
  if (!writer_->order) writer_->order.emplace();
  writer_->order->number = ++asked_;
  writer_->order->overrides = wanted_;
  writer_->changed.notify_all();
}

void StateKeeper::when_saved(Done done) {
  if (path_.empty()) return done({});
  if (writing()) return waiting_.emplace_back(asked_, std::move(done)), void();
  done(problem_.empty() ? Result<void>() : Result<void>(fail(problem_)));
}

void StateKeeper::move_to(const std::string& path, bool create_directory) {
  path_ = path;
  forget_orders();
  const std::lock_guard lock(writer_->mutex);
  writer_->order.reset();
  if (path.empty()) return;
  writer_->order.emplace();
  writer_->order->elsewhere.emplace(path);
  writer_->order->create_directory = create_directory;
}

void StateKeeper::leave() {
  path_.clear();
  {
    const std::lock_guard lock(writer_->mutex);
    writer_->left = true;
    writer_->order.reset();
  }
  forget_orders();
}

void StateKeeper::forget_orders() {
  done_ = asked_;
  problem_.clear();
  retry_.stop();
  // Whoever waited is not told of a fault where the words are not kept any more.
  settle({});
}

void StateKeeper::on_written(std::uint64_t number, const Result<void>& result) {
  if (number <= done_) return;  // of before it has moved
  done_ = number;
  if (number == asked_) {
    const bool had_problem = !problem_.empty();
    problem_ = result ? "" : result.error().message;
    if (!result) retry_.start(kRetry);
    if (!result && !had_problem)
      daemon_log().warn("operator overrides will not survive a restart: {}", problem_);
    if (result && had_problem) daemon_log().info("operator overrides are saved again");
  }
  settle(result);
}

void StateKeeper::settle(const Result<void>& result) {
  // In the order of their numbers.
  const auto open = std::ranges::find_if(waiting_, [this](const auto& one) { return one.first > done_; });
  std::vector<std::pair<std::uint64_t, Done>> over(std::make_move_iterator(waiting_.begin()),
                                                   std::make_move_iterator(open));
  waiting_.erase(waiting_.begin(), open);
  for (const auto& [number, done] : over) done(result);
}

}  // namespace weir
