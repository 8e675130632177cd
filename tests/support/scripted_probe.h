#pragma once

#include <condition_variable>
#include <mutex>
#include <string>

#include "tests/support/fake_backend.h"

namespace weir::test {

/// What an `expect` probe finds at its `port`, each answer given by the test: no verdict depends on time.
/// Until hold() every probe passes. Any thread.
class ScriptedProbe {
 public:
  ScriptedProbe();
  ~ScriptedProbe();
  ScriptedProbe(const ScriptedProbe&) = delete;
  ScriptedProbe& operator=(const ScriptedProbe&) = delete;

  /// Lines for [pool.health]; probes wait for their answer much longer than any test does.
  std::string health(unsigned rise, unsigned fall) const;

  /// From now on a probe waits for answer().
  void hold();
  /// Waits for a probe that has no answer yet. False when none comes.
  bool wait_for_probe();
  /// Answers the next probe for each letter of `results`: 'S' passes, 'F' fails, others stand for nothing.
  /// Then waits for one more probe, so that all of them have counted. False when a probe does not come.
  bool answer(const std::string& results);

 private:
  void serve(Stream& stream);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool holding_ = false;
  bool stopping_ = false;
  std::size_t asked_ = 0;     ///< probes so far
  std::size_t answered_ = 0;  ///< the last one that has its answer
  bool passes_ = true;        ///< the answer to it
  FakeBackend backend_;       // last: it uses all of the above
};

}  // namespace weir::test
