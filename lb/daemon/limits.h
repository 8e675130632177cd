#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "lb/config/config.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"
#include "lb/proxy/admission.h"
#include "lb/proxy/descriptors.h"
#include "lb/proxy/pipe_pool.h"

namespace weir {

/// How many sessions, pipes and probes there may be at once: by the configuration, and by the limit on open
/// files, which somebody else may lower and raise while this process runs. Owns the ledgers that sessions and
/// pipes draw from. Control thread only, but for what the ledgers offer any thread.
class Limits {
 public:
  /// `descriptor_limit`: what this process may count on. `set_most_probes` hears how many probes may have a
  /// socket at once. Nobody is let in before set().
  Limits(Loop& loop, std::uint32_t workers, std::uint64_t descriptor_limit,
         std::function<void(std::size_t)> set_most_probes);

  void set(std::shared_ptr<const Config> config);
  /// A descriptor was refused: looks whether the limit is still what it was, and until it is again.
  void on_shortage();

  Admission& admission() { return admission_; }
  PipeAllowance& pipes() { return pipes_; }

 private:
  void apply();

  const std::uint32_t workers_;
  const std::uint64_t granted_;  ///< descriptors, at the start
  std::uint64_t descriptors_now_;
  std::function<void(std::size_t)> set_most_probes_;
  std::shared_ptr<const Config> config_;
  Descriptors descriptors_;
  Admission admission_{0, descriptors_};
  PipeAllowance pipes_{descriptors_};
  Timer look_again_;
};

}  // namespace weir
