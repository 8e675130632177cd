// The table of keys. A new key is one row here, and a reader that takes it.
#include <array>

#include "lb/admit/rate.h"
#include "lb/base/state.h"
#include "lb/config/keys.h"

namespace weir {
namespace {

using enum ValueType;

constexpr Value kBoolean{Boolean};
constexpr Value kDuration{Duration};
constexpr Value kLongerThanZero{.type = Duration, .least = 1};
constexpr Value kName{Name};
constexpr Value kMode{Mode};
constexpr Value kText{Text};
constexpr Value kTable{Table};
constexpr Value kListOfTables{Tables};

constexpr Value of(ValueType type, Shape shape = Shape::One) {
  return {.type = type, .shape = shape};
}

constexpr Value integer(std::uint64_t least, std::uint64_t most) {
  return {.type = Integer, .least = least, .most = most};
}

template <class... Words>
constexpr Value word(Words... words) {
  return {.type = Word, .words = {words...}};
}

constexpr Key needed(Key key) {
  key.required = true;
  return key;
}

constexpr Key needed_unless(std::string_view other, Key key) {
  key.unless = other;
  return needed(key);
}

constexpr std::uint64_t kMostInARow = 10'000;

constexpr Key kRoot[] = {
    {"workers", integer(0, 1024), "0", "Event-loop threads; 0 is one for each CPU that the process may use."},
    {"max_connections", integer(1, kMaxSessions), kNone,
     "Sessions at once in the whole process, at which clients wait in the kernel's queue; left out, as many "
     "as the descriptor limit holds."},
    {"busy_poll", word("auto", "off", "always"), "auto",
     "Whether workers poll for 100 µs before they sleep: \"auto\", while traffic shows that an answer comes "
     "sooner then (never under a CPU quota of the cgroup's); \"off\"; \"always\": they never sleep, and each "
     "takes a CPU."},
    {"shutdown_grace", kDuration, "30s", "How long SIGTERM lets live sessions finish."},
    {"state_file", of(Path), "/var/lib/weir/state.json",
     "Where operators' overrides are kept over a restart; \"\" is nowhere."},
    {"admin", kTable, kNone, "The sockets of the admin API."},
    {"log", kTable, kNone, "The daemon's log and the access log."},
    {"web", kTable, kNone, "Metrics, the dashboard and readiness, by HTTP."},
    needed({"listener", kListOfTables, kNone, "What Weir accepts connections on."}),
    needed({"pool", kListOfTables, kNone, "Backends that serve the same."}),
};

constexpr Key kAdmin[] = {
    {"socket", of(SocketPath), "/run/weir/weir.sock",
     "The socket of the admin API, which the commands use; \"\" is none."},
    {"mode", kMode, "0660", "The rights of that socket: who may use it may change everything."},
    {"upgrade", word("same", "any"), "same",
     "What others than root and Weir's own user may have started by an upgrade: the binary that Weir was "
     "started from, or any program."},
    {"read_only_socket", of(SocketPath), "",
     "A second socket, on which everything can be seen and nothing be changed; \"\" is none."},
    {"read_only_mode", kMode, "0666", "The rights of the second socket."},
};

constexpr Key kLog[] = {
    {"level", word("trace", "debug", "info", "warn", "error"), "info",
     "The least that the daemon's log tells."},
    {"format", word("text", "json"), "text",
     "How both logs are written: \"text\", or \"json\", one object a line."},
    {"daemon", of(DaemonLogTarget), "stderr",
     "Where the daemon's log goes: \"stderr\", with priorities where that is the journal's, or \"syslog:\", "
     "the host's syslog daemon (RFC 5424; \"syslog:/path\" is another socket than /dev/log)."},
    {"access", of(LogTarget), "stdout",
     "Where the access log goes, one line for each ended session: \"off\", \"stdout\", a file, or "
     "\"syslog:\" as in daemon."},
    {"sample", of(Sample), "1/1",
     "Of sessions that ended well (done, lifetime, rebalanced) one in so many has a line in the access log, "
     "\"1/100\", and says so by sample=100; all others are written."},
};

constexpr Key kWeb[] = {
    {"bind", of(WebBind, Shape::AnyNumber), "",
     "Where Prometheus, browsers and whoever asks whether Weir is ready find it; \"\" is nowhere."},
    {"hosts", of(ServerName, Shape::AnyNumber), kNone,
     "Names that it may be asked under, besides localhost and addresses: \"*\" stands for one or more labels "
     "at "
     "the left, and by itself for any name."},
    {"token_file", of(TokenFile), "",
     "A file whose first line is a token: whoever sends it may change things there, too. Read again at each "
     "reload. \"\" is nobody."},
};

constexpr Key kListener[] = {
    needed({"name", kName, kNone, "What logs and commands call it."}),
    needed({"bind", of(Bind, Shape::OneOrMore), kNone,
            "The addresses to accept connections on; [::] is IPv6 only and goes beside 0.0.0.0."}),
    needed_unless("route",
                  {"pool", kName, kNone,
                   "The pool that serves it; with routes, whom none of them takes. Left out, these are "
                   "refused."}),
    {"max_connections", integer(0, kMaxSessions), "0",
     "Sessions at once of this listener; 0 is no limit but the global one."},
    {"congestion_control", of(CongestionControl), "",
     "Of its TCP clients' connections, one that the kernel allows: \"reno\"; \"\" is the system's, and the "
     "cheapest at a loopback address."},
    {"proxy_from", of(Network, Shape::AnyNumber), kNone,
     "Networks that announce the client with a PROXY header, version 1 or 2: they alone may connect, and "
     "each "
     "connection begins with one. Left out, nobody does."},
    {"allow", of(Network, Shape::AnyNumber), kNone,
     "Who may come in; left out, everybody. The longest network in allow and deny that contains the client "
     "decides."},
    {"deny", of(Network, Shape::AnyNumber), kNone, "Who may not; at equal length it goes before allow."},
    {"allow_file", of(NetworkFile), kNone,
     "A file of more networks for allow, one a line; # begins a comment."},
    {"deny_file", of(NetworkFile), kNone, "The same for deny."},
    {"header_timeout", kLongerThanZero, "3s",
     "From the accept: for a PROXY header and a TLS client's first message together."},
    {"sessions_per_client", integer(0, kMaxSessions), "0", "Sessions at once of one client; 0 is no limit."},
    {"new_sessions_per_client", of(Rate), "",
     "New sessions of one client: 20/s, 600/m or 5000/h; \"\" is no limit."},
    {"new_sessions", of(Rate), "",
     "New sessions of all clients together; beyond it clients wait in the kernel's queue."},
    {"burst", integer(0, kMaxRateNumber), "0",
     "How many of both rates may come at once; 0 is one second's worth, at least 1."},
    {"unlimited", of(Network, Shape::AnyNumber), kNone, "Whom the limits for each client do not concern."},
    {"client_prefix",
     {.type = Integer, .shape = Shape::List, .least = 1, .most = 128},
     "[32, 64]",
     "What is one client: the leading bits of an IPv4 and of an IPv6 address."},
    {"preface", word("off", "postgres"), "off",
     "What clients say before their first TLS message, for routes by sni or alpn: \"postgres\" answers "
     "PostgreSQL's SSLRequest."},
    {"route", kListOfTables, kNone, "Which pool serves whom, by name, protocol or address."},
    {"when_down", word("refuse", "close"), "refuse",
     "While none of its pools has an eligible backend: reset each new client, or have the kernel refuse "
     "them, as "
     "if nothing listened, so that a router or a balancer before it sees it. TCP only."},
    {"mode", kMode, kNone,
     "The rights of the files of its unix sockets: who may connect; left out, 0666 at first, and then as "
     "they are."},
    {"owner", of(Account), kNone, "Whose these files are, by name or number; left out, Weir's user's."},
    {"group", of(Account), kNone, "Their group, by name or number; left out, Weir's."},
    {"ready", kBoolean, "true", "Whether \"weir status --ready\" says no while it has nobody to serve it."},
};

constexpr Key kRoute[] = {
    {"sni", of(ServerName, Shape::OneOrMore), kNone,
     "Names that a TLS client asks for: www.example.com, *.example.org for one or more labels, or * for "
     "any."},
    {"alpn", of(Protocol, Shape::OneOrMore), kNone, "Protocols of which it offers one."},
    {"client", of(Network, Shape::OneOrMore), kNone, "Networks of which one contains the client."},
    needed({"pool", kName, kNone, "The pool that serves them."}),
};

constexpr Key kPool[] = {
    needed({"name", kName, kNone, "What listeners, logs and commands call it."}),
    {"balance", of(Balancer), "round_robin",
     "Who gets a new session: the next in turn by weight (round_robin), the one with the fewest sessions for "
     "its weight (least_connections), the one that the client's address decides (source_hash), of two that "
     "are "
     "drawn by weight the one with fewer sessions (random_two), the one with the fewest sessions times its "
     "time "
     "to the first byte of late (least_time), or the first in this file that has room (first)."},
    {"connect_timeout", kLongerThanZero, "2s",
     "How long a backend may take to accept before the next one is tried."},
    {"connect_attempts", integer(1, 1000), "3",
     "How many different backends are tried for one session, at once and without a pause."},
    {"idle_timeout", kLongerThanZero, "10m",
     "A session in which no byte passes either way for so long is ended."},
    {"half_close_timeout", kLongerThanZero, "30s", "The same once one side has finished."},
    {"on_all_down", word("refuse", "try_all"), "refuse",
     "When no backend is up: refuse clients, or use every enabled backend all the same."},
    {"on_backend_down", word("leave", "close"), "leave",
     "What becomes of the live sessions of a backend that goes down."},
    {"queue", integer(0, kMaxSessions), "100",
     "Sessions that may wait while every backend that could serve them has its max_sessions; beyond, or with "
     "0, clients are reset."},
    {"queue_timeout", kLongerThanZero, "5s", "How long a session may wait so."},
    {"hedge_after", kDuration, "0s",
     "When a backend has not answered a connect for so long, a second one is tried beside it, and the first "
     "to "
     "accept has the session; at most one connect in ten. Below connect_timeout; 0s is never."},
    {"hash_bound", of(Bound), "0",
     "With source_hash: no backend gets more than this many times its share of the sessions, whatever "
     "addresses "
     "its clients have; 0 is no bound."},
    {"rebalance", of(Rate), "",
     "When a backend has joined or recovered, so many sessions of those that have more than their share are "
     "ended, the oldest first, until all have theirs: \"5/s\"; \"\" is never."},
    {"max_lifetime", kDuration, "0s",
     "A session is ended this long after its backend's accept, give or take a tenth, so that they do not end "
     "together; 0s is never."},
    {"rate_to_client", of(ByteRate), "0",
     "The most that a session brings its client in a second: \"500KB\" (of 1000), \"10MiB\" (of 1024); \"0\" "
     "is no "
     "limit."},
    {"rate_to_backend", of(ByteRate), "0", "The same to its backend."},
    {"congestion_control", of(CongestionControl), "",
     "Of TCP connections to its backends, one that the kernel allows: \"reno\"; \"\" is the system's, and "
     "the "
     "cheapest where a backend is on this host."},
    {"slow_start", kDuration, "0s",
     "For so long the share of a backend that has come back grows, from a tenth."},
    {"send_proxy", word("off", "v1", "v2"), "off",
     "Whether each session begins with a PROXY header that tells its backend who the client is, and of which "
     "version."},
    {"source", of(Ip, Shape::OneOrMore), kNone,
     "Addresses of this host to connect from, in turn; left out, the kernel chooses."},
    {"health", kTable, kNone, "How the backends are probed."},
    needed({"backend", kListOfTables, kNone, "The servers of the pool."}),
};

constexpr Key kHealth[] = {
    {"probe", of(Probe), "tcp",
     "What a probe does: connect (tcp), ask by HTTP (http), wait for an answer (expect), speak a server's "
     "protocol (postgres, mysql, redis, smtp, tls), run a program (exec), or nothing (none)."},
    {"interval", kLongerThanZero, "2s", "From one probe of a backend to the next."},
    {"fast_interval", kLongerThanZero, "500ms",
     "The same while a verdict is being confirmed; cut to the interval when longer."},
    {"timeout", kLongerThanZero, "1s", "How long one probe may take."},
    {"rise", integer(1, kMostInARow), "2", "Consecutive passes to go up."},
    {"fall", integer(1, kMostInARow), "3", "Consecutive failures to go down."},
    {"port", integer(1, 65'535), kNone, "The port to probe; left out, the backend's own."},
    {"agent_port", integer(1, 65'535), kNone,
     "Where the backend's own agent is asked every interval, in the words of HAProxy's agent-check, for its "
     "weight in percent, whether it is ready, to be drained, in maintenance, up or down, and how many "
     "sessions "
     "it takes (maxconn:N); left out, it has none."},
    {"send_proxy", kBoolean, "true",
     "Where the pool's sessions begin with a PROXY header, whether probes of the backend's own port do, too: "
     "with one of their own."},
    {"send", kText, "", "What is sent first; \"\" is nothing. A byte is \\xHH, in single quotes.", "expect"},
    needed_unless("steps", {"expect", of(Filled), kNone, "What the answer must contain.", "expect"}),
    {"reject", of(Filled), kNone, "What the answer must not contain before that.", "expect"},
    {"steps", kListOfTables, kNone, "Several of these in turn.", "expect"},
    {"https", kBoolean, "false", "Ask by HTTPS; the certificate is not judged.", "http"},
    {"path", of(HttpPath), "/", "What is asked for.", "http"},
    {"host", of(HttpHost), "",
     "For http the Host header (\"\" is the backend's address); for smtp what the probe calls itself; for "
     "tls the "
     "name to ask for and to verify.",
     Probes("http", "smtp", "tls")},
    {"status", of(Statuses), "200-399", "The status of an answer that passes.", "http"},
    {"body", kText, "", "What the answer's body must contain; \"\" is anything.", "http"},
    needed({"command", of(Program, Shape::List), kNone,
            "The program and its arguments; exit status 0 passes. WEIR_POOL, WEIR_BACKEND, WEIR_ADDRESS, "
            "WEIR_HOST and WEIR_PORT are in its environment.",
            "exec"}),
    {"user", of(Login), "weir", "Who the probe says it is.", Probes("postgres", "mysql")},
    {"database", of(Database), "", "The database to ask for; \"\" is the user's.", "postgres"},
    {"role", word("primary", "standby", "master", "replica"), kNone,
     "What the server must be: primary or standby for postgres, master or replica for redis.",
     Probes("postgres", "redis")},
    {"verify", kBoolean, "true", "Whether the certificate must be trusted and of that host.", "tls"},
    {"ca_file", of(File), kNone, "Whom to trust; left out, whom this host trusts.", "tls"},
    {"min_days_left", integer(0, 3650), "0",
     "How long the certificate must be valid yet; 0 is not looked at.", "tls"},
    {"eject_after", integer(0, kMostInARow), "3",
     "Failed connects in a row that take a backend out of rotation, unless nobody else is in it; 0 is never.",
     "none"},
    {"eject_for", kLongerThanZero, "1s",
     "For how long; twice as long each time, and a minute without a failure sets it back.", "none"},
    {"eject_for_at_most", kLongerThanZero, "30s",
     "The longest that it becomes; raised to eject_for when shorter.", "none"},
};

/// As one backend has them: all of a probe's keys, none of which it needs, and where else to probe.
constexpr auto kBackendHealth = [] {
  std::array<Key, std::size(kHealth) + 1> rows{};
  rows[0] = {
      "address", of(Bind), kNone,
      "Probed in the place of the backend's address: ip:port, [v6]:port or unix:/path, and not beside port."};
  for (std::size_t i = 0; i < std::size(kHealth); ++i) {
    Key& row = rows[i + 1] = kHealth[i];
    row.standard = kNone;
    row.required = false;
    row.unless = "";
  }
  return rows;
}();

constexpr Key kStep[] = {
    {"send", kText, kNone, "What is sent."},
    {"expect", of(Filled), kNone,
     "What the answer must contain, before the next step; one step at least has it."},
    {"reject", of(Filled), kNone, "What it must not contain before that."},
};

constexpr Key kBackend[] = {
    {"name", kName, kNone,
     "What logs and commands call it; left out, the address as written. A backend on a unix socket needs "
     "one."},
    needed({"address", of(Address), kNone, "Where it is; a host name is followed."}),
    {"weight", integer(1, 256), "1", "Its share beside the others'."},
    {"max_sessions", integer(0, kMaxSessions), "0",
     "Its sessions at once, connecting ones included, over all workers; 0 is no limit."},
    {"backup", kBoolean, "false", "Used only when no other backend is eligible, or all of these are full."},
    {"admin", word("enabled", "drained", "disabled"), "enabled",
     "How it starts, until an operator says otherwise."},
    {"health", kTable, kNone, "How it is probed, as far as not like the others."},
};

template <class Rows>
constexpr auto names_of(const Rows& rows) {
  std::array<std::string_view, sizeof(Rows) / sizeof(Key)> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = rows[i].name;
  return names;
}
constexpr auto kRootNames = names_of(kRoot);
constexpr auto kAdminNames = names_of(kAdmin);
constexpr auto kLogNames = names_of(kLog);
constexpr auto kWebNames = names_of(kWeb);
constexpr auto kListenerNames = names_of(kListener);
constexpr auto kPoolNames = names_of(kPool);
constexpr auto kHealthNames = names_of(kHealth);
constexpr auto kBackendNames = names_of(kBackend);
constexpr auto kBackendHealthNames = names_of(kBackendHealth);
constexpr auto kStepNames = names_of(kStep);
constexpr auto kRouteNames = names_of(kRoute);

constexpr TableKeys kTables[] = {
    {"", "the top level", "What concerns the process as a whole.", kRoot, kRootNames},
    {"admin", "[admin]", "The admin API. It changes with a restart or an upgrade only.", kAdmin, kAdminNames},
    {"log", "[log]", "What is logged.", kLog, kLogNames},
    {"listener", "[[listener]]", "Once for each listener.", kListener, kListenerNames},
    {"pool", "[[pool]]", "Once for each pool.", kPool, kPoolNames},
    {"pool.health", "[pool.health]", "Below its [[pool]]. Without it the pool is probed by the defaults.",
     kHealth, kHealthNames},
    {"pool.backend", "[[pool.backend]]", "Below its [[pool]], once for each backend.", kBackend,
     kBackendNames},
    {"pool.backend.health", "[pool.backend.health]",
     "Below its [[pool.backend]]: any key of [pool.health], for this backend alone. What it does not give "
     "comes from there; with another probe, the keys that are of a kind of probe have their defaults.",
     kBackendHealth, kBackendHealthNames, "pool.health"},
    {"pool.health.steps", "[[pool.health.steps]]", "Of an expect probe, in turn; 16 at most.", kStep,
     kStepNames},
    {"pool.backend.health.steps", "[[pool.backend.health.steps]]", "The same of one backend.", kStep,
     kStepNames, "pool.health.steps"},
    {"listener.route", "[[listener.route]]",
     "Below its [[listener]]: the first that fits serves; all that is given must fit.", kRoute, kRouteNames},
    {"web", "[web]", "What is to be seen with a browser and with Prometheus.", kWeb, kWebNames},
};

}  // namespace

const TableKeys& root_keys() {
  return kTables[0];
}
const TableKeys& admin_keys() {
  return kTables[1];
}
const TableKeys& log_keys() {
  return kTables[2];
}
const TableKeys& listener_keys() {
  return kTables[3];
}
const TableKeys& pool_keys() {
  return kTables[4];
}
const TableKeys& health_keys() {
  return kTables[5];
}
const TableKeys& backend_keys() {
  return kTables[6];
}
const TableKeys& backend_health_keys() {
  return kTables[7];
}
const TableKeys& route_keys() {
  return kTables[10];
}
const TableKeys& web_keys() {
  return kTables[11];
}
std::span<const TableKeys> all_tables() {
  return kTables;
}

}  // namespace weir
