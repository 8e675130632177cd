// `weir top`: the status again and again, in place, with keys.
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "lb/cli/commands.h"
#include "lb/cli/errands.h"
#include "lb/cli/exchange.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/render.h"
#include "lb/cli/screen.h"
#include "lb/cli/top_model.h"
#include "lb/cli/top_view.h"

namespace weir {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis kLookEvery{1'000};
/// Of a look: an operator is told that a daemon hangs while he still looks at it.
constexpr Millis kLookPatience{2'000};
/// A terminal's sequence of bytes has no longer pause in it, over ssh either.
constexpr Millis kKeyPause{50};
/// A screen has no room for more.
constexpr const char* kMostSessions = "200";

/// Who asks the daemon on behalf of the model, and shows the model.
class Top {
 public:
  Top(const CommonOptions& common, std::vector<std::string> path)
      : path_(std::move(path)),
        look_patience_(common.patience.value_or(kLookPatience)),
        order_patience_(common.patience.value_or(kAnswerPatience)),
        errands_(admin_socket(common.socket)) {}

  int run(std::string_view first_status) {
    model_.hear_status(first_status);
    ask_rights();
    for (bool stays = true; stays;) {
      if (stale_ && !screen_.show(top_lines(model_, standard_terminal(), std::chrono::system_clock::now())))
        break;
      stale_ = false;
      if (!looking_ && Clock::now() >= next_look_) look();
      if (model_.with_sessions() && !listing_) list_sessions();
      const std::array descriptors{screen_.keyboard(), screen_.signals()};
      errands_.wait(descriptors, until_next());
      stays = hear();
    }
    return kExitDone;
  }

 private:
  Millis until_next() const {
    if (screen_.pending()) return kKeyPause;
    if (looking_) return kLookEvery;
    return std::max(Millis(0), std::chrono::ceil<Millis>(next_look_ - Clock::now()));
  }

  /// False: to end.
  bool hear() {
    const bool quiet = screen_.pending();
    const auto heard = screen_.hear(quiet);
    stale_ = stale_ || heard.again || !heard.keys.empty();
    for (const KeyPress& key : heard.keys) {
      const auto effect = model_.press(key);
      if (effect.ends) return false;
      if (effect.order) send(*effect.order);
    }
    return !heard.ends;
  }

  void look() {
    looking_ = true;
    next_look_ = Clock::now() + kLookEvery;
    errands_.begin("GET", path_, {}, "", look_patience_, [this](Result<AdminReply> reply) {
      looking_ = false;
      stale_ = true;
      const auto why = complaint_of(reply);
      if (why.empty()) {
        // Another one may answer now, at another kind of socket.
        if (!model_.silence().empty()) ask_rights();
        heard_ = Clock::now();
        return model_.hear_status(reply->body);
      }
      model_.hear_nothing(why, std::chrono::floor<std::chrono::seconds>(Clock::now() - heard_));
    });
  }

  void ask_rights() {
    errands_.begin("GET", {"version"}, {}, "", look_patience_, [this](Result<AdminReply> reply) {
      if (complaint_of(reply).empty()) model_.set_may_change(!flag(parse_object(reply->body), "read_only"));
    });
  }

  /// Once for each look, and at once for another backend.
  void list_sessions() {
    const auto* row = model_.selected_row();
    if (row == nullptr || (row->name == listed_ && Clock::now() < next_list_)) return;
    listing_ = true;
    listed_ = row->name;
    next_list_ = Clock::now() + kLookEvery;
    const AdminClient::Query query{{"pool", text(*row->pool, "name")},
                                   {"backend", text(*row->backend, "name")},
                                   {"sort", "age"},
                                   {"limit", kMostSessions}};
    errands_.begin("GET", {"sessions"}, query, "", look_patience_,
                   [this, name = row->name](Result<AdminReply> reply) {
                     listing_ = false;
                     const auto* now = model_.selected_row();
                     if (!complaint_of(reply).empty() || now == nullptr || now->name != name) return;
                     model_.hear_sessions(reply->body);
                     stale_ = true;
                   });
  }

  void send(const TopModel::Order& order) {
    errands_.begin("POST", {"backends", order.pool, order.backend, order.verb}, {}, dumped(order.body),
                   order_patience_, [this, order](Result<AdminReply> reply) {
                     stale_ = true;
                     next_look_ = Clock::now();
                     const auto why = complaint_of(reply);
                     if (!why.empty()) return model_.hear_refusal(why);
                     model_.hear_changed(order, reply->body);
                   });
  }

  static std::string complaint_of(const Result<AdminReply>& reply) {
    if (!reply) return reply.error().message;
    return reply->status == 200 ? "" : complaint_in(*reply);
  }

  const std::vector<std::string> path_;
  const Millis look_patience_, order_patience_;
  TopModel model_;
  Screen screen_;
  Errands errands_;
  Clock::time_point heard_ = Clock::now(), next_look_ = heard_ + kLookEvery, next_list_ = {};
  std::string listed_;  ///< whose sessions were asked for last
  bool looking_ = false, listing_ = false, stale_ = true;
};

}  // namespace

int run_top(const CommonOptions& common, const std::string& pool) {
  std::vector<std::string> path{"status"};
  if (!pool.empty()) path.push_back(pool);
  if (common.json || !Screen::possible()) return run_status(common, {pool.empty() ? "" : pool}, false);
  const Exchange first(common, "GET", path);
  if (first.failed()) return first.exit_status();
  return Top(common, path).run(first.body());
}

}  // namespace weir
