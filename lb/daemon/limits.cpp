#include "lb/daemon/limits.h"

#include <utility>

#include "lb/base/log.h"
#include "lb/config/load.h"
#include "lb/net/descriptor_limit.h"

namespace weir {
namespace {

constexpr Millis kLookAgain{250};

}  // namespace

Limits::Limits(Loop& loop, std::uint32_t workers, std::uint64_t descriptor_limit,
               std::function<void(std::size_t)> set_most_probes)
    : workers_(workers),
      granted_(descriptor_limit),
      descriptors_now_(descriptor_limit),
      set_most_probes_(std::move(set_most_probes)),
      look_again_(loop, [this] { on_shortage(); }) {}

void Limits::set(std::shared_ptr<const Config> config) {
  config_ = std::move(config);
  apply();
}

void Limits::on_shortage() {
  const std::uint64_t now = descriptor_limit();
  if (const std::uint64_t before = std::exchange(descriptors_now_, now); now != before) {
    daemon_log().warn("the limit on open files has become {}, it was {}", now, before);
    apply();
  }
  if (now < granted_) look_again_.start(kLookAgain);
}

void Limits::apply() {
  const Config& config = *config_;
  admission_.set_max(config.max_connections.value_or(sessions_that_fit(config, workers_, descriptors_now_)));
  descriptors_.set(descriptors_now_, reserved_descriptors(config, workers_, descriptors_now_));
  set_most_probes_(reserved_probe_sockets(config, descriptors_now_));
  // There may be more room than before.
  admission_.wake_waiting();
}

}  // namespace weir
