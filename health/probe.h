#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lb/base/address.h"
#include "lb/config/config.h"

namespace weir {

class ProbeLoop;

enum class Outcome : std::uint8_t {
  Passed,
  Failed,
  OwnTrouble  ///< no descriptors, no source port, no process: says nothing about the backend
};

struct ProbeResult {
  Outcome outcome;
  std::string text;        ///< why it did not pass: "connection refused"; empty when it passed
  bool connected = false;  ///< false: it got no connection, so the backend's next address may do better
  bool shortage = false;   ///< OwnTrouble that every other address would meet, too
};

/// What a probe is to look at. Its user keeps what it refers to alive as long as the probe.
struct ProbeInput {
  const Address& address;  ///< with the probe's own port, if it has one
  const ProbeConfig& config;
  const std::string& pool;
  const std::string& backend;
};

/// One run of one check against one address, on the checker's loop. Knows no timeout: its user has the clock,
/// and gives up with ProbeLoop::bury, which cancels it at once and destroys it at the end of the turn, when
/// no event can come for it.
class Probe {
 public:
  /// Called once at most, possibly from within start().
  using Done = std::function<void(ProbeResult)>;

  virtual ~Probe() = default;
  virtual void start() = 0;
  /// No callback any more; descriptors are closed and processes killed at once. Harmless when it is over.
  virtual void cancel() = 0;
  /// The time is over: looks once more whether the answer is there already, and calls `Done` if it is. (A
  /// loop that was held up sees the clock before it sees the socket.)
  virtual void look_again() = 0;
  /// Whether the backend has accepted, so that its next address would tell nothing new.
  virtual bool connected() const = 0;
};

/// Makes the probes of one kind for one loop, and owns what they share.
class ProbeFactory {
 public:
  virtual ~ProbeFactory() = default;
  virtual std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) = 0;
  /// Nothing of cancelled probes is left (a killed process that has not been reaped yet).
  virtual bool idle() const { return true; }
};

struct ProbeKind {
  std::string_view name;
  std::unique_ptr<ProbeFactory> (*make_factory)(ProbeLoop&);  ///< null: this kind does not probe
  bool is_command = false;                                    ///< costs a process instead of a socket
  bool knows_backend = false;  ///< the check depends on pool and name, so that no two backends share one
};

/// Every kind, in the order in which they are documented. A constant list.
std::span<const ProbeKind> probe_kinds();
/// Null when there is none of this name.
const ProbeKind* find_probe_kind(std::string_view name);

}  // namespace weir
