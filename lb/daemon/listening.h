#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/config/config.h"
#include "lb/control/registry.h"
#include "lb/daemon/doors.h"
#include "lb/daemon/fleet.h"
#include "lb/net/inherited.h"

namespace weir {

/// The process's listening sockets: which listener's address has which, and how they change. What is changed
/// is changed as a whole, by a Change. A socket is known here from its bind until the last worker has closed
/// it: the address of one that is closing is neither free nor a stranger's, and when it is wanted again the
/// close is taken back. The sockets themselves belong to the workers once they are open. Control thread only.
class Listening {
 public:
  class Change;

  Listening(std::uint32_t workers, Doors& doors);
  /// Removes the paths of unix sockets that are ours to remove.
  ~Listening();
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

  /// Sockets that this process was started with. A Change uses those whose address it wants as they are, and
  /// binds none anew.
  void inherit(std::vector<InheritedSocket> sockets) { inherited_ = std::move(sockets); }
  /// Whoever gave them has been told what is used. The others are closed, but for those that are open outside
  /// as well: a later Change may want them. Answers the addresses that no listener has.
  std::vector<Address> settle_inherited();
  /// The process that handed its sockets to this one leaves the paths of unix sockets to it.
  void own_paths();

  /// Binds and listens on every address of `config` that is not held already, and anew on unix paths that
  /// somebody has removed. Nothing is accepted yet:
  /// clients wait in the kernel's queue. An error names listener, address and reason, and leaves things as
  /// they were. One Change at a time.
  Result<Change> plan(const Config& config);
  /// The start: the last Change that was committed takes effect, and later ones do at their commit. Whoever
  /// is in the queue of a socket that was planned before and is not wanted any more is served.
  void open(Registry& registry, Fleet& fleet);
  /// Before open(): whether a client is in a queue.
  bool anybody_waits() const;

  /// Closes for a while the listeners that are to be while their pools have nobody, and opens them again:
  /// after each Table that the workers have been sent, and each Change.
  void follow(const Table& table);
  /// The names of those that are closed so.
  std::vector<std::string> shut() const;

  /// Serves all queues out and closes the sockets.
  void close_all(Fleet& fleet);
  /// Sockets that some worker has not closed yet: their clients have not been served.
  std::size_t closing() const;

  /// What another process needs to serve in this one's place, out of the workers' sockets
  /// (Fleet::duplicate_listeners).
  Result<std::vector<InheritedSocket>> bequeath(std::vector<Fd> sockets) const;
  /// It serves them from now on, but for those at the addresses of `unused` (as text), whose queues are
  /// served out. Unix paths are left to it.
  void give_up(const std::vector<std::string>& unused, Fleet& fleet);

 private:
  struct Record;
  struct Part;
  using Records = std::vector<std::unique_ptr<Record>>;

  // listening_plan.cpp
  Result<void> plan_address(const ListenerConfig& listener, const Address& address,
                            std::vector<std::uint32_t>& made);
  Result<bool> take_back(const ListenerConfig& listener, const Address& address,
                         std::vector<std::uint32_t>& made);
  Result<void> bind(Record& record, const ListenerConfig& listener);
  /// The file of a socket that is there already gets the mode and the owner that the configuration names.
  static void keep_access(const ListenerConfig& listener, const Record& record);
  Result<void> share_out(Record& record, std::vector<Fd> sockets) const;
  bool is_ours(const Address& address) const;
  bool is_held_outside(std::uint64_t identity) const;
  void undo(const std::vector<std::uint32_t>& made);

  void take_effect(Registry& registry, Fleet& fleet);
  /// Of the clients that this record's sockets bring.
  void keep_congestion_control(const ListenerConfig& listener, Record& record, Fleet& fleet) const;
  void open(Record& record, ListenerLoad& load, const Doorway& doorway, Fleet& fleet) const;
  void close(Record& record, Fleet& fleet);
  void order_close(Record& record, std::size_t worker, Fleet& fleet);
  void on_closed(std::uint32_t id, std::size_t worker, std::uint64_t order);
  /// The one that is planned, or else the one that is open; null when there is none, or only one that is
  /// closing.
  Record* find(const Address& address) const;

  const std::uint32_t workers_;
  Doors& doors_;
  std::uint32_t next_id_ = 1;
  std::uint64_t next_order_ = 1;
  Records records_;
  std::vector<InheritedSocket> inherited_;
  std::vector<ListenerConfig> wanted_;  ///< by the last Change that was committed
  UnnamedCongestionControl unnamed_;    ///< as it was then
  Fleet* fleet_ = nullptr;              ///< whose workers have the open ones; set by open()
  bool planning_ = false;               ///< a Change is neither committed nor undone
};

/// What one configuration needs of sockets, held and not yet put to use. Committed, or else undone as a whole
/// when it goes: new sockets are closed, their paths removed, closes that were taken back ordered again. Its
/// Listening outlives it. Move-only; control thread.
class Listening::Change {
 public:
  Change(Change&& other) noexcept;
  Change& operator=(Change&&) = delete;
  ~Change();

  /// Gives the workers what is new, moves what has changed its listener or pool, closes what is not wanted
  /// any more; before Listening::open(), with that. The Registry knows the configuration already, and the
  /// workers have been sent its Table. Cannot fail.
  void commit(Registry& registry, Fleet& fleet) &&;

 private:
  friend class Listening;
  Change(Listening& listening, std::vector<ListenerConfig> wanted, std::vector<std::uint32_t> made);

  Listening* listening_;  ///< null when there is nothing left to undo
  std::vector<ListenerConfig> wanted_;
  std::vector<std::uint32_t> made_;  ///< records that it has bound, or has taken back from their close
};

}  // namespace weir
