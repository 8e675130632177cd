#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// Every key that one table of the file may have, in the order of the documentation.
struct TableKeys {
  std::string_view path;    ///< "" for the top level, else "pool.health"
  std::string_view header;  ///< how the file opens it: "[pool.health]"
  std::span<const std::string_view> keys;
};

const TableKeys& root_keys();
const TableKeys& admin_keys();
const TableKeys& log_keys();
const TableKeys& listener_keys();
const TableKeys& pool_keys();
const TableKeys& health_keys();
const TableKeys& backend_keys();
const TableKeys& step_keys();  ///< of one step of an expect probe
std::span<const TableKeys> all_tables();

/// `unknown key "pool.conect_timeout": did you mean "connect_timeout"?`, or where a key of another table
/// belongs.
std::string unknown_key_message(const TableKeys& table, std::string_view key);

/// The probe kinds that a key of [pool.health] belongs to, as "http" or "expect"; none for a key of every
/// probe.
std::vector<std::string_view> probe_kinds_of(std::string_view key);

/// Whether [pool.health] has keys of its own for this kind, or is known to have none.
bool knows_probe_kind(std::string_view kind);

}  // namespace weir
