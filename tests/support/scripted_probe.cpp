#include "tests/support/scripted_probe.h"

#include <fmt/format.h>

#include "tests/support/rig.h"

namespace weir::test {

ScriptedProbe::ScriptedProbe() : backend_(scripted([this](Stream& stream) { serve(stream); })) {}

ScriptedProbe::~ScriptedProbe() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

std::string ScriptedProbe::health(unsigned rise, unsigned fall) const {
  return fmt::format(
      "probe = \"expect\"\nexpect = \"yes\"\nport = {}\ninterval = \"20ms\"\nfast_interval = \"10ms\"\n"
      "timeout = \"10m\"\nrise = {}\nfall = {}",
      backend_.port(), rise, fall);
}

void ScriptedProbe::hold() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

bool ScriptedProbe::wait_for_probe() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [this] { return asked_ > answered_; });
}

bool ScriptedProbe::answer(const std::string& results) {
  for (const char result : results) {
    if (result != 'S' && result != 'F') continue;
    if (!wait_for_probe()) return false;
    const std::lock_guard lock(mutex_);
    answered_ = asked_;
    passes_ = result == 'S';
    changed_.notify_all();
  }
  return wait_for_probe();
}

void ScriptedProbe::serve(Stream& stream) {
  std::unique_lock lock(mutex_);
  const std::size_t number = ++asked_;
  if (!holding_) {
    answered_ = number;
    passes_ = true;
  }
  changed_.notify_all();
  // One that a later probe has overtaken was given up by Weir.
  changed_.wait(lock, [&] { return stopping_ || answered_ >= number || asked_ > number; });
  const bool passes = answered_ == number && passes_;
  lock.unlock();
  stream.send_all(passes ? "yes" : "no");
}

}  // namespace weir::test
