#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "lb/base/own_sockets.h"
#include "lb/config/config.h"
#include "lb/config/load.h"
#include "lb/config/reader.h"

namespace weir {

// A configuration while it is read, with the places of what is checked across tables. A place is unknown when
// the value is missing or has a fault of its own already: nothing more is said about that one.

struct ListenerPlaces {
  Place name;
  Place pool;
  Place max_connections;
  std::vector<Place> bind;         ///< one for each of ListenerConfig::bind
  std::vector<Place> route_pools;  ///< one for each of its routes
};

struct BackendPlaces {
  Place name;
  Place address;
};

struct PoolPlaces {
  Place table;
  Place name;
  Place rate_to_client;
  Place rate_to_backend;
  std::vector<BackendPlaces> backends;  ///< one for each of PoolConfig::backends
};

struct Draft {
  std::shared_ptr<Config> config = std::make_shared<Config>();
  Place max_connections;
  Place admin_socket;
  Place read_only_socket;
  Place state_file;
  Place access;
  std::vector<Place> web_bind;  ///< one for each of WebConfig::bind
  Place daemon_log;
  std::vector<ListenerPlaces> listeners;  ///< one for each of Config::listeners
  std::vector<PoolPlaces> pools;          ///< one for each of Config::pools
};

/// Reads a name: 1 to 128 of `A-Z a-z 0-9 . _ : [ ] -`. The place of the value, unless there is none.
Place read_name(const TableReader& reader, std::string_view key, std::string& name);

/// What is wrong with a name, or "".
std::string_view name_problem(std::string_view name);

/// Reads what can be bound without looking it up: ip:port, [v6]:port or unix:/path.
Result<Address> parse_bind(const std::string& text);
void read_listener(Findings& findings, const toml::table& table, Draft& draft);
void read_web(Findings& findings, const toml::table& table, Draft& draft);
/// What a listener asks of its clients, out of [[listener]].
void read_door(const TableReader& reader, DoorTerms& door, ListenerPlaces& places);
void read_pool(Findings& findings, const toml::table& table, Draft& draft);
/// Answers whether it is known of what kind the probe is: else nothing can be said of its keys.
bool read_health(Findings& findings, const toml::table& table, ProbeConfig& probe);
/// What one backend's table changes of `probe`, which is its pool's.
void read_backend_health(Findings& findings, const toml::table& table, bool kind_known, ProbeConfig& probe);

/// What a kind of probe needs: must it be in the table that is read, or is it in the pool's?
enum class Needs : std::uint8_t { Here, Inherited };
/// The keys of an expect probe, out of [pool.health].
void read_expect(const TableReader& reader, Needs needs, ProbeConfig& probe);
/// Those of the probes that speak a protocol: postgres, mysql, redis, smtp and tls.
void read_protocols(const TableReader& reader, Needs needs, ProbeConfig& probe);

/// What only shows when the whole file is known: names and addresses used twice, unknown pools, loops,
/// limits, paths.
void validate(Findings& findings, const Draft& draft, const LoadOptions& options);
void validate_addresses(Findings& findings, const Draft& draft, HostAddresses host);
void validate_paths(Findings& findings, const Draft& draft);

}  // namespace weir
