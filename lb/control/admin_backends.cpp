// What an operator says of backends.
#include <fmt/format.h>

#include "lb/base/log.h"
#include "lb/control/admin_json.h"
#include "lb/control/admin_state.h"

namespace weir {

namespace {

/// Shorter than an older process may take to answer (AdminRequest::kPatience).
constexpr Millis kMostDrainWait{1'000};

}  // namespace

void AdminApi::State::backend_command(const HttpRequest& request, Parameters& parameters,
                                      const Answer& answer) {
  const auto target = request.path[2] + "/" + request.path[3];
  if (request.method == "DELETE") {
    const bool force = parameters.take_flag("force");
    if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
    return finish(parts.registry.remove(target, force), answer);
  }
  const auto& verb = request.path[4];
  if (verb == "drain") return drain(target, parameters, answer);
  if (verb == "disable") return set_admin(target, Admin::Disabled, parameters, answer);
  if (verb == "enable") return set_admin(target, Admin::Enabled, parameters, answer);
  if (verb == "weight") return set_weight(target, parameters, answer);
  answer_usage(answer, fmt::format("{} is not drain, disable, enable or weight", quoted(verb)));
}

void AdminApi::State::set_admin(const std::string& target, Admin admin, Parameters& parameters,
                                const Answer& answer) {
  const bool force = parameters.take_flag("force");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  const auto result = parts.registry.set_admin(target, admin, force);
  if (result && admin == Admin::Enabled)
    for (const auto& one : result->backends) closer.cancel(one.load->id);
  finish(result, answer);
}

void AdminApi::State::drain(const std::string& target, Parameters& parameters, const Answer& answer) {
  const auto then = parameters.take("then").value_or("leave");
  const auto timeout = parameters.take_number("timeout_ms", 0, kMostMillis);
  const auto spread = parameters.take_number("spread_ms", 0, kMostMillis);
  const bool force = parameters.take_flag("force");
  if (then != "leave" && then != "close") parameters.fault("then", then, "leave or close");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (then == "close" && !timeout) return answer_usage(answer, "then = close needs a timeout_ms");
  if (then != "close" && spread) return answer_usage(answer, "spread_ms goes with then = close");
  const auto result = parts.registry.set_admin(target, Admin::Drained, force);
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

void AdminApi::State::set_weight(const std::string& target, Parameters& parameters, const Answer& answer) {
  std::optional<std::uint64_t> weight;
  auto text = parameters.take("weight");
  if (!text) return answer_usage(answer, "weight is missing: 1 to 256, or \"default\"");
  if (*text != "default") {
    Parameters one({{"weight", *text}});
    weight = one.take_number("weight", 1, 256);
    if (const auto fault = one.fault(); !fault.empty()) return answer_usage(answer, fault);
  }
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  finish(parts.registry.set_weight(
             target, weight ? std::optional(static_cast<std::uint32_t>(*weight)) : std::nullopt),
         answer);
}

void AdminApi::State::add(const std::string& pool, Parameters& parameters, const Answer& answer) {
  const auto name = parameters.take("name");
  const auto address = parameters.take("address");
  const auto weight = parameters.take_number("weight", 1, 256).value_or(1);
  const bool backup = parameters.take_flag("backup");
  if (const auto fault = parameters.fault(); !fault.empty()) return answer_usage(answer, fault);
  if (!name || !address) return answer_usage(answer, "name and address are needed");
  finish(parts.registry.add(pool, *name, *address, static_cast<std::uint32_t>(weight), backup), answer);
}

void AdminApi::State::save(std::function<void(const std::vector<std::string>&)> done) {
  parts.state.save(parts.registry.overrides());
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

void AdminApi::State::close_some(const BackendLoad& backend, std::uint64_t count) {
  SessionFilter all;
  all.backend_id = backend.id;
  // A spread comes in many rounds: what an operator has to know was said when it was asked for.
  daemon_log().debug("{}/{}: closing {} of {} sessions, its drain has timed out", backend.pool, backend.name,
                     count, backend.active.load());
  parts.workers.kill_sessions(all, count, [](std::uint64_t) {});
}

void AdminApi::State::run_closer() {
  const auto now = std::chrono::steady_clock::now();
  closer.tick(now);
  if (const auto wait = closer.next_step(now)) closer_timer.start(*wait);
}

}  // namespace weir
