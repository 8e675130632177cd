#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/control/legacy.h"
#include "lb/net/inherited.h"

namespace weir {

/// An older process that still serves its sessions, and where it answers.
struct Predecessor {
  pid_t pid = 0;
  std::string socket;
};

/// The environment variable in which an old process tells the new one what it is handed.
inline constexpr const char* kInheritVariable = "WEIR_INHERIT";

/// What an upgrade hands to the new process.
struct Inheritance {
  std::vector<InheritedSocket> sockets;
  Fd admin;  ///< the admin API's listening socket; may be none
  std::string admin_path;
  Fd read_only_admin;  ///< the same of admin.read_only_socket
  std::string read_only_admin_path;
  std::vector<InheritedSocket> web;  ///< those of [web]
  Fd channel;                        ///< UpgradeChannel's other end is the old process
  /// To become the new process's descriptor 2 when it serves; until then that is one the old process reads.
  Fd standard_error;
  Fd first_process;                       ///< daemon/first_process; may be none
  std::vector<Predecessor> predecessors;  ///< those of the old process, not itself
  std::string overrides;  ///< a state file's text; empty: the old process is of a version that hands none on
  std::optional<Legacy> legacy;  ///< nothing: the old process is of a version that hands nothing on
  std::string events;            ///< event_json; "" = none
  std::string history;           ///< History::to_bytes(); "" = none
  std::string tokens;            ///< Doors::to_bytes(); "" = none
  std::string by;                ///< who has ordered the upgrade; "" = not known
  std::uint64_t first_descriptor_limit = 0;  ///< net/descriptor_limit; 0: the old process does not say
};

/// What a child is to be spawned with: the variable ("WEIR_INHERIT=…") and (number there, descriptor here),
/// borrowed from the inheritance and from the files. The variable holds numbers; what may be long (the kernel
/// takes 128 KiB of a variable) is in files in memory.
struct Bequest {
  std::string variable;
  std::vector<std::pair<int, int>> descriptors;
  std::vector<Fd> files;
};
Result<Bequest> bequeath(const Inheritance& inheritance);

/// Reads the variable and takes it out of the environment, so that no child believes it. Nothing when this
/// process was not started by an upgrade. An error when what it says is not so.
Result<std::optional<Inheritance>> take_inheritance();

/// The same from the variable's value.
Result<Inheritance> parse_inheritance(std::string_view text);

}  // namespace weir
