// The operator's word.
#include <fmt/format.h>

#include <algorithm>

#include "lb/base/counted.h"
#include "lb/base/duration.h"
#include "lb/base/glob.h"
#include "lb/base/log.h"
#include "lb/base/nearest.h"
#include "lb/control/registry_state.h"

namespace weir {

namespace {

using Kind = CommandError::Kind;

tl::unexpected<CommandError> refuse(Kind kind, std::string message) {
  return tl::unexpected(CommandError{kind, std::move(message)});
}

bool is_name(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:[]-";
  return !text.empty() && text.size() <= 128 && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  const auto near = nearest(name, candidates);
  return is_near(name, near) ? fmt::format("; did you mean {}?", near) : "; weir status lists what there is";
}

}  // namespace

CommandError Registry::State::unknown_pool(std::string_view name) const {
  std::vector<std::string> known;
  for (const auto& pool : members.pools) known.push_back(pool.config.name);
  return {Kind::Unknown, fmt::format("no pool {}{}", quoted(name), did_you_mean(name, known))};
}

CommandError Registry::unknown_pool(std::string_view name) const {
  return state_->unknown_pool(name);
}

CommandError Registry::unknown_listener(std::string_view name) const {
  std::vector<std::string> known;
  for (const auto& listener : state_->config->listeners) known.push_back(listener.name);
  return {Kind::Unknown, fmt::format("no listener {}{}", quoted(name), did_you_mean(name, known))};
}

CommandError Registry::State::unknown_backend(std::string_view pool, std::string_view backend) const {
  const auto key = format_key(pool, backend);
  if (is_glob(key)) return {Kind::Unknown, fmt::format("no backend matches {}", quoted(key))};
  std::vector<std::string> known;
  for (const auto& candidate : members.pools) {
    if (candidate.config.name != pool) continue;
    for (const auto& entry : candidate.entries)
      if (!entry.out) known.push_back(format_key(pool, entry.file.name));
  }
  return {Kind::Unknown, fmt::format("no backend {}{}", quoted(key), did_you_mean(key, known))};
}

CommandResult<std::vector<Registry::State::Target>> Registry::State::targets(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return refuse(Kind::Usage, fmt::format("{} is not POOL/BACKEND", quoted(text)));
  const auto pool_name = text.substr(0, slash), backend_name = text.substr(slash + 1);
  std::vector<Target> found;
  bool pool_found = false;
  for (auto& pool : members.pools) {
    if (!glob_matches(pool_name, pool.config.name)) continue;
    pool_found = true;
    for (auto& entry : pool.entries)
      if (glob_matches(backend_name, entry.file.name)) found.push_back({&pool, &entry});
  }
  if (!pool_found) return tl::unexpected(unknown_pool(pool_name));
  if (found.empty()) return tl::unexpected(unknown_backend(pool_name, backend_name));
  return found;
}

Change Registry::State::change_of(const std::vector<Target>& targets, bool published,
                                  std::vector<Changed> more) const {
  Change change;
  change.backends = std::move(more);
  change.generation = table->generation;
  change.published = published;
  for (const auto& [pool, entry] : targets)
    change.backends.push_back({entry->load, admin(*pool, *entry), weight(*pool, *entry), entry->out});
  return change;
}

CommandResult<void> Registry::State::check_not_last(const std::vector<Target>& targets,
                                                    std::string_view verb) const {
  for (const auto& pool : members.pools) {
    std::size_t eligible = 0, left = 0, stand_ins = 0;
    bool awaited = false;
    std::string last;
    for (const auto& backend : pool.built->backends()) {
      const bool named = std::any_of(targets.begin(), targets.end(),
                                     [&](const Target& t) { return t.entry->load == backend.load; });
      if (backend.stand_in) {
        stand_ins += named ? 0 : 1;
        continue;
      }
      // Under try_all the down ones take over when no other is left.
      const bool would_serve = backend.eligible() ||
                               (pool.built->settings().try_all_when_down && backend.admin == Admin::Enabled &&
                                backend.health == Health::Down && !backend.addresses.empty());
      if (backend.eligible()) ++eligible;
      if (would_serve && !named) ++left;
      if (named && (backend.eligible() || backend.undecided)) last = backend.name;
      awaited = awaited || (backend.undecided && !named);
    }
    // They go as soon as there is no verdict to wait for.
    eligible += stand_ins;
    if (awaited) left += stand_ins;
    if (eligible > 0 && left == 0 && !last.empty())
      return refuse(
          Kind::Refused,
          fmt::format("{} is the last eligible backend of pool {}; to {} it all the same, use --force",
                      format_key(pool.config.name, last), pool.config.name, verb));
  }
  return {};
}

CommandResult<Registry::Drains> Registry::drains(std::string_view target) const {
  auto& s = *state_;
  const auto slash = target.find('/');
  Drains out;
  out.left.generation = s.table->generation;
  for (const auto& [id, leaver] : s.leavers.all())
    if (slash != std::string_view::npos && s.in_view(leaver) &&
        glob_matches(target.substr(0, slash), leaver.pool()) &&
        glob_matches(target.substr(slash + 1), leaver.last.name))
      out.left.backends.push_back({leaver.last.load, Admin::Drained, leaver.last.weight, true});
  const auto members = s.targets(target);
  if (!members && out.left.backends.empty()) return tl::unexpected(members.error());
  if (!members) return out;
  for (const auto& [pool, entry] : *members) {
    if (s.admin(*pool, *entry) == Admin::Enabled && !entry->out)
      out.enabled.push_back(format_key(pool->config.name, entry->file.name));
    else
      out.left.backends.push_back({entry->load, s.admin(*pool, *entry), s.weight(*pool, *entry), entry->out});
  }
  return out;
}

CommandResult<std::vector<Registry::State::Target>> Registry::State::present(std::string_view text) {
  auto found = targets(text);
  if (!found) return found;
  std::erase_if(*found, [](const Target& one) { return one.entry->out; });
  if (!found->empty()) return found;
  return refuse(Kind::Refused,
                fmt::format("{} has been removed; weir add or a reload brings it back", quoted(text)));
}

CommandResult<Registry::State::Reach> Registry::State::reach(std::string_view target, std::string_view verb,
                                                             bool force) {
  auto named = present(target);
  if (named && !force)
    if (auto allowed = check_not_last(*named, verb); !allowed) return tl::unexpected(allowed.error());
  auto dismissed = dismiss(target, verb, force);
  if (!dismissed) return tl::unexpected(dismissed.error());
  if (!named && dismissed->empty()) return tl::unexpected(named.error());
  return Reach{named ? std::move(*named) : std::vector<Target>(), std::move(*dismissed)};
}

CommandResult<Change> Registry::set_admin(std::string_view target, Admin admin, bool force,
                                          const Remark& remark) {
  auto& s = *state_;
  State::Reach reach;
  if (admin == Admin::Enabled) {
    auto targets = s.present(target);
    if (!targets) return tl::unexpected(targets.error());
    reach.targets = std::move(*targets);
  } else {
    auto reached = s.reach(target, admin == Admin::Drained ? "drain" : "disable", force);
    if (!reached) return tl::unexpected(reached.error());
    reach = std::move(*reached);
  }
  std::vector<std::string> notes;
  for (auto& [pool, entry] : reach.targets) {
    const Admin before = s.admin(*pool, *entry);
    const auto* said = s.words.find(pool->config.name, entry->file.name);
    const Override old = said != nullptr ? *said : Override{};
    Override next = old;
    const auto key = format_key(pool->config.name, entry->file.name);
    next.admin.reset();
    if (admin != entry->file.admin)
      next.admin =
          said_anew(old.admin, admin, before != admin, remark, std::chrono::floor<Millis>(s.clock.system()));
    else if (remark.lasts)
      notes.push_back(fmt::format("{} is {} by the file: nothing ends by itself", key, to_string(admin)));
    if (next.admin ? next.admin != old.admin : before != admin)
      s.tell_word(*pool, *entry, std::string(to_string(before)),
                  to_string(next.admin.value_or(Word<Admin>{.value = admin, .by = remark.by})), remark);
    s.words.say(pool->config.name, entry->file, std::move(next));
    s.admin_changed(*pool, *entry, before);
  }
  Change change = s.change_of(reach.targets, s.refresh(), std::move(reach.dismissed));
  change.notes = std::move(notes);
  return change;
}

void Registry::State::tell_word(const PoolEntry& pool, const Entry& entry, const std::string& before,
                                const std::string& now, const Remark& remark) const {
  tell(spdlog::level::info, Event::Kind::Word, pool.config.name, entry.file.name,
       fmt::format("{} → {}{}", before, now,
                   remark.lasts ? fmt::format(", for {}", format_duration(*remark.lasts)) : ""),
       remark.by);
}

void Registry::State::admin_changed(PoolEntry& pool, Entry& entry, Admin before) {
  const Admin now = admin(pool, entry);
  if (now == before) return;
  entry.admin_since = clock.system();
  if ((before == Admin::Disabled) == (now == Admin::Disabled)) return;
  entry.standing.recovering = true;
  forget_health(pool, entry);
}

std::optional<SystemTime> Registry::next_word_end() const {
  return state_->words.next_end();
}

std::vector<BackendId> Registry::end_words() {
  auto& s = *state_;
  std::vector<BackendId> freed;
  std::map<std::pair<std::string, std::string>, Admin> before;
  for (const auto& [key, said] : s.words.all())
    if (said.admin) before.emplace(key, said.admin->value);
  const Overrides ended = s.words.take_ended(std::chrono::floor<Millis>(s.clock.system()));
  for (const auto& [key, said] : ended) {
    const auto& [pool_name, name] = key;
    const auto over = [&s, &pool = pool_name, &backend = name](const auto& word) {
      if (word)
        s.tell(spdlog::level::info, Event::Kind::Word, pool, backend,
               fmt::format("{}: its time is over", to_string(*word)));
    };
    over(said.admin);
    over(said.weight);
    PoolEntry* const pool = s.members.find_pool(pool_name);
    if (pool == nullptr || !said.admin) continue;
    const auto entry = std::ranges::find(
        pool->entries, name, [](const Entry& one) -> const std::string& { return one.file.name; });
    if (entry == pool->entries.end()) continue;
    s.admin_changed(*pool, *entry, before.at(key));
    if (s.admin(*pool, *entry) == Admin::Enabled) freed.push_back(entry->load->id);
  }
  if (!ended.empty()) s.refresh();
  return freed;
}

CommandResult<Change> Registry::set_weight(std::string_view target, std::optional<std::uint32_t> weight,
                                           const Remark& remark) {
  auto& s = *state_;
  if (weight && (*weight < 1 || *weight > 256))
    return refuse(Kind::Usage,
                  fmt::format("weight {} is not 1 to 256; to take a backend out, drain it", *weight));
  auto targets = s.present(target);
  if (!targets) return tl::unexpected(targets.error());
  std::vector<std::string> notes;
  for (auto& [pool, entry] : *targets) {
    const auto before = s.weight(*pool, *entry);
    const auto* said = s.words.find(pool->config.name, entry->file.name);
    const Override old = said != nullptr ? *said : Override{};
    Override next = old;
    const auto key = format_key(pool->config.name, entry->file.name);
    next.weight.reset();
    if (weight && *weight != entry->file.weight)
      next.weight = said_anew(old.weight, *weight, before != *weight, remark,
                              std::chrono::floor<Millis>(s.clock.system()));
    else if (remark.lasts)
      notes.push_back(
          fmt::format("{} has weight {} by the file: nothing ends by itself", key, entry->file.weight));
    const bool new_word = next.weight && next.weight != old.weight;
    s.words.say(pool->config.name, entry->file, Override(next));
    if (const auto after = s.weight(*pool, *entry); new_word || after != before)
      s.tell_word(*pool, *entry, fmt::format("weight {}", before),
                  to_string(next.weight.value_or(Word<std::uint32_t>{.value = after, .by = remark.by})),
                  remark);
  }
  Change change = s.change_of(*targets, s.refresh());
  change.notes = std::move(notes);
  return change;
}

CommandResult<void> Registry::State::check_new_member(const PoolEntry& pool,
                                                      const BackendConfig& backend) const {
  for (const auto& entry : pool.entries) {
    if (entry.out) continue;
    const auto key = format_key(pool.config.name, entry.file.name);
    if (entry.file.name == backend.name)
      return refuse(
          Kind::Refused,
          fmt::format("{} exists with address {}, weight {}{}; remove it first, or use weir weight", key,
                      entry.file.endpoint.text, entry.file.weight, entry.file.backup ? ", a backup" : ""));
  }
  const OwnSockets own = own_listeners(*config);
  for (const Address& address : known_addresses(backend.endpoint))
    if (const auto listener = own.reached_by(address))
      return refuse(Kind::Refused,
                    fmt::format("{} is Weir's own listener {}: sessions would go round in circles",
                                backend.endpoint.text, config->listeners[*listener].name));
  return {};
}

CommandResult<Change> Registry::add(std::string_view pool_name, std::string_view name,
                                    std::string_view address, std::uint32_t weight, bool backup,
                                    std::uint32_t max_sessions, const std::string& by) {
  auto& s = *state_;
  auto* pool = s.members.find_pool(pool_name);
  if (pool == nullptr) return tl::unexpected(s.unknown_pool(pool_name));
  if (!is_name(name))
    return refuse(Kind::Usage,
                  fmt::format("{} is not a name: 1 to 128 of A-Z a-z 0-9 . _ : [ ] -", quoted(name)));
  if (weight < 1 || weight > 256)
    return refuse(Kind::Usage, fmt::format("weight {} is not 1 to 256", weight));
  auto endpoint = parse_endpoint(address);
  if (!endpoint) return refuse(Kind::Usage, endpoint.error().message);
  const BackendConfig wanted{std::string(name), std::move(*endpoint), weight, backup,
                             Admin::Enabled,    max_sessions};

  const auto same_name = std::find_if(pool->entries.begin(), pool->entries.end(),
                                      [&](const Entry& entry) { return entry.file.name == name; });
  if (same_name != pool->entries.end() && !same_name->out) {
    const auto& file = same_name->file;
    if (file.endpoint == wanted.endpoint && file.weight == weight && file.backup == backup &&
        file.max_sessions == max_sessions)
      return s.change_of({{pool, &*same_name}}, false);
  }
  if (auto allowed = s.check_new_member(*pool, wanted); !allowed) return tl::unexpected(allowed.error());
  if (same_name != pool->entries.end()) {
    s.leave(*pool, *same_name);
    pool->entries.erase(same_name);
    s.leavers.tidy(s.all_stand_ins(), s.clock.steady());
  }
  pool->entries.push_back(s.make_entry(*pool, wanted, s.health_book()));
  pool->entries.back().added = true;
  s.tell(spdlog::level::info, Event::Kind::Member, pool_name, name,
         fmt::format("added by an operator{}: {}, weight {}{}{}", by.empty() ? "" : fmt::format(" ({})", by),
                     wanted.endpoint.text, weight,
                     max_sessions != 0 ? fmt::format(", max_sessions {}", max_sessions) : "",
                     backup ? ", a backup" : ""),
         by);
  const bool published = s.refresh();
  Change change = s.change_of({{pool, &pool->entries.back()}}, published);
  for (const auto& entry : pool->entries)
    if (!entry.out && entry.file.name != name && entry.file.endpoint == wanted.endpoint)
      change.notes.push_back(fmt::format("{} has this address, too: one server gets the sessions of both",
                                         format_key(pool_name, entry.file.name)));
  return change;
}

CommandResult<Change> Registry::remove(std::string_view target, bool force, const std::string& by) {
  auto& s = *state_;
  auto targets = s.targets(target);
  // Removing twice is fine.
  if (targets && std::ranges::all_of(*targets, [](const State::Target& one) { return one.entry->out; }))
    return s.change_of(*targets, false);
  auto reach = s.reach(target, "remove", force);
  if (!reach) return tl::unexpected(reach.error());
  for (auto& [pool, entry] : reach->targets) {
    entry->out = true;
    s.words.forget(pool->config.name, entry->file.name);
    entry->standing.slow_start.reset();
    s.tell(spdlog::level::info, Event::Kind::Member, pool->config.name, entry->file.name,
           fmt::format("removed by an operator{}, {}", by.empty() ? "" : fmt::format(" ({})", by),
                       sessions_go_on(entry->load->active.load())),
           by);
  }
  return s.change_of(reach->targets, s.refresh(), std::move(reach->dismissed));
}

}  // namespace weir
