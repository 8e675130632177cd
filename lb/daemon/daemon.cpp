#include "lb/daemon/daemon.h"

#include <unistd.h>

#include <fmt/format.h>
#include <csignal>
#include <random>

#include "lb/base/build.h"
#include "lb/base/counted.h"
#include "lb/base/daemon_log.h"
#include "lb/base/log.h"
#include "lb/control/event_json.h"
#include "lb/control/operator_words.h"
#include "lb/daemon/first_process.h"

namespace weir {
namespace {

/// How long a start waits for names to resolve and for first verdicts: those that do not by then cost
/// the sessions of their backends only. Clients wait in the kernel's queue meanwhile.
constexpr Millis kStartPatience{3'000};
/// The same where an older process serves meanwhile: less than it waits for this one.
constexpr Millis kTakeoverPatience{30'000};
static_assert(kTakeoverPatience < Upgrade::kPatience);

/// At a start; status tells of all.
constexpr std::size_t kMostWordsSaid = 20;

/// Less than a command waits for the answer to a reload.
LoadOptions for_reloads(LoadOptions options) {
  options.patience = Millis(5'000);
  return options;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(std::shared_ptr<const Config> config, LoadOptions options,
                                               Origin origin) {
  block_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
  ignore_sigpipe();
  auto loop = Loop::create();
  if (!loop) return tl::unexpected(loop.error());
  std::unique_ptr<Daemon> daemon(
      new Daemon(std::move(config), std::move(options), std::move(origin), std::move(*loop)));
  if (auto taken = daemon->take_resources(); !taken) return tl::unexpected(taken.error());
  return daemon;
}

Daemon::Daemon(std::shared_ptr<const Config> config, LoadOptions options, Origin origin,
               std::unique_ptr<Loop> loop)
    : first_config_(std::move(config)),
      options_(for_reloads(std::move(options))),
      origin_(std::move(origin)),
      worker_count_(resolved_workers(*first_config_)),
      loop_(std::move(loop)),
      limits_(*loop_, worker_count_, options_.descriptor_limit,
              [this](std::size_t most) { health_->set_most_sockets(most); }),
      state_(*loop_, first_config_->state_file),
      registry_(
          worker_count_, [this](const std::shared_ptr<const Table>& table) { on_table(table); }, {},
          HostAddresses::read, &events_),
      adoption_(worker_count_),
      names_(*loop_, registry_),
      instance_(fmt::format("{:08x}", std::random_device()())),
      doors_(options_.descriptor_limit / Descriptors::kOfSession,
             origin_.inheritance ? std::exchange(origin_.inheritance->tokens, "") : ""),
      arrivals_(worker_count_),
      listening_(worker_count_, doors_),
      loop_guard_([this](BackendId id) { loop_->post([this, id] { on_loop(id); }); }),
      service_(*loop_, [this](std::function<void()> done) { fleet_->when_settled(std::move(done)); }),
      predecessors_(*loop_),
      elder_search_(*loop_),
      held_places_(doors_),
      shared_backend_limits_(
          *loop_, predecessors_,
          {.name = "active",
           .wanted = [this] { return registry_.any_limited(); },
           .count = [this](const SessionsByBackend& all) { registry_.set_active_elsewhere(all); },
           .own = [this] { return registry_.active(); }}),
      shared_client_limits_(*loop_, predecessors_,
                            {.name = "clients",
                             .wanted = [this] { return doors_.any_client_limit(); },
                             .count = [this](const SessionsByClient& all) { held_places_.set(all); }}),
      background_(*loop_),
      reload_(
          {.registry = registry_,
           .steps = *this,
           .state = state_,
           .background = background_,
           .events = events_,
           .load = [path = first_config_->file, options = options_] { return load_config(path, options); },
           .parse = [options = options_](
                        std::string_view text,
                        const std::string& file) { return parse_config(text, file, options); },
           .when_heard = [this](std::function<void()> done) { fleet_->when_settled(std::move(done)); },
           .refusal = [this] { return upgrade_->reload_refusal(); },
           .on_begin = [this] { service_.reloading(); },
           .on_end = [this] { service_.ready(""); }}),
      shortages_(*loop_, registry_, limits_.admission(), events_),
      history_(*loop_, registry_),
      start_timer_(*loop_, [this] { open_listeners(); }),
      slow_start_timer_(*loop_,
                        [this] {
                          registry_.tick();
                          // A timer may be a little early, and then no Table came of it.
                          if (const auto step = registry_.next_step()) slow_start_timer_.start(*step);
                        }),
      shutdown_timer_(*loop_, [this] { shutdown_step(); }) {}

Daemon::~Daemon() = default;

/// The order is that of the harm an error would leave: nothing is written before everything is bound.
Result<void> Daemon::take_resources() {
  listening_.inherit(std::move(origin_.sockets));
  auto bound = listening_.plan(*first_config_);
  if (!bound) return tl::unexpected(bound.error());
  first_change_.emplace(std::move(*bound));
  for (const auto level : {AdminApi::Level::All, AdminApi::Level::Look}) {
    auto admin = take_admin_socket(origin_.inheritance, first_config_->admin, level);
    if (!admin) return tl::unexpected(admin.error());
    (level == AdminApi::Level::All ? admin_socket_ : read_only_admin_socket_) = std::move(*admin);
  }
  std::vector<Web::Socket> inherited;
  if (origin_.inheritance)
    for (InheritedSocket& socket : origin_.inheritance->web)
      inherited.push_back({socket.address, std::move(socket.fd)});
  auto web = Web::bind(first_config_->web, std::move(inherited));
  if (!web) return tl::unexpected(web.error());
  web_sockets_ = std::move(*web);
  if (auto state = open_state_file(); !state) return state;
  auto target = AccessLog::open(first_config_->log.access);
  if (!target) return tl::unexpected(target.error());
  access_log_ = std::make_unique<AccessLog>(
      std::move(*target), worker_count_,
      [this](std::string complaint) {
        loop_->post([complaint = std::move(complaint)] { daemon_log().warn("{}", complaint); });
      },
      instance_);
  access_log_->set_style({first_config_->log.format, first_config_->log.sample});
  auto health = HealthDesk::create(*loop_, registry_, names_);
  if (!health) return tl::unexpected(health.error());
  health_ = std::move(*health);
  limits_.set(first_config_);
  auto fleet = Fleet::create(*loop_, shared_with_workers());
  if (!fleet) return tl::unexpected(fleet.error());
  fleet_ = std::move(*fleet);
  fleet_->set_busy_poll(first_config_->busy_poll);
  return {};
}

Result<void> Daemon::open_state_file() {
  Overrides overrides;
  if (auto read = read_state_file(overrides); !read) return read;
  // What an older process hands on is newer than what it, or somebody before it, has left on the disk.
  if (origin_.inheritance && !origin_.inheritance->overrides.empty())
    if (auto inherited = parse_state(origin_.inheritance->overrides))
      overrides = std::move(inherited->overrides);
  registry_.restore(std::move(overrides));
  return {};
}

Result<void> Daemon::read_state_file(Overrides& overrides) {
  StateFile& file = state_.file();
  if (file.off()) return {};
  if (auto writable = file.check_writable(!first_config_->state_file_given); !writable) {
    if (first_config_->state_file_given) return fail("state_file: " + writable.error().message);
    // It stays as it is: each override then finds out, and says so to the operator.
    daemon_log().warn("operator overrides will not survive a restart: {}", writable.error().message);
    return {};
  }
  auto loaded = file.load();
  if (!loaded) return tl::unexpected(loaded.error());
  for (const std::string& warning : loaded->warnings) daemon_log().warn("{}", warning);
  overrides = std::move(loaded->overrides);
  return {};
}

void Daemon::on_trouble(std::uint32_t worker, const Trouble& trouble) {
  ++own_trouble_[trouble.doing];
  daemon_log().warn("worker {}: {} (this host's trouble, not a backend's)", worker + 1,
                    fail_errno(trouble.doing, trouble.error).value().message);
  if (trouble.error == EMFILE) limits_.on_shortage();
}

WorkerShared Daemon::shared_with_workers() {
  return {.admission = limits_.admission(),
          .pipes = limits_.pipes(),
          .access_log = *access_log_,
          .workers = worker_count_,
          .on_connects_changed =
              [this](const std::shared_ptr<BackendLoad>& load) { health_->connects_changed(load); },
          .on_trouble =
              [this](std::uint32_t worker, Trouble trouble) {
                loop_->post([this, worker, trouble] { on_trouble(worker, trouble); });
              },
          .reclaim = nullptr,
          .arrivals = arrivals_,
          .wait_list = nullptr,
          .give_way = {},
          .instance = instance_,
          .loops = &loop_guard_};
}

void Daemon::on_table(const std::shared_ptr<const Table>& table) {
  fleet_->adopt(table, [this, generation = table->generation](std::uint32_t worker) {
    adoption_.adopted(worker, generation);
  });
  listening_.follow(*table);
  if (admin_api_ != nullptr) admin_api_->on_table(*table);
  if (const auto step = registry_.next_step()) slow_start_timer_.start(*step);
  // Once for all the changes of this turn.
  if (std::exchange(targets_stale_, true)) return;
  loop_->post([this] {
    targets_stale_ = false;
    names_.update();
    health_->update(watched());
    if (upgrade_->superseded())
      rebalancing_->stop();
    else
      rebalancing_->follow(registry_.table());
    open_if_ready();
  });
}

void Daemon::on_loop(BackendId id) {
  for (const auto& pool : registry_.table()->pools)
    if (const Backend* const backend = pool->find(id))
      daemon_log().error("{}/{} leads back to Weir: its sessions would go round in circles and are reset",
                         pool->settings().name, backend->name);
}

/// A backend without an address is not waited for: it may never have one. Nor is a word of the checker's that
/// is no verdict the end of the wait: it speaks whenever it has begun anew with a backend.
bool Daemon::first_verdicts_are_in() const {
  return std::ranges::all_of(registry_.table()->pools, [](const std::shared_ptr<const Pool>& pool) {
    return std::ranges::none_of(pool->backends(), [](const Backend& backend) {
      return backend.undecided && !backend.addresses.empty();
    });
  });
}

void Daemon::open_if_ready() {
  if (open_ || !elders_known_ || elders_uncounted_ > 0) return;
  // What an older process knew is enough to begin with.
  const auto can_be_served = [](const std::shared_ptr<const Pool>& pool) {
    return pool->any_eligible() ||
           std::ranges::none_of(pool->backends(), [](const Backend& backend) { return backend.undecided; });
  };
  const bool known = origin_.inheritance && std::ranges::all_of(registry_.table()->pools, can_be_served);
  if (known || (names_answered_ && first_verdicts_are_in())) open_listeners();
}

void Daemon::open_listeners() {
  if (open_) return;
  open_ = true;
  start_timer_.stop();
  listening_.open(registry_, *fleet_);
  if (shutting_down_) return listening_.close_all(*fleet_);
  if (!origin_.inheritance && elders_known_) open_admin_api();
  for (const ListenerConfig& listener : registry_.config()->listeners)
    for (const Address& address : listener.bind)
      daemon_log().info("listener {} on {} for pool {}", listener.name, address.to_string(), listener.pool);
  fleet_->when_settled([this] { on_settled(); });
}

void Daemon::on_settled() {
  const Config& config = *registry_.config();
  const std::string ready =
      fmt::format("ready: {}, {}, {}, at most {}", counted(config.listeners.size(), "listener"),
                  counted(config.pools.size(), "pool"), counted(worker_count_, "worker"),
                  counted(limits_.admission().max(), "session"));
  std::vector<std::string> unused;
  for (const Address& address : listening_.settle_inherited()) {
    daemon_log().warn("inherited socket {} is no listener of {}: not served", address.to_string(),
                      config.file);
    unused.push_back(address.to_string());
  }
  service_.ready(ready);
  tell_first_process(origin_.first_process);
  if (takeover_ != nullptr) takeover_->serving(unused);
  tell(Event::Kind::Process, fmt::format("weir {} {}", kBuild.version, ready));
}

void Daemon::tell(Event::Kind kind, std::string text, std::string by, std::vector<std::string> changes) {
  events_.tell(spdlog::level::info, {.time = std::chrono::system_clock::now(),
                                     .kind = kind,
                                     .text = std::move(text),
                                     .by = std::move(by),
                                     .changes = std::move(changes)});
}

void Daemon::on_free(const std::optional<Predecessor>& predecessor) {
  if (predecessor) predecessors_.add(*predecessor);
  shared_backend_limits_.begin();
  shared_client_limits_.begin();
  tell(Event::Kind::Upgrade,
       predecessor ? fmt::format("upgraded: took over from process {}", predecessor->pid) : "upgraded",
       origin_.inheritance->by, std::exchange(inherited_changes_, {}));
  state_.save(registry_.overrides());
  listening_.own_paths();
  const AdminConfig& admin = registry_.config()->admin;
  const auto leave = [](const std::string& path, const std::string& wanted) {
    if (!path.empty() && path != wanted) ::unlink(path.c_str());
  };
  leave(origin_.inheritance->admin_path, admin.socket);
  leave(origin_.inheritance->read_only_admin_path, admin.read_only_socket);
  open_admin_api();
}

int Daemon::run() {
  watch_signals();
  make_admin_api();
  make_web();
  make_upgrade();
  fleet_->start();
  shortages_.begin();
  health_->start(*fleet_);
  SessionsByClient held_elsewhere;
  if (origin_.inheritance && origin_.inheritance->legacy) {
    for (Event& event : parse_events(origin_.inheritance->events)) events_.add(std::move(event));
    const Legacy legacy = std::move(*std::exchange(origin_.inheritance->legacy, std::nullopt));
    held_elsewhere = legacy.clients;
    registry_.inherit(legacy, parse_config(legacy.text, legacy.file, options_).config);
  }
  const ApplyReport report = registry_.apply(first_config_);
  std::move(*first_change_).commit(registry_, *fleet_);
  first_change_.reset();
  // Before the first accept.
  for (const ListenerConfig& listener : first_config_->listeners) doors_.take(listener);
  held_places_.set(held_elsewhere);
  history_.keep(!first_config_->web.bind.empty(),
                origin_.inheritance ? std::exchange(origin_.inheritance->history, "") : "");
  for (const std::string& note : report.notes) daemon_log().warn("{}", note);
  if (origin_.inheritance)
    inherited_changes_ = report.changes;
  else
    say_what_is_in_force();
  // As long as an older process serves, the file is that one's.
  if (!origin_.inheritance) state_.save(registry_.overrides());
  start_timer_.start(origin_.inheritance ? kTakeoverPatience : kStartPatience);
  find_elders();
  open_if_ready();
  names_.update();
  names_.when_answered([this] {
    names_answered_ = true;
    open_if_ready();
  });
  loop_->run();
  // The workers first: they report to everybody else. What they had in hand ends as `shutdown`.
  takeover_.reset();
  upgrade_.reset();
  web_.reset();
  metrics_.reset();
  admin_api_.reset();
  fleet_.reset();
  health_.reset();
  access_log_.reset();
  return exit_status_;
}

void Daemon::say_what_is_in_force() const {
  const Overrides& words = registry_.overrides();
  std::size_t said = 0;
  for (const auto& [key, word] : words) {
    if (said++ == kMostWordsSaid) break;
    const auto say = [&key = key](const auto& one) {
      if (one) daemon_log().info("{}/{} {}: in force", key.first, key.second, to_string(*one));
    };
    say(word.admin);
    say(word.weight);
  }
  if (words.size() > kMostWordsSaid)
    daemon_log().info("words on {} more backends are in force", words.size() - kMostWordsSaid);
}

}  // namespace weir
