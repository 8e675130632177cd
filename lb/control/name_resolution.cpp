#include "lb/control/name_resolution.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/base/log.h"

namespace weir {
namespace {

/// Questions are put in portions: a fleet of thousands must neither flood a name server nor hold up a turn.
constexpr std::size_t kPortion = 50;
constexpr Millis kPause{10};
/// How often /etc/hosts and resolv.conf are looked at.
constexpr Millis kFilesStep{1'000};

/// As the resolver gives addresses.
constexpr std::uint16_t kNoPort = 0;

std::vector<Address> with_port(std::vector<Address> addresses, std::uint16_t port) {
  for (Address& address : addresses) address.set_port(port);
  return addresses;
}

std::string list(const std::vector<Address>& addresses) {
  std::string out;
  for (const Address& address : addresses) (out += out.empty() ? "" : ", ") += address.host_to_string();
  return out;
}

}  // namespace

NameResolution::NameResolution(Loop& loop, Registry& registry, ResolverSettings settings)
    : loop_(loop),
      registry_(registry),
      resolver_(loop, std::move(settings)),
      timer_(loop, [this] { on_timer(); }),
      files_timer_(loop, [this] { on_files_timer(); }),
      tell_(loop, [this] { tell_registry(); }) {}

void NameResolution::update() {
  const auto table = registry_.table();
  auto before = std::exchange(by_backend_, {});
  for (auto& [host, name] : names_) name.members.clear();
  for (const auto& pool : table->pools) {
    for (const Backend& backend : pool->backends()) {
      if (backend.endpoint.host.empty()) continue;
      const auto [place, is_new_name] = names_.try_emplace(lower_host(backend.endpoint.host));
      auto& entry = *place;
      Name& name = entry.second;
      // An older process knew it.
      if (is_new_name && !backend.addresses.empty())
        name.followed.begin_with(with_port(backend.addresses, kNoPort));
      const Member member{backend.id(), backend.endpoint.port};
      name.members.push_back(member);
      by_backend_[member.id] = &entry;
      const bool is_new = before.erase(member.id) == 0;
      if (is_new) want(entry);
      if (is_new || (backend.addresses.empty() && !name.told.empty())) tell_one(member, entry);
    }
  }
  // One whose question is open is kept for its answer: there must not be two of them.
  for (auto it = names_.begin(); it != names_.end();) {
    const Name& name = it->second;
    const bool keep = !name.members.empty() || name.followed.is_open();
    it = keep ? std::next(it) : forget(it);
  }
  if (names_.empty())
    files_timer_.stop();
  else if (!files_timer_.active())
    files_timer_.start(kFilesStep);
  schedule();
}

NameResolution::Names::iterator NameResolution::forget(Names::iterator name) {
  if (name->second.queued) queue_.erase({*name->second.queued, name->first});
  return names_.erase(name);
}

void NameResolution::ask_again() {
  for (auto& entry : names_) want(entry);
  schedule();
}

void NameResolution::ask_again(const std::vector<BackendId>& backends) {
  for (const BackendId id : backends)
    if (const auto found = by_backend_.find(id); found != by_backend_.end()) want(*found->second);
  schedule();
}

void NameResolution::want(Names::value_type& entry) {
  entry.second.followed.want(loop_.refresh_now());
  queue(entry);
}

void NameResolution::queue(Names::value_type& entry) {
  auto& [host, name] = entry;
  if (name.queued) queue_.erase({*name.queued, host});
  name.queued = name.followed.due();
  if (name.queued) queue_.emplace(*name.queued, host);
}

void NameResolution::schedule() {
  if (queue_.empty()) return timer_.stop();
  const auto wait = std::chrono::ceil<Millis>(queue_.begin()->first - loop_.refresh_now());
  timer_.start(std::max(wait, Millis(0)));
}

void NameResolution::on_timer() {
  const Time now = loop_.refresh_now();
  std::size_t asked = 0;
  while (!queue_.empty() && queue_.begin()->first <= now && asked < kPortion) {
    auto& entry = *names_.find(queue_.begin()->second);
    auto& [host, name] = entry;
    name.followed.tick(now);
    if (name.followed.question_due(now)) {
      name.followed.asked(now);
      ask(host, AddressFamily::Any);
      ++asked;
    }
    queue(entry);
    tell(entry);
  }
  if (asked == kPortion) return timer_.start(kPause);
  schedule();
}

void NameResolution::on_files_timer() {
  if (resolver_.files_changed()) ask_again();
  files_timer_.start(kFilesStep);
}

void NameResolution::ask(const std::string& host, AddressFamily family) {
  resolver_.ask(host, family,
                [this, host, family](NameAnswer answer) { answered(host, family, std::move(answer)); });
}

void NameResolution::answered(const std::string& host, AddressFamily family, NameAnswer answer) {
  auto& entry = *names_.find(host);
  Name& name = entry.second;
  const Time now = loop_.refresh_now();
  if (family != AddressFamily::Any)
    name.followed.answered_alone(now, std::move(answer));
  else if (name.followed.answered(now, std::move(answer)))
    return ask(host, name.followed.missing_family());
  log(host, name);
  if (name.members.empty()) {
    forget(names_.find(host));
  } else {
    queue(entry);
    tell(entry);
  }
  // Also where there is nothing new to tell: somebody may wait for the answer.
  tell_.start(Millis(0));
  schedule();
}

void NameResolution::log(const std::string& host, Name& name) const {
  const auto& addresses = name.followed.addresses();
  const std::string& failure = name.followed.failure();
  const bool was_failing = std::exchange(name.failing, !failure.empty());
  if (name.failing && !was_failing)
    daemon_log().warn("{} does not resolve: {}{}", host, failure,
                      addresses.empty() ? "" : "; its addresses stay in use: " + list(addresses));
  else if (was_failing && !name.failing)
    daemon_log().info("{} resolves again: {}", host, list(addresses));
  else if (!name.told.empty() && addresses != name.told)
    daemon_log().info("{} has moved: {}, was {}", host, list(addresses), list(name.told));
}

void NameResolution::tell(Names::value_type& entry) {
  auto& [host, name] = entry;
  const auto& addresses = name.followed.addresses();
  const std::string& failure = name.followed.failure();
  if (!name.followed.ever_answered() || (addresses == name.told && failure == name.told_failure)) return;
  name.told = addresses;
  name.told_failure = failure;
  for (const Member& member : name.members) tell_one(member, entry);
}

void NameResolution::tell_one(const Member& member, const Names::value_type& entry) {
  const auto& [host, name] = entry;
  if (name.told.empty() && name.told_failure.empty()) return;
  reports_.push_back(
      {member.id, with_port(name.told, member.port),
       name.told.empty() ? fmt::format("{} does not resolve: {}", host, name.told_failure) : ""});
  tell_.start(Millis(0));
}

void NameResolution::tell_registry() {
  if (!reports_.empty()) registry_.set_addresses(std::exchange(reports_, {}));
  if (done_ && all_answered()) std::exchange(done_, nullptr)();
}

void NameResolution::when_answered(std::function<void()> done) {
  if (all_answered()) return done();
  done_ = std::move(done);
}

bool NameResolution::all_answered() const {
  return reports_.empty() &&
         std::ranges::all_of(names_, [](const auto& entry) { return entry.second.followed.ever_answered(); });
}

}  // namespace weir
