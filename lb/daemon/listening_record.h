#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/daemon/listening.h"
#include "lb/net/socket_path.h"

namespace weir {

/// A descriptor that one worker is to have.
struct Listening::Part {
  std::size_t worker;
  Fd fd;
  bool shared;  ///< other workers have the same socket
};

/// The sockets at one address, from the bind until no worker has one open.
struct Listening::Record {
  enum class State : std::uint8_t {
    Planned,  ///< by a Change; no worker knows of `parts`, and those of `kept` wait for a word
    Open,
    Closing
  };
  /// To one worker, until it is taken back or `closed` has come; 0 = none.
  struct Order {
    std::uint64_t number = 0;
    std::shared_ptr<CloseOrder> order;
  };

  Record(std::uint32_t own_id, const Address& where, const ListenerConfig& listener_of, std::size_t workers)
      : id(own_id), address(where), listener(listener_of.name), pool(listener_of.pool), orders(workers) {}

  /// A unix socket whose path has gone: nobody comes to it any more, and it is of no use to another process.
  bool is_pathless() const { return state == State::Closing && address.has_file() && !held_outside; }

  const std::uint32_t id;
  const Address address;
  State state = State::Planned;
  std::string listener;  ///< with `pool`: what the workers know, or will when it is opened
  std::string pool;
  std::shared_ptr<const Door> door;
  std::string congestion_control;  ///< what the workers have been told; "" = nothing
  std::vector<Part> parts;
  std::vector<std::size_t> kept;  ///< workers whose close has been taken back; they have their sockets still
  std::vector<Order> orders;      ///< by worker
  std::vector<std::uint64_t> identities;
  SocketPath path;
  bool held_outside = false;  ///< one of the sockets is open outside, too
  /// What the workers have been told (Worker::set_shut); nothing: they may have either.
  std::optional<bool> shut = false;
};

}  // namespace weir
