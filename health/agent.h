#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "health/probe_run.h"
#include "health/probe_slots.h"
#include "health/schedule.h"
#include "lb/balance/agent_state.h"

namespace weir {

/// Asks one backend's agent again and again what the backend wants: connects, reads a line, closes. Whoever
/// does not answer has said nothing: what it said before stays. On the checker's thread.
class Agent final : private ProbeSlots::User {
 public:
  using Changed = std::function<void(const AgentState&)>;

  /// `subject`: the backend's addresses with the agent's port; of its config interval, timeout and source
  /// count. `known`: what it has said before. Asks at once.
  Agent(ProbeLoop& loop, ProbeSlots& slots, ProbeSubject subject, const Schedule& schedule, AgentState known,
        Changed on_changed);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

 private:
  void on_slot() override;
  void on_result(const RunResult& result);

  ProbeLoop& loop_;
  ProbeSlots& slots_;
  const ProbeSubject subject_;
  Schedule schedule_;
  AgentState state_;
  const Changed on_changed_;
  std::string line_;  ///< of the run that is under way
  std::unique_ptr<ProbeFactory> factory_;
  std::unique_ptr<ProbeRun> run_;
  Alarm start_;
  std::chrono::nanoseconds last_start_{0};
  bool waiting_ = false;  ///< for a slot
};

}  // namespace weir
