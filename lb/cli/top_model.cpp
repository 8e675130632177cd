#include "lb/cli/top_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "lb/base/glob.h"
#include "lb/cli/render.h"
#include "lb/cli/status_text.h"
#include "lb/cli/table.h"

namespace weir {

namespace {

constexpr std::size_t kSorts = 7;
/// Of a filter or a weight: more is a key that hangs.
constexpr std::size_t kMostTyped = 128;
/// Characters of "default", and no others than digits.
constexpr std::size_t kMostOfWeight = 7;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Its problems first, then what else is in a pool that is not well.
int rank(const TopModel::Row& row) {
  if (is_problem(*row.backend)) return 0;
  const auto verdict = text(*row.pool, "verdict");
  return verdict.empty() || verdict == "ok" ? 2 : 1;
}

double bytes_of(const AnswerJson& backend, const char* way) {
  return real(backend, way);
}

double value_of(const TopModel::Row& row, TopModel::Sort sort) {
  using enum TopModel::Sort;
  switch (sort) {
    case Active:
      return real(*row.backend, "active");
    case New:
      return real(*row.backend, "sessions_per_second");
    case In:
      return bytes_of(*row.backend, "bytes_to_backend_per_second");
    case Out:
      return bytes_of(*row.backend, "bytes_to_client_per_second");
    case Failed:
      return real(*row.backend, "connect_failures");
    case Problems:
    case Name:
      break;
  }
  return 0;
}

void erase_last_character(std::string& text) {
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
  if (!text.empty()) text.pop_back();
}

}  // namespace

std::string_view name_of(TopModel::Sort sort) {
  constexpr std::string_view kNames[kSorts] = {"problems", "name",  "active", "new/s",
                                               "in/s",     "out/s", "fail"};
  return kNames[static_cast<std::size_t>(sort)];
}

double SparkSample::*TopModel::measure() const {
  if (sort_ == Sort::New) return &SparkSample::fresh;
  if (sort_ == Sort::In || sort_ == Sort::Out) return &SparkSample::bytes;
  return &SparkSample::active;
}

void TopModel::hear_status(std::string_view json) {
  auto root = parse_object(json);
  silence_.clear();
  rows_.clear();
  root_ = std::move(root);
  std::map<std::string, SparkSample> look;
  for (const auto& pool : list(root_, "pools"))
    for (const auto& backend : list(pool, "backends"))
      look[text(pool, "name") + "/" + text(backend, "name")] = {
          real(backend, "active"), real(backend, "sessions_per_second"),
          real(backend, "bytes_to_backend_per_second") + real(backend, "bytes_to_client_per_second")};
  history_.add(look);
  arrange();
  if (mode_ == Mode::Confirm) ask_again();
}

void TopModel::hear_sessions(std::string_view json) {
  sessions_ = parse_object(json);
  scroll_sessions(0);
}

void TopModel::hear_changed(const Order& order, std::string_view json) {
  auto said = render_changed(json, order.verb);
  if (said.ends_with('\n')) said.pop_back();
  for (const auto& warning : warnings_of(json)) said += "; " + warning;
  note_ = {said, false};
}

void TopModel::hear_nothing(const std::string& why, std::chrono::seconds since) {
  silence_ = fmt::format("no answer for {}: {}; it is asked again, and this is what it said last",
                         age(static_cast<double>(since.count())), why);
}

void TopModel::set_room(std::size_t rows) {
  room_ = std::max<std::size_t>(rows, 1);
  keep_in_view();
}

void TopModel::set_session_room(std::size_t rows) {
  session_room_ = std::max<std::size_t>(rows, 1);
  scroll_sessions(0);
}

/// The last ones fill the pane.
void TopModel::scroll_sessions(std::ptrdiff_t by) {
  const auto all = static_cast<std::ptrdiff_t>(list(sessions_, "sessions").size());
  const auto last = std::max(all - static_cast<std::ptrdiff_t>(session_room_), std::ptrdiff_t{0});
  first_session_ = static_cast<std::size_t>(
      std::clamp(static_cast<std::ptrdiff_t>(first_session_) + by, std::ptrdiff_t{0}, last));
}

bool TopModel::fits(const Row& row) const {
  if (filter_.empty()) return true;
  const auto wanted = lower(filter_), name = lower(row.name);
  if (is_glob(wanted)) return glob_matches(wanted, name);
  return name.find(wanted) != std::string::npos ||
         lower(text(*row.backend, "address")).find(wanted) != std::string::npos ||
         lower(state_cell(*row.backend).text).find(wanted) != std::string::npos;
}

/// The rows anew. Who is selected stays so wherever it goes; one that has left gives its place to the next.
void TopModel::arrange() {
  rows_.clear();
  all_ = 0;
  for (const auto& pool : list(root_, "pools"))
    for (const auto& backend : list(pool, "backends")) {
      if (!backend.is_object()) continue;
      ++all_;
      Row row{text(pool, "name") + "/" + text(backend, "name"), &pool, &backend};
      if (fits(row)) rows_.push_back(std::move(row));
    }
  std::ranges::stable_sort(rows_, [this](const Row& a, const Row& b) {
    if (sort_ == Sort::Problems) return rank(a) < rank(b);
    if (sort_ == Sort::Name) return a.name < b.name;
    return value_of(a, sort_) > value_of(b, sort_);
  });
  const auto same = std::ranges::find(rows_, selected_name_, &Row::name);
  if (same != rows_.end())
    selected_ = static_cast<std::size_t>(same - rows_.begin());
  else
    move(0);
  keep_in_view();
}

void TopModel::move(std::ptrdiff_t by) {
  const auto last = static_cast<std::ptrdiff_t>(rows_.size()) - 1;
  const auto next = std::clamp(static_cast<std::ptrdiff_t>(selected_) + by, std::ptrdiff_t{0},
                               std::max(last, std::ptrdiff_t{0}));
  selected_ = static_cast<std::size_t>(next);
  const std::string name = rows_.empty() ? "" : rows_[selected_].name;
  if (name != selected_name_) {
    sessions_ = AnswerJson::object();
    first_session_ = 0;
  }
  selected_name_ = name;
  keep_in_view();
}

void TopModel::keep_in_view() {
  if (selected_ < first_) first_ = selected_;
  if (selected_ >= first_ + room_) first_ = selected_ + 1 - room_;
  first_ = std::min(first_, rows_.size() - std::min(rows_.size(), room_));
}

TopModel::Effect TopModel::press(const KeyPress& key) {
  switch (mode_) {
    case Mode::Browse:
      return browse(key);
    case Mode::Confirm:
      return confirm(key);
    case Mode::Filter:
    case Mode::Weight:
      type(key);
  }
  return {};
}

TopModel::Effect TopModel::browse(const KeyPress& key) {
  note_ = {};
  const auto page = static_cast<std::ptrdiff_t>(room_);
  const auto whole = static_cast<std::ptrdiff_t>(rows_.size());
  switch (key.kind) {
    case KeyPress::Kind::Up:
      move(-1);
      return {};
    case KeyPress::Kind::Down:
      move(1);
      return {};
    case KeyPress::Kind::PageUp:
      move(-page);
      return {};
    case KeyPress::Kind::PageDown:
      move(page);
      return {};
    case KeyPress::Kind::Home:
      move(-whole);
      return {};
    case KeyPress::Kind::End:
      move(whole);
      return {};
    case KeyPress::Kind::Tab:
    case KeyPress::Kind::Enter:
      with_sessions_ = !with_sessions_;
      return {};
    case KeyPress::Kind::Escape:
      filter_.clear();
      arrange();
      return {};
    case KeyPress::Kind::Erase:
      return {};
    case KeyPress::Kind::Text:
      break;
  }
  const char letter = key.text.size() == 1 ? key.text[0] : '\0';
  if (letter == 'q' || letter == 'Q') return {true};
  if (letter == 'k') move(-1);
  if (letter == 'j') move(1);
  if (letter == '[') scroll_sessions(-static_cast<std::ptrdiff_t>(session_room_));
  if (letter == ']') scroll_sessions(static_cast<std::ptrdiff_t>(session_room_));
  if (letter == 's' || letter == 'S') {
    const std::size_t by = letter == 's' ? 1 : kSorts - 1;
    sort_ = static_cast<Sort>((static_cast<std::size_t>(sort_) + by) % kSorts);
    arrange();
  }
  if (letter == '/') {
    mode_ = Mode::Filter;
    typed_ = filter_;
  }
  if (letter == 'd' || letter == 'e' || letter == 'w') ask(letter);
  return {};
}

void TopModel::type(const KeyPress& key) {
  const bool filters = mode_ == Mode::Filter;
  const std::size_t most = filters ? kMostTyped : kMostOfWeight;
  if (key.kind == KeyPress::Kind::Escape) {
    mode_ = Mode::Browse;
    if (filters) filter_.clear();
  } else if (key.kind == KeyPress::Kind::Enter) {
    mode_ = Mode::Browse;
    if (!filters) return typed_weight();
  } else if (key.kind == KeyPress::Kind::Erase) {
    erase_last_character(typed_);
  } else if (key.kind == KeyPress::Kind::Text && typed_.size() + key.text.size() <= most) {
    typed_ += key.text;
  } else if (key.kind == KeyPress::Kind::Up || key.kind == KeyPress::Kind::Down) {
    if (filters) move(key.kind == KeyPress::Kind::Up ? -1 : 1);
    return;
  }
  if (mode_ == Mode::Filter) filter_ = typed_;
  if (filters) arrange();
}

}  // namespace weir
