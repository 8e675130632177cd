#include "lb/daemon/listening.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "lb/base/congestion_control.h"
#include "lb/base/log.h"
#include "lb/daemon/listening_record.h"

namespace weir {
namespace {

bool has_nobody(const ListenerConfig& listener, const Table& table) {
  const auto is_down = [&](const std::string& name) {
    const auto pool = table.find(name);
    return pool != nullptr && pool->is_down();
  };
  return (listener.pool.empty() || is_down(listener.pool)) &&
         std::ranges::all_of(listener.door.routes, is_down, &RouteTo::pool);
}

}  // namespace

Listening::Listening(std::uint32_t workers, Doors& doors) : workers_(workers), doors_(doors) {}
Listening::~Listening() = default;

Listening::Change::Change(Listening& listening, std::vector<ListenerConfig> wanted,
                          std::vector<std::uint32_t> made)
    : listening_(&listening), wanted_(std::move(wanted)), made_(std::move(made)) {}

Listening::Change::Change(Change&& other) noexcept
    : listening_(std::exchange(other.listening_, nullptr)),
      wanted_(std::move(other.wanted_)),
      made_(std::move(other.made_)) {}

Listening::Change::~Change() {
  if (listening_ == nullptr) return;
  listening_->undo(made_);
  listening_->planning_ = false;
}

void Listening::Change::commit(Registry& registry, Fleet& fleet) && {
  Listening& listening = *std::exchange(listening_, nullptr);
  listening.planning_ = false;
  listening.wanted_ = std::move(wanted_);
  if (listening.fleet_ != nullptr) listening.take_effect(registry, fleet);
}

void Listening::open(Registry& registry, Fleet& fleet) {
  WEIR_CHECK(!planning_);
  fleet_ = &fleet;
  take_effect(registry, fleet);
}

void Listening::take_effect(Registry& registry, Fleet& fleet) {
  std::set<const Record*> wanted;
  unnamed_ = UnnamedCongestionControl::read();
  fleet.set_unnamed(unnamed_);
  for (const ListenerConfig& listener : wanted_) {
    ListenerLoad& load = registry.listener_load(listener.name, listener.pool);
    load.max_connections = listener.max_connections;
    const Doorway doorway = doors_.take(listener);
    for (const Address& address : listener.bind) {
      Record* const record = find(address);
      WEIR_CHECK(record != nullptr);
      wanted.insert(record);
      const bool moves = record->listener != listener.name || record->pool != listener.pool;
      record->listener = listener.name;
      record->pool = listener.pool;
      const bool has_another_door = std::exchange(record->door, doorway.door) != doorway.door;
      keep_access(listener, *record);
      if (record->state == Record::State::Planned) {
        open(*record, load, doorway, fleet);
      } else if (moves || has_another_door) {
        if (moves) record->shut.reset();
        for (std::size_t i = 0; i < fleet.size(); ++i)
          fleet.worker(i).post([&worker = fleet.worker(i), id = record->id, &load, doorway, moves] {
            if (moves)
              worker.move_listener(id, load, doorway);
            else
              worker.set_doorway(id, doorway);
          });
      }
      keep_congestion_control(listener, *record, fleet);
    }
  }
  for (const auto& record : records_) {
    if (record->state == Record::State::Closing || wanted.contains(record.get())) continue;
    if (record->state == Record::State::Planned)
      open(*record, registry.listener_load(record->listener, record->pool), doors_.find(record->listener),
           fleet);
    close(*record, fleet);
  }
  // A limit may have been raised.
  fleet.resume_listeners();
  follow(*registry.table());
}

void Listening::keep_congestion_control(const ListenerConfig& listener, Record& record, Fleet& fleet) const {
  if (record.address.is_unix()) return;
  std::string name = listener.congestion_control;
  if (name.empty()) name = unnamed_.of_listener(record.address);
  // One that was handed over, or was another's before, may have had a name.
  if (name.empty()) name = system_congestion_control();
  if (std::exchange(record.congestion_control, name) != name) fleet.set_congestion_control(record.id, name);
}

void Listening::open(Record& record, ListenerLoad& load, const Doorway& doorway, Fleet& fleet) const {
  record.state = Record::State::Open;
  // It may have new sockets, beside those that are kept.
  record.congestion_control.clear();
  if (!record.kept.empty()) record.shut.reset();
  for (const std::size_t kept : std::exchange(record.kept, {}))
    fleet.worker(kept).post([&worker = fleet.worker(kept), id = record.id, &load, doorway] {
      worker.move_listener(id, load, doorway);
    });
  for (Part& part : record.parts) {
    Worker& worker = fleet.worker(part.worker);
    worker.post([&worker, id = record.id, &load, doorway, fd = std::make_shared<Fd>(std::move(part.fd)),
                 shared = part.shared] { worker.add_listener(id, load, doorway, std::move(*fd), shared); });
  }
  record.parts.clear();
}

void Listening::close(Record& record, Fleet& fleet) {
  record.path.remove();
  record.state = Record::State::Closing;
  for (std::size_t worker = 0; worker < fleet.size(); ++worker) order_close(record, worker, fleet);
}

void Listening::order_close(Record& record, std::size_t worker, Fleet& fleet) {
  const std::uint64_t number = next_order_++;
  record.orders[worker] = {number,
                           fleet.close_listener(worker, record.id, [this, id = record.id, worker, number] {
                             on_closed(id, worker, number);
                           })};
}

void Listening::on_closed(std::uint32_t id, std::size_t worker, std::uint64_t order) {
  const auto found =
      std::find_if(records_.begin(), records_.end(), [&](const auto& record) { return record->id == id; });
  // The worker may have a socket of this record again, and a newer order.
  if (found == records_.end() || (*found)->orders[worker].number != order) return;
  Record& record = **found;
  record.orders[worker] = {};
  if (record.state == Record::State::Closing &&
      std::ranges::all_of(record.orders, [](const Record::Order& other) { return other.number == 0; }))
    records_.erase(found);
}

Listening::Record* Listening::find(const Address& address) const {
  Record* found = nullptr;
  for (const auto& record : records_)
    if (record->state != Record::State::Closing && record->address == address &&
        (found == nullptr || record->state == Record::State::Planned))
      found = record.get();
  return found;
}

bool Listening::anybody_waits() const {
  std::vector<pollfd> queues;
  for (const auto& record : records_)
    for (const Part& part : record->parts) queues.push_back({part.fd.get(), POLLIN, 0});
  return ::poll(queues.data(), queues.size(), 0) > 0;
}

void Listening::follow(const Table& table) {
  // A Change that is under way ends with this.
  if (fleet_ == nullptr || planning_) return;
  std::set<std::string_view> down;
  for (const ListenerConfig& listener : wanted_)
    if (listener.when_down == WhenDown::Close && has_nobody(listener, table)) down.insert(listener.name);
  for (const auto& record : records_) {
    if (record->state != Record::State::Open) continue;
    const bool shut = down.contains(record->listener);
    const std::optional<bool> before = std::exchange(record->shut, shut);
    if (before == shut) continue;
    for (std::size_t i = 0; i < fleet_->size(); ++i)
      fleet_->worker(i).post(
          [&worker = fleet_->worker(i), id = record->id, shut] { worker.set_shut(id, shut); });
    if (shut)
      daemon_log().warn("listener {}: {} is closed, no pool of it has an eligible backend", record->listener,
                        record->address.to_string());
    else if (before)
      daemon_log().info("listener {}: {} is open again", record->listener, record->address.to_string());
  }
}

std::vector<std::string> Listening::shut() const {
  std::set<std::string> names;
  for (const auto& record : records_)
    if (record->shut == true && record->state == Record::State::Open) names.insert(record->listener);
  return {names.begin(), names.end()};
}

void Listening::close_all(Fleet& fleet) {
  for (const auto& record : records_)
    if (record->state == Record::State::Open) close(*record, fleet);
}

std::size_t Listening::closing() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      records_, [](const auto& record) { return record->state == Record::State::Closing; }));
}

void Listening::own_paths() {
  for (const auto& record : records_) record->path.set_owned(!record->held_outside);
}

Result<std::vector<InheritedSocket>> Listening::bequeath(std::vector<Fd> sockets) const {
  std::set<std::uint64_t> pathless;
  for (const auto& record : records_)
    if (record->is_pathless()) pathless.insert(record->identities.begin(), record->identities.end());
  for (const InheritedSocket& socket : inherited_)
    if (find(socket.address) == nullptr) sockets.emplace_back(fcntl(socket.fd.get(), F_DUPFD_CLOEXEC, 3));
  std::vector<InheritedSocket> out;
  std::set<std::uint64_t> seen;
  for (Fd& fd : sockets) {
    if (!fd) return fail_errno("a listening socket for the new process", EMFILE);
    const std::uint64_t identity = socket_identity(fd.get());
    if (pathless.contains(identity) || !seen.insert(identity).second) continue;
    auto socket = adopt_listening(fd.get());
    if (!socket) return tl::unexpected(socket.error());
    static_cast<void>(fd.release());
    socket->held_outside = is_held_outside(identity);
    out.push_back(std::move(*socket));
  }
  return out;
}

void Listening::give_up(const std::vector<std::string>& unused, Fleet& fleet) {
  std::erase_if(records_, [&](const auto& record) {
    const bool is_unused =
        std::find(unused.begin(), unused.end(), record->address.to_string()) != unused.end();
    if (is_unused && record->state == Record::State::Open) close(*record, fleet);
    if (is_unused || record->state == Record::State::Planned || record->is_pathless()) return false;
    record->path.set_owned(false);
    fleet.leave_listener(record->id);
    return true;
  });
  inherited_.clear();
}

}  // namespace weir
