#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "health/talk.h"
#include "lb/base/log.h"

namespace weir {
namespace {

constexpr std::size_t kMaxAnswer = 64 * 1024;  ///< to one step
constexpr std::size_t kShown = 40;             ///< of a wrong answer, in the reason

/// Looks for one text in an answer that grows, and at each byte of it once.
class Search {
 public:
  /// Where the text ends for the first time; npos while it is not there.
  std::size_t end_in(std::string_view answer, std::string_view text) {
    if (text.empty()) return std::string_view::npos;
    const std::size_t at = answer.find(text, looked_ < text.size() ? 0 : looked_ - text.size() + 1);
    looked_ = answer.size();
    return at == std::string_view::npos ? at : at + text.size();
  }

 private:
  std::size_t looked_ = 0;  ///< it begins nowhere that all of it would be before here
};

/// Says and expects what the configuration has, step by step. Each step reads on where the one before has
/// found its text.
class ExpectTalk final : public Talk {
 public:
  explicit ExpectTalk(const ProbeConfig& config) : steps_(config.steps) {
    if (steps_.empty()) steps_ = {{config.send, config.expect, config.reject}};
  }

  Heard begin(std::string& words) override {
    enter(words);
    return over() ? Heard::passed() : Heard();
  }

  Heard hear(std::string_view bytes, std::string& words) override {
    std::string left(bytes);
    while (true) {
      const std::size_t taken = std::min(left.size(), kMaxAnswer - answer_.size());
      answer_.append(left, 0, taken);
      const std::size_t rejected = reject_.end_in(answer_, step().reject);
      const std::size_t found = expect_.end_in(answer_, step().expect);
      if (rejected != std::string::npos && rejected <= found) return Heard::failed(unwanted(rejected));
      if (found == std::string::npos)
        return answer_.size() < kMaxAnswer ? Heard() : Heard::failed(wrong("64 KiB read"));
      left = answer_.substr(found) + left.substr(taken);
      ++index_;
      enter(words);
      if (over()) return Heard::passed();
    }
  }

  Heard hear_end() override { return Heard::failed(wrong("closed by the backend")); }

  /// A reset could overtake what is sent last.
  bool minds_reset() const override { return steps_.back().expect.empty(); }

 private:
  const ExpectStep& step() const { return steps_[index_]; }
  bool over() const { return index_ == steps_.size(); }

  /// Says what the steps from here on have to say before one waits for an answer.
  void enter(std::string& words) {
    answer_.clear();
    reject_ = expect_ = Search();
    for (; !over(); ++index_) {
      words += step().send;
      if (!step().expect.empty()) return;
    }
  }

  std::string where() const { return steps_.size() == 1 ? "" : fmt::format("step {}: ", index_ + 1); }

  std::string wrong(std::string_view end) const {
    const std::string_view start = std::string_view(answer_).substr(0, kShown);
    return fmt::format("{}{} without {}, got {}", where(), end, quoted(step().expect.substr(0, kShown)),
                       start.empty() ? "nothing" : quoted(start));
  }

  /// With what stands before it on its line.
  std::string unwanted(std::size_t end) const {
    const std::string& text = step().reject;
    const std::size_t at = end - text.size();
    const std::size_t newline = at == 0 ? std::string::npos : answer_.rfind('\n', at - 1);
    const std::size_t line = newline == std::string::npos ? 0 : newline + 1;
    const std::size_t from = std::max(line, end - std::min(end, std::max(2 * kShown, text.size())));
    return fmt::format("{}got {}, which must not be there", where(),
                       quoted(std::string_view(answer_).substr(from, end - from).substr(0, 4 * kShown)));
  }

  std::vector<ExpectStep> steps_;
  std::size_t index_ = 0;
  std::string answer_;  ///< to this step, so far
  Search reject_;
  Search expect_;
};

}  // namespace

std::unique_ptr<Talk> make_expect_talk(const ProbeConfig& config) {
  return std::make_unique<ExpectTalk>(config);
}

}  // namespace weir
