#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace weir {

/// What follows a daemon's events: takes server-sent events however they are cut, and gives on the JSON of
/// each event as a line. Of those that were missed it tells on stderr. Pure but for that.
class EventLines {
 public:
  /// False: no more is wanted.
  using Line = std::function<bool(std::string_view json)>;
  explicit EventLines(Line line) : line_(std::move(line)) {}

  /// Answers whether more is wanted.
  bool take(std::string_view piece);
  /// Whether anything has come.
  bool heard() const { return heard_; }
  /// Of the last one that had one; "" = none.
  const std::string& last_id() const { return last_id_; }

 private:
  bool end_message();

  Line line_;
  std::string rest_;  ///< of a line whose end has not come
  std::string type_, data_, id_;
  std::string last_id_;
  bool heard_ = false;
};

}  // namespace weir
