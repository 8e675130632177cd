#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::size_t kMaxName = 128;
constexpr std::uint32_t kMaxDaysLeft = 3650;

/// The roles of a kind of probe; none for the other kinds.
std::span<const std::string_view> roles_of(std::string_view kind) {
  static constexpr std::string_view kPostgres[] = {"primary", "standby"};
  static constexpr std::string_view kRedis[] = {"master", "replica"};
  if (kind == "postgres") return kPostgres;
  if (kind == "redis") return kRedis;
  return {};
}

/// A name that goes out within a message: a NUL would end it.
void read_account(const TableReader& reader, std::string_view key, std::size_t least, std::string& target) {
  if (!reader.string(key, target)) return;
  const bool printable =
      std::ranges::none_of(target, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (target.size() < least || target.size() > kMaxName || !printable)
    reader.wrong(key, target,
                 fmt::format("must be {} to {} bytes without a control character", least, kMaxName));
}

void read_tls(const TableReader& reader, Needs needs, ProbeConfig& probe) {
  reader.boolean("verify", probe.verify);
  reader.integer("min_days_left", 0, kMaxDaysLeft, probe.min_days_left);
  const bool may_need_host = probe.kind == "tls" && probe.verify;
  const bool inherits_host = needs == Needs::Inherited && (!reader.has("verify") || !probe.host.empty());
  if (may_need_host && !reader.has("host") && !inherits_host)
    reader.missing("host", "whose certificate it must be, like \"www.example.org\"; or write verify = false");
  else if (may_need_host && reader.has("host") && probe.host.empty())
    reader.wrong("host", probe.host, "must be a name or an IP address, unless verify = false");
  if (!reader.string("ca_file", probe.ca_file)) return;
  if (!probe.ca_file.starts_with('/') || probe.ca_file.find('\0') != std::string::npos)
    reader.wrong("ca_file", probe.ca_file, "must be an absolute path");
  else if (::access(probe.ca_file.c_str(), R_OK) != 0)
    reader.findings().warn(reader.place("ca_file"),
                           value_fault(reader.path("ca_file"), probe.ca_file, "cannot be read here"));
  if (!probe.verify)
    reader.findings().warn(reader.place("ca_file"),
                           fmt::format("{} has no effect: verify = false", reader.path("ca_file")));
}

}  // namespace

void read_protocols(const TableReader& reader, Needs needs, ProbeConfig& probe) {
  read_account(reader, "user", 1, probe.user);
  read_account(reader, "database", 0, probe.database);
  const auto roles = roles_of(probe.kind);
  if (std::size_t role = 0; !roles.empty() && reader.choice("role", "role", roles, role))
    probe.role = roles[role];
  read_tls(reader, needs, probe);
}

}  // namespace weir
