// What an operator says of backends.
#include <fmt/format.h>

#include <algorithm>

#include "lb/base/log.h"
#include "lb/base/user_name.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_state.h"
#include "lb/control/operator_words.h"

namespace weir {

namespace {

/// Shorter than an older process may take to answer (AdminRequest::kPatience).
constexpr Millis kMostDrainWait{1'000};
/// How late a word may end because somebody has set the system's clock.
constexpr Millis kClockPatience{60'000};

Remark take_remark(const HttpRequest& request, Parameters& parameters) {
  Remark out{.by = operator_of(request), .comment = parameters.take("comment").value_or("")};
  if (!is_comment(out.comment))
    parameters.fault("comment", out.comment, fmt::format("one line of at most {} bytes", kMostCommentBytes));
  if (const auto lasts = parameters.take_number("for_ms", 1, kMostMillis)) out.lasts = Millis(*lasts);
  return out;
}

}  // namespace

std::string operator_of(const HttpRequest& request) {
  if (!request.peer) return request.by;
  const bool for_another = request.peer->uid == 0 && is_user_name(request.operated);
  return for_another ? request.operated + " by sudo" : user_name(request.peer->uid);
}

void AdminApi::State::backend_command(const HttpRequest& request, Parameters& parameters,
                                      const Answer& answer) {
  const auto target = request.path[2] + "/" + request.path[3];
  if (request.method == "DELETE") {
    const bool force = parameters.take_flag("force");
    if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
    return finish(parts.registry.remove(target, force, operator_of(request)), answer);
  }
  const auto& verb = request.path[4];
  if (verb == "drain") return drain(request, target, parameters, answer);
  if (verb == "disable") return set_admin(request, target, Admin::Disabled, parameters, answer);
  if (verb == "enable") return set_admin(request, target, Admin::Enabled, parameters, answer);
  if (verb == "weight") return set_weight(request, target, parameters, answer);
  answer_usage(answer, fmt::format("{} is not drain, disable, enable or weight", quoted(verb)));
}

void AdminApi::State::set_admin(const HttpRequest& request, const std::string& target, Admin admin,
                                Parameters& parameters, const Answer& answer) {
  const bool force = parameters.take_flag("force");
  const Remark remark =
      admin == Admin::Enabled ? Remark{.by = operator_of(request)} : take_remark(request, parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  const auto result = parts.registry.set_admin(target, admin, force, remark);
  if (result && admin == Admin::Enabled)
    for (const auto& one : result->backends) closer.cancel(one.load->id);
  finish(result, answer);
}

void AdminApi::State::drain(const HttpRequest& request, const std::string& target, Parameters& parameters,
                            const Answer& answer) {
  const auto then = parameters.take("then").value_or("leave");
  const auto timeout = parameters.take_number("timeout_ms", 0, kMostMillis);
  const auto spread = parameters.take_number("spread_ms", 0, kMostMillis);
  const bool force = parameters.take_flag("force");
  const Remark remark = take_remark(request, parameters);
  if (then != "leave" && then != "close") parameters.fault("then", then, "leave or close");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (then == "close" && !timeout) return answer_usage(answer, "then = close needs a timeout_ms");
  if (then != "close" && spread) return answer_usage(answer, "spread_ms goes with then = close");
  if (remark.lasts && then == "close" && *remark.lasts < Millis(*timeout + spread.value_or(0)))
    return answer_usage(answer, "for_ms ends before timeout_ms and spread_ms have passed");
  const auto result = parts.registry.set_admin(target, Admin::Drained, force, remark);
  if (result && then == "close") {
    const Millis begin(*timeout), over(spread.value_or(0));
    for (const auto& one : result->backends) {
      closer.schedule(one.load, std::chrono::steady_clock::now() + begin, over);
      daemon_log().info("{}/{}: what is left in {} will be closed, over {}", one.load->pool, one.load->name,
                        format_duration(begin), format_duration(over));
    }
    run_closer();
  }
  finish(result, answer);
}

void AdminApi::State::await_drain(const std::string& target, Parameters& parameters, const Answer& answer) {
  const auto most = static_cast<std::uint64_t>(kMostDrainWait.count());
  const Millis at_most(parameters.take_number("wait_ms", 0, most).value_or(0));
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  drains.wait(target, at_most, [answer](const CommandResult<Registry::Drains>& found) {
    if (!found) return answer_error(answer, found.error());
    answer({200, to_json(*found)});
  });
}

void AdminApi::State::set_weight(const HttpRequest& request, const std::string& target,
                                 Parameters& parameters, const Answer& answer) {
  std::optional<std::uint64_t> weight;
  auto text = parameters.take("weight");
  if (!text) return answer_usage(answer, "weight is missing: 1 to 256, or \"default\"");
  if (*text != "default") {
    Parameters one({{"weight", *text}});
    weight = one.take_number("weight", 1, 256);
    if (const auto fault = one.fault(); !fault.empty()) return answer_usage(answer, fault);
  }
  const Remark remark = take_remark(request, parameters);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  finish(parts.registry.set_weight(
             target, weight ? std::optional(static_cast<std::uint32_t>(*weight)) : std::nullopt, remark),
         answer);
}

void AdminApi::State::add(const HttpRequest& request, const std::string& pool, Parameters& parameters,
                          const Answer& answer) {
  const auto name = parameters.take("name");
  const auto address = parameters.take("address");
  const auto weight = parameters.take_number("weight", 1, 256).value_or(1);
  const bool backup = parameters.take_flag("backup");
  const auto max_sessions = parameters.take_number("max_sessions", 0, kMaxSessions).value_or(0);
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!name || !address) return answer_usage(answer, "name and address are needed");
  finish(parts.registry.add(pool, *name, *address, static_cast<std::uint32_t>(weight), backup,
                            static_cast<std::uint32_t>(max_sessions), operator_of(request)),
         answer);
}

void AdminApi::State::save(std::function<void(const std::vector<std::string>&)> done) {
  parts.state.save(parts.registry.overrides());
  end_words();
  parts.state.when_saved([done = std::move(done)](const Result<void>& saved) {
    if (saved) return done({});
    done({fmt::format("this will not survive a restart: {}", saved.error().message)});
  });
}

void AdminApi::State::finish(const CommandResult<Change>& result, const Answer& answer) {
  if (!result) return answer_error(answer, result.error());
  save([this, answer, change = *result](const std::vector<std::string>& warnings) {
    parts.adoption.when(change.generation, [answer, change, warnings] {
      answer({200, to_json(change, warnings)});
    });
  });
}

void AdminApi::State::end_words() {
  word_timer.stop();
  // Another process ends them then, and tells.
  if (parts.facts().stopping) return;
  const auto freed = parts.registry.end_words();
  for (const BackendId id : freed) closer.cancel(id);
  if (!freed.empty()) parts.state.save(parts.registry.overrides());
  const auto next = parts.registry.next_word_end();
  if (!next) return;
  const auto left = std::chrono::ceil<Millis>(*next - std::chrono::system_clock::now());
  word_timer.start(std::clamp(left, Millis(1), kClockPatience));
}

void AdminApi::on_table(const Table& table) {
  state_->closer.cancel_enabled(table);
  state_->tell_elders(table);
}

void AdminApi::State::tell_elders(const Table& table) {
  if (parts.predecessors == nullptr || parts.predecessors->list().empty()) return kept_out.clear();
  std::set<std::pair<std::string, std::string>> kept_out_now;
  for (const auto& pool : table.pools)
    for (const Backend& backend : pool->backends()) {
      std::pair key(pool->settings().name, backend.name);
      if (backend.stand_in) continue;
      if (backend.admin != Admin::Enabled) {
        kept_out_now.insert(std::move(key));
      } else if (kept_out.contains(key)) {
        HttpRequest request;
        request.method = "POST";
        request.path = {"v1", "backends", key.first, key.second, "enable"};
        parts.predecessors->handle(
            std::move(request), [](const HttpResponse&) {},
            [](const HttpRequest&, const Answer& answer) {
              answer({200, "{}"});
            });
      }
    }
  kept_out = std::move(kept_out_now);
}

void AdminApi::State::close_some(const BackendLoad& backend, std::uint64_t count) {
  SessionFilter all;
  all.backend_id = backend.id;
  // A spread comes in many rounds: what an operator has to know was said when it was asked for.
  daemon_log().debug("{}/{}: closing {} of {} sessions, its drain has timed out", backend.pool, backend.name,
                     count, backend.active.load());
  parts.workers.kill_sessions(all, count, End::Killed, [](std::uint64_t) {});
}

void AdminApi::State::run_closer() {
  const auto now = std::chrono::steady_clock::now();
  closer.tick(now);
  if (const auto wait = closer.next_step(now)) closer_timer.start(*wait);
}

}  // namespace weir
