#include "lb/net/background.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace weir {
namespace {

constexpr std::chrono::milliseconds kEndPatience{1'000};

}  // namespace

struct Background::State {
  std::mutex mutex;  // guards all; not held while a task runs
  std::condition_variable changed;
  std::deque<Task> tasks;
  Loop* loop = nullptr;  ///< null once nothing is to be called back any more
  bool running = false;

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return !tasks.empty() || loop == nullptr; });
      if (loop == nullptr) return;
      Task task = std::move(tasks.front());
      tasks.pop_front();
      running = true;
      lock.unlock();
      auto done = task();
      task = nullptr;
      lock.lock();
      running = false;
      if (loop != nullptr) loop->post(std::move(done));
      changed.notify_all();
    }
  }
};

Background::Background(Loop& loop) : state_(std::make_shared<State>()) {
  state_->loop = &loop;
  std::thread([state = state_] { state->work(); }).detach();
}

Background::~Background() {
  std::unique_lock lock(state_->mutex);
  state_->loop = nullptr;
  state_->tasks.clear();
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kEndPatience, [this] { return !state_->running; });
}

void Background::run(Task task) {
  const std::lock_guard lock(state_->mutex);
  state_->tasks.push_back(std::move(task));
  state_->changed.notify_all();
}

}  // namespace weir
