#pragma once

#include <string>

#include "lb/cli/read_json.h"

namespace weir {

// What an operator is asked before a word of `weir top` is sent: the effect that it will have, by what the
// daemon has said last. Pure.

struct Question {
  std::string text;     ///< "drain web/web1? 37 sessions …"; where nothing is to be asked, why
  bool asks = false;    ///< else there is nothing to do
  bool forces = false;  ///< it leaves a pool nobody: the daemon does it with "force" only
};

/// `pool`, `backend`: of a status.
Question drain_question(const AnswerJson& pool, const AnswerJson& backend);
Question enable_question(const AnswerJson& pool, const AnswerJson& backend);
/// `weight`: 1 to 256, or "default", as it is sent.
Question weight_question(const AnswerJson& pool, const AnswerJson& backend, const std::string& weight);
/// Whether it is one of these.
bool is_weight(const std::string& text);

}  // namespace weir
