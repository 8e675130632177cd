#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/admit/door.h"
#include "lb/base/address.h"
#include "lb/base/daemon_log.h"
#include "lb/base/duration.h"
#include "lb/base/seldom.h"
#include "lb/base/state.h"
#include "lb/config/written.h"

namespace weir {

inline constexpr std::uint32_t kMaxWorkers = 1024;

/// One configuration file as plain data, validated as a whole by load_config. Every value is final: defaults
/// are filled in, `${NAME}` is replaced. Never changed after loading; shared between threads as
/// `shared_ptr<const Config>`.

/// One step of an expect probe: says `send`, then reads until `expect` has come, and `reject` must not have
/// come before. Each may be empty, not all of them; `reject` needs an `expect`.
struct ExpectStep {
  std::string send = {};
  std::string expect = {};
  std::string reject = {};

  friend bool operator==(const ExpectStep&, const ExpectStep&) = default;
};

struct ProbeConfig {
  std::string kind = "tcp";  ///< one of the probe kinds the loader was given
  Millis interval{2000};
  Millis fast_interval{500};  ///< never longer than `interval`: cut to it when it is
  Millis timeout{1000};
  std::uint32_t rise = 2;
  std::uint32_t fall = 3;
  std::uint32_t eject_after = 3;     ///< none: connects failed in a row; 0 = never
  Millis eject_for{1000};            ///< none: twice as long each time
  Millis eject_for_at_most{30'000};  ///< none: never shorter than `eject_for`: raised to it when it is
  std::uint16_t port = 0;            ///< probes this port instead of the backend's; 0 = the backend's own
  std::uint16_t agent_port = 0;      ///< the backend's agent is asked there; 0 = it has none
  bool send_proxy = true;  ///< where the pool's sessions begin with a PROXY header, its probes do, too
  SendProxy header = SendProxy::Off;  ///< that they begin with: of the pool, when its own port is probed
  std::optional<Address> address;     ///< of one backend: what is probed in its place, `port` or not
  std::string send;                   ///< expect: what is sent first; may be empty
  std::string expect;                 ///< expect: what the answer must contain
  std::string reject;                 ///< expect: what it must not contain before; "" = anything may
  std::vector<ExpectStep> steps;      ///< expect: instead of these three; may be empty
  bool https = false;                 ///< http
  std::string path = "/";             ///< http
  /// http: the Host header; "" = the backend's address. smtp: what it calls itself; "" = this host's name.
  /// tls: the name to ask for and to verify, or an IP; "" = none, with `verify` off only.
  std::string host;
  std::vector<std::pair<std::uint16_t, std::uint16_t>> status = {{200, 399}};  ///< http: inclusive ranges
  std::string body;                  ///< http: what the body must contain; "" = anything
  std::vector<std::string> command;  ///< exec: absolute path, arguments
  std::string user = "weir";         ///< postgres, mysql
  std::string database;              ///< postgres; "" = none is named, so that it is the user's
  std::string role;                  ///< postgres: primary, standby; redis: master, replica; "" = any
  bool verify = true;                ///< tls
  std::string ca_file;               ///< tls: whom to trust; "" = whom this host trusts
  std::uint32_t min_days_left = 0;   ///< tls: of the certificate; 0 = not looked at
  std::vector<Address> source;       ///< the pool's; its probes use the first of the address's family

  friend bool operator==(const ProbeConfig&, const ProbeConfig&) = default;
};

struct BackendConfig {
  std::string name;
  Endpoint endpoint;
  std::uint32_t weight = 1;  ///< 1..256
  bool backup = false;
  Admin admin = Admin::Enabled;
  std::uint32_t max_sessions = 0;  ///< at once, over all workers; 0 = no limit
  Seldom<ProbeConfig> probe = {};  ///< its own, whole; else its pool's

  friend bool operator==(const BackendConfig&, const BackendConfig&) = default;
};

enum class OnAllDown : std::uint8_t { Refuse, TryAll };
enum class OnBackendDown : std::uint8_t { Leave, Close };

struct PoolConfig {
  std::string name;
  std::string balance = "round_robin";  ///< one of the balancer kinds the loader was given
  Millis connect_timeout{2000};
  std::uint32_t connect_attempts = 3;
  Millis idle_timeout{600'000};
  Millis half_close_timeout{30'000};
  OnAllDown on_all_down = OnAllDown::Refuse;
  OnBackendDown on_backend_down = OnBackendDown::Leave;
  std::vector<Address> source;  ///< to connect from, in turn; port 0; empty = what the kernel takes
  SendProxy send_proxy = SendProxy::Off;
  std::uint32_t queue = 100;         ///< sessions that may wait until a backend has room; 0 = none
  Millis queue_timeout{5000};        ///< for how long
  Millis hedge_after{0};             ///< a connect silent for so long gets a second one beside it; 0 = never
  double hash_bound = 0;             ///< source_hash: nobody beyond this many times its share; 0 = no bound
  std::string rebalance;             ///< how fast, after a backend has come (parse_rate()); "" = never
  Millis max_lifetime{0};            ///< of a session, from its backend's accept, ±10 %; 0 = no limit
  std::uint64_t rate_to_client = 0;  ///< of a session, bytes a second; 0 = no limit
  std::uint64_t rate_to_backend = 0;
  std::string congestion_control = {};  ///< of connections to backends; "" = UnnamedCongestionControl
  Millis slow_start{0};
  ProbeConfig probe;
  std::vector<BackendConfig> backends;

  /// By which a backend of this pool is probed.
  const ProbeConfig& probe_of(const BackendConfig& backend) const {
    return backend.probe ? *backend.probe : probe;
  }

  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

/// What becomes of new clients while none of a listener's pools has an eligible backend: a reset for each, or
/// the kernel refuses them.
enum class WhenDown : std::uint8_t { Refuse, Close };

struct ListenerConfig {
  std::string name;
  std::vector<Address> bind;
  std::string pool;                        ///< for sessions that no route takes; "" = these are refused
  std::uint64_t max_connections = 0;       ///< 0 = only the global limit
  std::string congestion_control = {};     ///< of clients' connections; "" = UnnamedCongestionControl
  std::optional<std::uint32_t> mode = {};  ///< of the files of its unix sockets; nothing: 0666, or what it is
  std::optional<std::uint32_t> owner = {};  ///< of these; nothing: Weir's user, or whose it is
  std::optional<std::uint32_t> group = {};
  WhenDown when_down = WhenDown::Refuse;
  bool ready = true;    ///< Weir is ready only when it can serve this one
  DoorTerms door = {};  ///< who may come in, and where to

  friend bool operator==(const ListenerConfig&, const ListenerConfig&) = default;
};

struct AdminConfig {
  std::string socket = "/run/weir/weir.sock";  ///< "" = none
  std::uint32_t mode = 0660;
  bool socket_given = false;     ///< false: the default, whose directory is created when missing
  std::string read_only_socket;  ///< for those who may look and change nothing; "" = none
  std::uint32_t read_only_mode = 0666;
  /// Whoever may use `socket` may have any program started by an upgrade; false: only root and the user Weir
  /// runs as.
  bool any_upgrade = false;

  friend bool operator==(const AdminConfig&, const AdminConfig&) = default;
};

/// What is to be seen by HTTP over TCP.
struct WebConfig {
  std::vector<Address> bind;       ///< none: nowhere
  std::vector<std::string> hosts;  ///< names it may be asked under, as parse_name_pattern gives them
  std::string token_file;          ///< "" = nobody may change anything there
  std::string token;               ///< what is in it

  friend bool operator==(const WebConfig&, const WebConfig&) = default;
};

enum class LogLevel : std::uint8_t { Trace, Debug, Info, Warn, Error };

struct LogConfig {
  LogLevel level = LogLevel::Info;
  LogFormat format = LogFormat::Text;
  std::string access = "stdout";  ///< "off", "stdout", a path or one of syslog_path()
  std::string daemon = "stderr";  ///< or one of syslog_path()
  std::uint32_t sample = 1;       ///< of good endings one in so many has a line in the access log

  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

struct Config {
  std::string file;                              ///< the path it was read from
  std::string text;                              ///< what was read there
  Written written;                               ///< values of it that came out of the environment
  std::uint32_t workers = 0;                     ///< 0 = one for each CPU the process may use
  std::optional<std::uint64_t> max_connections;  ///< absent = as many as the descriptor limit holds
  BusyPoll busy_poll = BusyPoll::Auto;
  Millis shutdown_grace{30'000};
  std::string state_file = "/var/lib/weir/state.json";  ///< "" = off
  bool state_file_given = false;  ///< false: the default, whose directory is created when missing
  AdminConfig admin;
  LogConfig log;
  WebConfig web;
  std::vector<ListenerConfig> listeners;
  std::vector<PoolConfig> pools;

  const PoolConfig* find_pool(std::string_view name) const;
};

}  // namespace weir
