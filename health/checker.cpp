#include "health/checker.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "health/agent.h"
#include "health/probe_slots.h"
#include "health/shared_probe.h"
#include "health/unprobed_backend.h"

namespace weir {
namespace {

/// How long a stop waits for killed processes; one that the kernel does not let go of by then is left to it.
constexpr Millis kReapPatience{1'000};
/// Processes at once: starting one takes the kernel about a millisecond of our thread.
constexpr std::size_t kMostCommands = 128;

bool have_one_in_common(const std::vector<Address>& a, const std::vector<Address>& b) {
  return std::ranges::any_of(
      a, [&b](const Address& address) { return std::ranges::find(b, address) != b.end(); });
}

ProbeSubject subject_of(const ProbeTarget& target) {
  ProbeSubject subject{target.addresses, target.probe, target.pool, target.name};
  if (target.probe.address) subject.addresses = {*target.probe.address};
  if (target.probe.port != 0 && !target.probe.address)
    for (Address& address : subject.addresses)
      if (!address.is_unix()) address.set_port(target.probe.port);
  return subject;
}

/// What finds a probe to share; ProbeConfig and addresses are compared in full after that.
std::string sharing_key(const ProbeSubject& subject, const ProbeKind& kind) {
  std::string key = subject.config.kind;
  for (const Address& address : subject.addresses) (key += ' ') += address.to_string();
  if (kind.knows_backend) key += fmt::format(" {}/{}", subject.pool, subject.backend);
  return key;
}

}  // namespace

/// Everything that lives on the checker's thread.
class Checker::Core {
 public:
  Core(Loop& loop, std::size_t most_sockets, std::function<void(HealthReport)> report,
       ReportAgent report_agent)
      : loop_(loop),
        report_agent_(std::move(report_agent)),
        reporter_(loop_,
                  [this, report = std::move(report)](HealthReport said) {
                    said.life = entries_.at(said.id).target.life;
                    report(std::move(said));
                  }),
        sockets_(most_sockets),
        reaping_(loop_, [this] { finish_stop(); }) {}

  void set_targets(std::vector<ProbeTarget> targets);
  void set_most_sockets(std::size_t most);
  void connects_changed(BackendLoad& load);
  void begin_stop();

 private:
  using Probes = std::multimap<std::string, std::unique_ptr<SharedProbe>>;

  struct Entry {
    ProbeTarget target;
    std::string key;  ///< of the probe it shares; empty when there is none
    SharedProbe* probe = nullptr;
    std::unique_ptr<UnprobedBackend> unprobed;
    AgentState agent_said;
    std::unique_ptr<Agent> agent;
  };

  void update(Entry& entry, ProbeTarget target);
  void attach(Entry& entry, Health known, std::uint32_t against = 0);
  void attach_agent(Entry& entry);
  SharedProbe::Known detach(Entry& entry);
  SharedProbe& shared_probe(ProbeSubject subject, const ProbeKind& kind, const std::string& key);
  ProbeFactory& factory(const ProbeKind& kind);
  void finish_stop();

  ProbeLoop loop_;
  const ReportAgent report_agent_;
  Reporter reporter_;
  std::map<std::string_view, std::unique_ptr<ProbeFactory>> factories_;
  ProbeSlots sockets_;
  ProbeSlots commands_{kMostCommands};
  Places places_;
  std::uint32_t seed_ = 1;
  Probes probes_;
  std::unordered_map<BackendId, Entry> entries_;
  Alarm reaping_;
  std::chrono::nanoseconds reap_until_{0};
  bool stopping_ = false;
};

ProbeFactory& Checker::Core::factory(const ProbeKind& kind) {
  auto& factory = factories_[kind.name];
  if (!factory) factory = kind.make_factory(loop_);
  return *factory;
}

SharedProbe& Checker::Core::shared_probe(ProbeSubject subject, const ProbeKind& kind,
                                         const std::string& key) {
  const auto [begin, end] = probes_.equal_range(key);
  for (auto it = begin; it != end; ++it) {
    const ProbeSubject& known = it->second->subject();
    if (known.config == subject.config && known.addresses == subject.addresses) return *it->second;
  }
  const ProbeConfig& config = subject.config;
  const Schedule schedule(config.interval, config.fast_interval, places_.next(config.interval), seed_++);
  ProbeSlots& slots = kind.is_command ? commands_ : sockets_;
  auto probe =
      std::make_unique<SharedProbe>(loop_, factory(kind), slots, reporter_, std::move(subject), schedule);
  return *probes_.emplace(key, std::move(probe))->second;
}

void Checker::Core::attach_agent(Entry& entry) {
  const ProbeTarget& target = entry.target;
  if (target.probe.agent_port == 0) return;
  ProbeSubject subject{target.addresses, {}, target.pool, target.name};
  std::erase_if(subject.addresses, [](const Address& address) { return address.is_unix(); });
  if (subject.addresses.empty()) return;
  for (Address& address : subject.addresses) address.set_port(target.probe.agent_port);
  subject.config.kind = "agent";
  subject.config.interval = target.probe.interval;
  subject.config.timeout = target.probe.timeout;
  subject.config.source = target.probe.source;
  const Millis interval = target.probe.interval;
  const Schedule schedule(interval, interval, places_.next(interval), seed_++);
  entry.agent = std::make_unique<Agent>(loop_, sockets_, std::move(subject), schedule, entry.agent_said,
                                        [this, &entry](const AgentState& state) {
                                          entry.agent_said = state;
                                          if (report_agent_) report_agent_({entry.target.id, state});
                                        });
}

void Checker::Core::attach(Entry& entry, Health known, std::uint32_t against) {
  const ProbeTarget& target = entry.target;
  if (!target.probing || target.addresses.empty()) return;
  attach_agent(entry);
  const ProbeKind* const kind = find_probe_kind(target.probe.kind);
  WEIR_CHECK(kind != nullptr);
  if (kind->make_factory == nullptr) {
    const Ejection::Limits limits{target.probe.eject_after, target.probe.eject_for,
                                  target.probe.eject_for_at_most};
    entry.unprobed = std::make_unique<UnprobedBackend>(loop_, reporter_, target.load, limits, known);
    return;
  }
  ProbeSubject subject = subject_of(target);
  entry.key = sharing_key(subject, *kind);
  entry.probe = &shared_probe(std::move(subject), *kind, entry.key);
  entry.probe->join(target.load, known, against);
}

SharedProbe::Known Checker::Core::detach(Entry& entry) {
  SharedProbe::Known known;
  if (entry.unprobed) known.health = entry.unprobed->in_rotation() ? Health::Up : Health::Down;
  entry.unprobed.reset();
  entry.agent.reset();
  reporter_.forget(entry.target.id);
  if (entry.probe == nullptr) return known;
  known = entry.probe->leave(entry.target.id);
  if (entry.probe->empty()) {
    const auto [begin, end] = probes_.equal_range(entry.key);
    probes_.erase(
        std::find_if(begin, end, [&](const auto& pair) { return pair.second.get() == entry.probe; }));
  }
  entry.probe = nullptr;
  return known;
}

void Checker::Core::update(Entry& entry, ProbeTarget target) {
  const ProbeTarget& old = entry.target;
  if (old.probing == target.probing && old.addresses == target.addresses && old.probe == target.probe &&
      old.life == target.life && old.load == target.load && old.pool == target.pool &&
      old.name == target.name)
    return;
  const bool was_left_alone = !old.probing || old.addresses.empty();
  const bool same_place = have_one_in_common(old.addresses, target.addresses);
  const SharedProbe::Known known = detach(entry);
  const bool forget = was_left_alone || !target.probing || !same_place || old.life != target.life;
  entry.target = std::move(target);
  const ProbeTarget& now = entry.target;
  if (now.probe.agent_port == 0) entry.agent_said = {};
  if (!now.probing)
    reporter_.transition(now.id, Health::Unknown, "not probed while disabled");
  else if (forget && !now.addresses.empty() && find_probe_kind(now.probe.kind)->make_factory != nullptr)
    reporter_.transition(now.id, Health::Unknown, "no probe has finished yet");
  if (forget)
    attach(entry, Health::Unknown);
  else
    attach(entry, known.health, known.against);
}

void Checker::Core::set_most_sockets(std::size_t most) {
  if (!stopping_) sockets_.set_limit(most);
}

void Checker::Core::set_targets(std::vector<ProbeTarget> targets) {
  if (stopping_) return;
  std::unordered_set<BackendId> wanted;
  for (ProbeTarget& target : targets) {
    const BackendId id = target.id;
    wanted.insert(id);
    if (const auto found = entries_.find(id); found != entries_.end()) {
      update(found->second, std::move(target));
      continue;
    }
    Entry& entry = entries_[id];
    entry.target = std::move(target);
    entry.agent_said = entry.target.agent;
    if (!entry.target.probing) reporter_.transition(id, Health::Unknown, "not probed while disabled");
    attach(entry, entry.target.health, entry.target.against);
  }
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!wanted.contains(it->first)) detach(it->second);
    it = wanted.contains(it->first) ? std::next(it) : entries_.erase(it);
  }
}

void Checker::Core::connects_changed(BackendLoad& load) {
  // Cleared before anybody looks at the count, so that a change after the look is a new hint.
  load.report_pending.store(false);
  const auto found = entries_.find(load.id);
  if (found == entries_.end()) return;
  if (found->second.probe != nullptr)
    found->second.probe->connects_changed(load.id);
  else if (found->second.unprobed)
    found->second.unprobed->connects_changed();
}

void Checker::Core::begin_stop() {
  stopping_ = true;
  sockets_.close();
  commands_.close();
  for (const auto& [id, entry] : entries_) reporter_.forget(id);
  entries_.clear();
  probes_.clear();
  reap_until_ = loop_.read_clock() + kReapPatience;
  reaping_.set(loop_.now());  // after this turn's dead have been disposed of
}

void Checker::Core::finish_stop() {
  const bool idle = std::ranges::all_of(factories_, [](const auto& pair) { return pair.second->idle(); });
  if (idle || loop_.now() >= reap_until_)
    loop_.loop().stop();
  else
    reaping_.set(loop_.now() + Millis(1));
}

Result<std::unique_ptr<Checker>> Checker::create(std::size_t most_sockets,
                                                 std::function<void(HealthReport)> report,
                                                 ReportAgent report_agent) {
  auto loop = Loop::create();
  if (!loop) return tl::unexpected(loop.error());
  return std::unique_ptr<Checker>(
      new Checker(std::move(*loop), most_sockets, std::move(report), std::move(report_agent)));
}

Checker::Checker(std::unique_ptr<Loop> loop, std::size_t most_sockets,
                 std::function<void(HealthReport)> report, ReportAgent report_agent)
    : loop_(std::move(loop)),
      core_(std::make_unique<Core>(*loop_, most_sockets, std::move(report), std::move(report_agent))) {}

Checker::~Checker() {
  stop();
}

void Checker::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "checker");
    loop_->run();
  });
}

void Checker::stop() {
  if (!thread_.joinable()) return;
  loop_->post([core = core_.get()] { core->begin_stop(); });
  thread_.join();
}

void Checker::set_targets(std::vector<ProbeTarget> targets) {
  loop_->post([core = core_.get(), targets = std::move(targets)] { core->set_targets(targets); });
}

void Checker::set_most_sockets(std::size_t most) {
  loop_->post([core = core_.get(), most] { core->set_most_sockets(most); });
}

void Checker::connects_changed(std::shared_ptr<BackendLoad> load) {
  loop_->post([core = core_.get(), load = std::move(load)] { core->connects_changed(*load); });
}

}  // namespace weir
