#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lb/config/config.h"
#include "lb/control/registry.h"
#include "lb/fleet.h"
#include "lb/net/inherited.h"

namespace weir {

/// The process's listening sockets: which listener's address has which, and how they change with a reload.
/// The sockets themselves belong to the workers once they are open. Control thread only.
class Listening {
 public:
  explicit Listening(std::uint32_t workers) : workers_(workers) {}
  /// Removes the paths of unix sockets that are ours to remove.
  ~Listening();

  /// Before the first prepare(): sockets that this process was started with. Those whose address the
  /// configuration has are used as they are, never bound anew.
  void inherit(std::vector<InheritedSocket> sockets) { inherited_ = std::move(sockets); }
  /// Closes what was inherited and is not wanted; says which addresses.
  std::vector<InheritedSocket> take_unused() { return std::exchange(inherited_, {}); }
  /// The process that handed its sockets to this one leaves the paths of unix sockets to it.
  void own_paths();

  /// Binds and listens on every address of `config` that is not held already. Nothing is accepted yet:
  /// clients wait in the kernel's queue. An error names listener, address and reason, and leaves things as
  /// they were.
  Result<void> prepare(const Config& config);

  /// Gives the workers what prepare() bound, moves what has changed its listener or pool, closes what
  /// `config` no longer has.
  void commit(const Config& config, Registry& registry, Fleet& fleet);

  /// Another process serves the sockets from now on, but for those at the addresses of `unused` (as text),
  /// whose queues are served out. Unix paths are left to it.
  void give_up(const std::vector<std::string>& unused, Fleet& fleet);
  /// Unix sockets whose path the service manager keeps.
  bool held_outside(const Address& address) const;

 private:
  struct Bound {
    std::uint32_t id;
    Address address;
    std::string listener;
    std::string pool;
    std::vector<Fd> sockets;   ///< none once the workers have them
    bool removes_path = true;  ///< of a unix socket, with the socket
    bool held_outside = false;
  };

  Result<Bound> bind(const ListenerConfig& listener, const Address& address);
  static void remove_path(const Bound& bound);
  void take_inherited(Bound& bound);
  void hand_over(Bound& bound, ListenerLoad& load, Fleet& fleet) const;

  const std::uint32_t workers_;
  std::uint32_t next_id_ = 1;
  std::vector<Bound> open_;
  std::vector<Bound> prepared_;
  std::vector<InheritedSocket> inherited_;
};

}  // namespace weir
