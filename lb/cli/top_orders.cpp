// From a key to an order: what is asked before, and what it is about.
#include <fmt/format.h>

#include "lb/cli/top_model.h"

namespace weir {

void TopModel::ask(char word) {
  const Row* row = selected_row();
  if (row == nullptr) return;
  if (!may_change_) {
    note_ = {
        "this socket is read-only: drain, enable and weight go by the admin socket (--socket, WEIR_SOCKET)",
        true};
    return;
  }
  order_ = {text(*row->pool, "name"), text(*row->backend, "name"), ""};
  if (word == 'd') {
    const Question question = drain_question(*row->pool, *row->backend);
    ask_for("drain", question, {{"force", question.forces}});
  } else if (word == 'e') {
    ask_for("enable", enable_question(*row->pool, *row->backend));
  } else {
    mode_ = Mode::Weight;
    typed_.clear();
  }
}

void TopModel::ask_for(std::string verb, Question question, AnswerJson body) {
  mode_ = question.asks ? Mode::Confirm : Mode::Browse;
  if (!question.asks) note_ = {question.text, false};
  order_.verb = std::move(verb);
  order_.body = std::move(body);
  question_ = std::move(question);
}

TopModel::Effect TopModel::confirm(const KeyPress& key) {
  mode_ = Mode::Browse;
  const bool yes = key == KeyPress{KeyPress::Kind::Text, "Y"} ||
                   (!question_.forces && key == KeyPress{KeyPress::Kind::Text, "y"});
  if (!yes) {
    note_ = {"nothing has changed", false};
    return {};
  }
  note_ = {fmt::format("{} {}/{} …", order_.verb, order_.pool, order_.backend), false};
  return {false, order_};
}

const AnswerJson* TopModel::ordered(const AnswerJson*& pool) {
  for (const auto& one : list(root_, "pools"))
    for (const auto& backend : list(one, "backends"))
      if (text(one, "name") == order_.pool && text(backend, "name") == order_.backend) {
        pool = &one;
        return &backend;
      }
  mode_ = Mode::Browse;
  note_ = {fmt::format("{}/{} has gone", order_.pool, order_.backend), true};
  return nullptr;
}

void TopModel::typed_weight() {
  if (!is_weight(typed_)) {
    note_ = {fmt::format("\"{}\" is no weight: 1 to 256, or default", typed_), true};
    return;
  }
  const AnswerJson* pool = nullptr;
  if (const auto* backend = ordered(pool))
    ask_for("weight", weight_question(*pool, *backend, typed_), {{"weight", typed_}});
}

void TopModel::ask_again() {
  const AnswerJson* pool = nullptr;
  const auto* backend = ordered(pool);
  if (backend == nullptr) return;
  if (order_.verb == "enable") return ask_for("enable", enable_question(*pool, *backend));
  if (order_.verb == "weight")
    return ask_for("weight", weight_question(*pool, *backend, text(order_.body, "weight")), order_.body);
  const Question question = drain_question(*pool, *backend);
  ask_for("drain", question, {{"force", question.forces}});
}

}  // namespace weir
