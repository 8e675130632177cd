#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lb/config/config.h"
#include "lb/control/registry.h"
#include "lb/fleet.h"

namespace weir {

/// The process's listening sockets: which listener's address has which, and how they change with a reload.
/// The sockets themselves belong to the workers once they are open. Control thread only.
class Listening {
 public:
  explicit Listening(std::uint32_t workers) : workers_(workers) {}
  ~Listening();

  /// Binds and listens on every address of `config` that is not held already. Nothing is accepted yet:
  /// clients wait in the kernel's queue. An error names listener, address and reason, and leaves things as
  /// they were.
  Result<void> prepare(const Config& config);

  /// Gives the workers what prepare() bound, moves what has changed its listener or pool, closes what
  /// `config` no longer has.
  void commit(const Config& config, Registry& registry, Fleet& fleet);

 private:
  struct Bound {
    std::uint32_t id;
    Address address;
    std::string listener;
    std::string pool;
    std::vector<Fd> sockets;  ///< one for each worker, or one for all; none once the workers have them
  };

  Result<Bound> bind(const ListenerConfig& listener, const Address& address) const;
  void hand_over(Bound& bound, ListenerLoad& load, Fleet& fleet) const;

  const std::uint32_t workers_;
  std::uint32_t next_id_ = 1;
  std::vector<Bound> open_;
  std::vector<Bound> prepared_;
};

}  // namespace weir
