#include "lb/control/name_resolution.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/net/resolver.h"

namespace weir {

NameResolution::NameResolution(Loop& loop, Registry& registry)
    : loop_(loop),
      registry_(registry),
      retry_(loop,
             [this] {
               asking_.clear();
               update();
             }),
      alive_(std::make_shared<bool>(true)) {}

NameResolution::~NameResolution() {
  *alive_ = false;
}

void NameResolution::update() {
  const auto table = registry_.table();
  if (!table) return;
  for (const auto& pool : table->pools)
    for (const Backend& backend : pool->backends())
      if (!backend.endpoint.host.empty() && backend.addresses.empty() && !asking_.contains(backend.id()))
        ask(backend);
}

void NameResolution::ask(const Backend& backend) {
  const BackendId id = backend.id();
  asking_[id] = true;
  ++unanswered_;
  resolve(loop_, backend.endpoint.host, backend.endpoint.port,
          [this, alive = alive_, id, host = backend.endpoint.host](Result<std::vector<Address>> addresses) {
            if (*alive) answered(id, host, std::move(addresses));
          });
}

void NameResolution::answered(BackendId id, const std::string& host, Result<std::vector<Address>> addresses) {
  --unanswered_;
  asking_[id] = false;
  if (addresses) {
    registry_.set_addresses(id, std::move(*addresses), "");
  } else {
    registry_.set_addresses(id, {}, fmt::format("{} does not resolve: {}", host, addresses.error().message));
    if (!retry_.active()) retry_.start(kRetry);
  }
  const bool waiting =
      std::any_of(asking_.begin(), asking_.end(), [](const auto& entry) { return entry.second; });
  if (!waiting && done_) std::exchange(done_, nullptr)();
}

void NameResolution::when_answered(std::function<void()> done) {
  const bool waiting =
      std::any_of(asking_.begin(), asking_.end(), [](const auto& entry) { return entry.second; });
  if (waiting)
    done_ = std::move(done);
  else
    done();
}

}  // namespace weir
