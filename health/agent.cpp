#include "health/agent.h"

#include <algorithm>
#include <utility>

#include "health/agent_words.h"
#include "health/talk.h"

namespace weir {
namespace {

/// Of a line: HAProxy reads no more than a buffer either.
constexpr std::size_t kMostBytes = 4096;

/// It speaks, and closes; we say nothing. What it says in front of the first end of a line is what counts.
class AgentTalk final : public Talk {
 public:
  explicit AgentTalk(std::string& line) : line_(line) { line_.clear(); }

  Heard begin(std::string&) override { return {}; }
  Heard hear(std::string_view bytes, std::string&) override {
    const auto end = bytes.find_first_of("\r\n");
    line_ += bytes.substr(0, end);
    if (line_.size() > kMostBytes) return Heard::failed("a line without an end");
    return end == std::string_view::npos ? Heard() : Heard::passed();
  }
  Heard hear_end() override {
    return line_.empty() ? Heard::failed("closed without a word") : Heard::passed();
  }
  bool minds_reset() const override { return false; }

 private:
  std::string& line_;
};

class AgentProbes final : public ProbeFactory {
 public:
  AgentProbes(ProbeLoop& loop, std::string& line) : loop_(loop), line_(line) {}
  std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) override {
    return make_talk_probe(loop_, input, std::make_unique<AgentTalk>(line_), std::move(done));
  }

 private:
  ProbeLoop& loop_;
  std::string& line_;
};

}  // namespace

Agent::Agent(ProbeLoop& loop, ProbeSlots& slots, ProbeSubject subject, const Schedule& schedule,
             AgentState known, Changed on_changed)
    : loop_(loop),
      slots_(slots),
      subject_(std::move(subject)),
      schedule_(schedule),
      state_(std::move(known)),
      on_changed_(std::move(on_changed)),
      factory_(std::make_unique<AgentProbes>(loop_, line_)),
      start_(loop, [this] {
        waiting_ = true;
        slots_.enter(*this);
      }) {
  start_.set(loop_.now());
}

Agent::~Agent() {
  if (waiting_) slots_.withdraw(*this);
  if (run_ && !run_->finished()) slots_.leave();
}

void Agent::on_slot() {
  waiting_ = false;
  last_start_ = loop_.read_clock();
  run_ = std::make_unique<ProbeRun>(loop_, *factory_, subject_,
                                    [this](const RunResult& result) { on_result(result); });
  run_->start();
}

void Agent::on_result(const RunResult& result) {
  AgentState next = state_;
  if (result.outcome == Outcome::Failed) {
    next.trouble = result.text;
  } else if (result.outcome == Outcome::Passed) {
    const auto taken = take_agent_words(line_, next);
    next.trouble = taken ? "" : taken.error().message;
  }
  start_.set(std::max(schedule_.next(last_start_), loop_.now()));
  if (next != state_) {
    state_ = std::move(next);
    on_changed_(state_);
  }
  slots_.leave();
}

}  // namespace weir
