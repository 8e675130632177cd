#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/cli/keys.h"
#include "lb/cli/read_json.h"
#include "lb/cli/sparklines.h"
#include "lb/cli/top_question.h"

namespace weir {

/// What `weir top` knows of the daemon and of its user, and what a key does. Pure: no terminal, no socket.
class TopModel {
 public:
  enum class Sort : std::uint8_t { Problems, Name, Active, New, In, Out, Failed };
  enum class Mode : std::uint8_t { Browse, Filter, Weight, Confirm };

  /// A backend of a pool, in what the daemon has said last.
  struct Row {
    std::string name;  ///< "web/web1"
    const AnswerJson* pool;
    const AnswerJson* backend;
  };

  /// POST this to /v1/backends/POOL/BACKEND/VERB.
  struct Order {
    std::string pool, backend, verb;
    AnswerJson body = AnswerJson::object();
  };
  struct Effect {
    bool ends = false;
    std::optional<Order> order = {};
  };

  TopModel() = default;
  TopModel(const TopModel&) = delete;  // its rows point into it
  TopModel& operator=(const TopModel&) = delete;

  /// What the daemon says: a status, the sessions of the selected backend, its answer to an order.
  void hear_status(std::string_view json);
  void hear_sessions(std::string_view json);
  void hear_changed(const Order& order, std::string_view json);
  /// The daemon has refused an order, or did not answer it.
  void hear_refusal(const std::string& why) { note_ = {why, true}; }
  /// Nobody has answered for so long. The next status ends it.
  void hear_nothing(const std::string& why, std::chrono::seconds since);
  /// Whether the socket takes orders. Until it is known, it does.
  void set_may_change(bool may) { may_change_ = may; }
  /// How many rows have room: for pages, and for which rows are in view.
  void set_room(std::size_t rows);
  /// The same of the selected backend's sessions.
  void set_session_room(std::size_t rows);

  Effect press(const KeyPress& key);

  // For who shows it.
  const AnswerJson& root() const { return root_; }
  const std::vector<Row>& rows() const { return rows_; }
  std::size_t all_rows() const { return all_; }
  std::size_t first() const { return first_; }  ///< of the rows in view
  std::size_t selected() const { return selected_; }
  const Row* selected_row() const { return rows_.empty() ? nullptr : &rows_[selected_]; }
  Sort sort() const { return sort_; }
  Mode mode() const { return mode_; }
  const std::string& typed() const { return typed_; }
  const std::string& filter() const { return filter_; }
  const std::string& question() const { return question_.text; }
  const std::string& silence() const { return silence_; }
  bool with_sessions() const { return with_sessions_; }
  const AnswerJson& sessions() const { return sessions_; }
  std::size_t first_session() const { return first_session_; }  ///< of those in view
  const Sparklines& history() const { return history_; }
  /// What the history shows: the column that is sorted by, else sessions.
  double SparkSample::*measure() const;

  struct Note {
    std::string text;
    bool bad = false;
  };
  const Note& note() const { return note_; }

 private:
  Effect browse(const KeyPress& key);
  Effect confirm(const KeyPress& key);
  void type(const KeyPress& key);
  void ask(char word);
  void ask_for(std::string verb, Question question, AnswerJson body = AnswerJson::object());
  void typed_weight();
  /// What is asked is what is so now: the effect of a word may have changed while it is read.
  void ask_again();
  /// Of the order's backend, wherever the list has gone since; nothing when it has gone, which is noted.
  const AnswerJson* ordered(const AnswerJson*& pool);
  void arrange();
  void move(std::ptrdiff_t by);
  void keep_in_view();
  void scroll_sessions(std::ptrdiff_t by);
  bool fits(const Row& row) const;

  AnswerJson root_ = AnswerJson::object();
  AnswerJson sessions_ = AnswerJson::object();
  std::vector<Row> rows_;  ///< of root_, sorted and filtered
  std::size_t all_ = 0, first_ = 0, selected_ = 0, room_ = 1;
  std::size_t first_session_ = 0, session_room_ = 1;
  std::string selected_name_;
  Sparklines history_;
  Sort sort_ = Sort::Problems;
  Mode mode_ = Mode::Browse;
  std::string typed_, filter_, silence_;
  Question question_;
  Order order_;  ///< that the question is about
  Note note_;
  bool with_sessions_ = false, may_change_ = true;
};

/// "problems", "name", …
std::string_view name_of(TopModel::Sort sort);

}  // namespace weir
