// The operator's word.
#include <fmt/format.h>

#include <algorithm>

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

/// A session to `backend` would come back through `listener`.
bool leads_to(const Address& backend, const Address& listener) {
  if (backend == listener) return true;
  if (backend.is_unix() || backend.family() != listener.family() || backend.port() != listener.port())
    return false;
  const auto host = backend.host_to_string();
  return listener.is_wildcard() && (host.starts_with("127.") || host == "::1" || backend.is_wildcard());
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  const auto near = nearest(name, candidates);
  return is_near(name, near) ? fmt::format("; did you mean {}?", near) : "; weir status lists what there is";
}

}  // namespace

CommandError Registry::State::unknown_pool(std::string_view name) const {
  std::vector<std::string> known;
  for (const auto& pool : pools) known.push_back(pool.config.name);
  return {Kind::Unknown, fmt::format("no pool {}{}", quoted(name), did_you_mean(name, known))};
}

CommandError Registry::State::unknown_backend(std::string_view pool, std::string_view backend) const {
  const auto key = format_key(pool, backend);
  if (is_glob(key)) return {Kind::Unknown, fmt::format("no backend matches {}", quoted(key))};
  std::vector<std::string> known;
  for (const auto& candidate : pools) {
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
  for (auto& pool : pools) {
    if (!glob_matches(pool_name, pool.config.name)) continue;
    pool_found = true;
    for (auto& entry : pool.entries)
      if (glob_matches(backend_name, entry.file.name)) found.push_back({&pool, &entry});
  }
  if (!pool_found) return tl::unexpected(unknown_pool(pool_name));
  if (found.empty()) return tl::unexpected(unknown_backend(pool_name, backend_name));
  return found;
}

Change Registry::State::change_of(const std::vector<Target>& targets, bool published) const {
  Change change;
  change.generation = table->generation;
  change.published = published;
  for (const auto& [pool, entry] : targets)
    change.backends.push_back({entry->load, admin(*pool, *entry), weight(*pool, *entry), entry->out});
  return change;
}

CommandResult<void> Registry::State::check_not_last(const std::vector<Target>& targets,
                                                    std::string_view verb) const {
  for (const auto& pool : pools) {
    std::size_t eligible = 0, left = 0;
    std::string last;
    for (const auto& backend : pool.built->backends()) {
      const bool named = std::any_of(targets.begin(), targets.end(),
                                     [&](const Target& t) { return t.entry->load == backend.load; });
      // Under try_all the down ones take over when no other is left.
      const bool would_serve = backend.eligible() ||
                               (pool.built->settings().try_all_when_down && backend.admin == Admin::Enabled &&
                                backend.health == Health::Down && !backend.addresses.empty());
      if (backend.eligible()) ++eligible;
      if (would_serve && !named) ++left;
      if (named && backend.eligible()) last = backend.name;
    }
    if (eligible > 0 && left == 0 && !last.empty())
      return refuse(
          Kind::Refused,
          fmt::format("{} is the last eligible backend of pool {}; to {} it all the same, use --force",
                      format_key(pool.config.name, last), pool.config.name, verb));
  }
  return {};
}

void Registry::State::store_override(const PoolEntry& pool, const Entry& entry, Override value) {
  const std::pair key{pool.config.name, entry.file.name};
  if (!value.admin && !value.weight) {
    overrides.erase(key);
    return;
  }
  if (!value.admin) value.admin_since = {};
  value.file_admin = entry.file.admin;
  value.file_weight = entry.file.weight;
  value.file_address = entry.file.endpoint.text;
  overrides[key] = std::move(value);
}

CommandResult<Change> Registry::find(std::string_view target) const {
  auto targets = state_->targets(target);
  if (!targets) return tl::unexpected(targets.error());
  return state_->change_of(*targets, false);
}

CommandResult<Change> Registry::set_admin(std::string_view target, Admin admin, bool force) {
  auto& s = *state_;
  auto targets = s.targets(target);
  if (!targets) return tl::unexpected(targets.error());
  std::erase_if(*targets, [](auto& t) { return t.entry->out; });
  if (targets->empty())
    return refuse(Kind::Refused,
                  fmt::format("{} has been removed; weir add or a reload brings it back", quoted(target)));
  if (admin != Admin::Enabled && !force) {
    const auto verb = admin == Admin::Drained ? "drain" : "disable";
    if (auto allowed = s.check_not_last(*targets, verb); !allowed) return tl::unexpected(allowed.error());
  }
  for (auto& [pool, entry] : *targets) {
    const Admin before = s.admin(*pool, *entry);
    const auto* said = s.override_of(*pool, *entry);
    Override next = said != nullptr ? *said : Override{};
    next.admin = admin == entry->file.admin ? std::nullopt : std::optional(admin);
    if (before != admin) {
      entry->admin_since = s.clock.system();
      next.admin_since = std::chrono::floor<Millis>(entry->admin_since);
    }
    s.store_override(*pool, *entry, std::move(next));
    if (before == admin) continue;
    daemon_log().info("{} {} → {} by an operator", format_key(pool->config.name, entry->file.name),
                      to_string(before), to_string(admin));
    if ((before == Admin::Disabled) == (admin == Admin::Disabled)) continue;
    entry->recovering = true;
    s.forget_health(*pool, *entry);
  }
  return s.change_of(*targets, s.refresh());
}

CommandResult<Change> Registry::set_weight(std::string_view target, std::optional<std::uint32_t> weight) {
  auto& s = *state_;
  if (weight && (*weight < 1 || *weight > 256))
    return refuse(Kind::Usage,
                  fmt::format("weight {} is not 1 to 256; to take a backend out, drain it", *weight));
  auto targets = s.targets(target);
  if (!targets) return tl::unexpected(targets.error());
  std::erase_if(*targets, [](auto& t) { return t.entry->out; });
  if (targets->empty())
    return refuse(Kind::Refused,
                  fmt::format("{} has been removed; weir add or a reload brings it back", quoted(target)));
  for (auto& [pool, entry] : *targets) {
    const auto before = s.weight(*pool, *entry);
    const auto* said = s.override_of(*pool, *entry);
    Override next = said != nullptr ? *said : Override{};
    next.weight = weight == entry->file.weight ? std::nullopt : weight;
    s.store_override(*pool, *entry, std::move(next));
    if (const auto after = s.weight(*pool, *entry); after != before)
      daemon_log().info("{} weight {} → {} by an operator", format_key(pool->config.name, entry->file.name),
                        before, after);
  }
  return s.change_of(*targets, s.refresh());
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
    if (entry.file.endpoint == backend.endpoint)
      return refuse(Kind::Refused, fmt::format("{} has the address {} already", key, backend.endpoint.text));
  }
  if (!backend.endpoint.address) return {};
  for (const auto& listener : config->listeners)
    for (const auto& bound : listener.bind)
      if (leads_to(*backend.endpoint.address, bound))
        return refuse(Kind::Refused,
                      fmt::format("{} is Weir's own listener {}: sessions would go round in a circle",
                                  backend.endpoint.text, listener.name));
  return {};
}

CommandResult<Change> Registry::add(std::string_view pool_name, std::string_view name,
                                    std::string_view address, std::uint32_t weight, bool backup) {
  auto& s = *state_;
  auto* pool = s.find_pool(pool_name);
  if (pool == nullptr) return tl::unexpected(s.unknown_pool(pool_name));
  if (!is_name(name))
    return refuse(Kind::Usage,
                  fmt::format("{} is not a name: 1 to 128 of A-Z a-z 0-9 . _ : [ ] -", quoted(name)));
  if (weight < 1 || weight > 256)
    return refuse(Kind::Usage, fmt::format("weight {} is not 1 to 256", weight));
  auto endpoint = parse_endpoint(address);
  if (!endpoint) return refuse(Kind::Usage, endpoint.error().message);
  const BackendConfig wanted{std::string(name), std::move(*endpoint), weight, backup, Admin::Enabled};

  const auto same_name = std::find_if(pool->entries.begin(), pool->entries.end(),
                                      [&](const Entry& entry) { return entry.file.name == name; });
  if (same_name != pool->entries.end() && !same_name->out) {
    const auto& file = same_name->file;
    if (file.endpoint == wanted.endpoint && file.weight == weight && file.backup == backup)
      return s.change_of({{pool, &*same_name}}, false);
  }
  if (auto allowed = s.check_new_member(*pool, wanted); !allowed) return tl::unexpected(allowed.error());
  if (same_name != pool->entries.end()) {
    s.leave(*pool, *same_name);
    pool->entries.erase(same_name);
  }
  pool->entries.push_back(s.make_entry(*pool, wanted));
  pool->entries.back().added = true;
  daemon_log().info("{} added by an operator: {}, weight {}{}", format_key(pool_name, name),
                    wanted.endpoint.text, weight, backup ? ", a backup" : "");
  const bool published = s.refresh();
  return s.change_of({{pool, &pool->entries.back()}}, published);
}

CommandResult<Change> Registry::remove(std::string_view target, bool force) {
  auto& s = *state_;
  auto targets = s.targets(target);
  if (!targets) return tl::unexpected(targets.error());
  if (!force)
    if (auto allowed = s.check_not_last(*targets, "remove"); !allowed) return tl::unexpected(allowed.error());
  for (auto& [pool, entry] : *targets) {
    if (std::exchange(entry->out, true)) continue;
    s.overrides.erase({pool->config.name, entry->file.name});
    entry->slow_start.reset();
    daemon_log().info("{} removed by an operator, {} sessions go on",
                      format_key(pool->config.name, entry->file.name), entry->load->active.load());
  }
  return s.change_of(*targets, s.refresh());
}

}  // namespace weir
