#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// What a value must look like; value_types.h has what the manual and the schema say of each.
enum class ValueType : std::uint8_t {
  Integer,
  Boolean,
  Bound,  ///< a number: 0, or kLeastBound to kMostBound
  Duration,
  Word,      ///< one of Value::words
  Balancer,  ///< one of those that lb/balance offers
  Probe,     ///< one of those that health offers
  Text,      ///< any string
  Filled,    ///< any string but ""
  Name,
  Mode,        ///< the rights of a file
  Path,        ///< of a file; "" = none
  SocketPath,  ///< the same of a unix socket
  LogTarget,
  DaemonLogTarget,
  Sample,
  Bind,     ///< an address that is not looked up: what a listener binds, where a probe goes
  Address,  ///< where a backend is
  Ip,
  Network,     ///< an address, address/bits or "unix"
  Rate,        ///< "20/s"; "" = no limit
  ByteRate,    ///< "500KB"; "0" = no limit
  ServerName,  ///< a host name, "*." before it for any below it, or "*"
  Protocol,    ///< of ALPN
  HttpPath,
  HttpHost,
  Statuses,
  Program,  ///< an absolute path, then its arguments
  Login,    ///< a name that a server is told
  Database,
  File,               ///< an absolute path
  NetworkFile,        ///< the same, of what is read with the configuration: networks
  TokenFile,          ///< the same, of what is read with the configuration: a token; "" = none
  WebBind,            ///< as Bind; "" = none
  CongestionControl,  ///< of TCP, one that the kernel allows; "" = none is named
  Account,            ///< a user or a group of this host, by name or number
  Table,              ///< of keys of its own: the TableKeys of that path
  Tables,             ///< a list of those
};

/// How many times its share somebody may get.
inline constexpr double kLeastBound = 1.05, kMostBound = 10;

/// AnyNumber: a list, which may be empty, or one.
enum class Shape : std::uint8_t { One, OneOrMore, AnyNumber, List };

struct Value {
  ValueType type = ValueType::Text;
  Shape shape = Shape::One;
  std::uint64_t least = 0;         ///< of an Integer; of a Duration 1: longer than zero
  std::uint64_t most = 0;          ///< of an Integer
  std::string_view words[8] = {};  ///< of a Word
};

/// The kinds of probe that a key is of.
class Probes {
 public:
  template <class... Kinds>
  constexpr Probes(Kinds... kinds) : kinds_{kinds...}, count_(sizeof...(kinds)) {}
  constexpr std::span<const std::string_view> kinds() const { return {kinds_, count_}; }
  constexpr bool all() const { return count_ == 0; }

 private:
  std::string_view kinds_[3] = {};
  std::size_t count_;
};

/// The default of a key that has none which could be written.
inline constexpr std::string_view kNone = "(none)";

/// One key as the file has it. Unknown keys are told, weir.toml(5) and the schema are written by this alone;
/// that the readers go by it is held by a test.
struct Key {
  std::string_view name;
  Value value;
  std::string_view standard;     ///< the default as the file would have it, without quotes; or kNone
  std::string_view about;        ///< a sentence for whoever writes the file
  Probes probes = {};            ///< that alone have it; none = every kind, and keys of other tables
  bool required = false;         ///< in its table; of a probe's own key: with that probe
  std::string_view unless = "";  ///< another key that stands in for it
};

/// Every key that one table of the file may have, in the order of the documentation.
struct TableKeys {
  std::string_view path;    ///< "" for the top level, else "pool.health"
  std::string_view header;  ///< how the file opens it: "[pool.health]"
  std::string_view about;   ///< a sentence of what the table is
  std::span<const Key> rows;
  std::span<const std::string_view> keys;  ///< the names of `rows`
  std::string_view over = "";  ///< the path of a table that has these keys, too: what is not given is there
};

const TableKeys& root_keys();
const TableKeys& admin_keys();
const TableKeys& log_keys();
const TableKeys& listener_keys();
const TableKeys& pool_keys();
const TableKeys& health_keys();
const TableKeys& backend_keys();
const TableKeys& backend_health_keys();
const TableKeys& route_keys();
const TableKeys& web_keys();
std::span<const TableKeys> all_tables();

/// The table of that path; null when there is none.
const TableKeys* find_table(std::string_view path);
/// The table that `key` of `table` opens: "pool" of the top level, "health" of "pool".
const TableKeys* table_below(const TableKeys& table, std::string_view key);

/// `unknown key "pool.conect_timeout": did you mean "connect_timeout"?`, or where a key of another table
/// belongs.
std::string unknown_key_message(const TableKeys& table, std::string_view key);

/// The probe kinds that a key of [pool.health] belongs to, as "http" or "expect"; none for a key of every
/// probe.
std::span<const std::string_view> probe_kinds_of(std::string_view key);

/// Whether [pool.health] has keys of its own for this kind, or is known to have none.
bool knows_probe_kind(std::string_view kind);

}  // namespace weir
