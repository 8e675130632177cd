#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "lb/config/draft.h"

namespace weir {
namespace {

constexpr std::uint32_t kMaxInARow = 10'000;
constexpr std::uint16_t kLowestStatus = 100;
constexpr std::uint16_t kHighestStatus = 599;
constexpr std::size_t kMaxStatusRanges = 100;
constexpr std::string_view kStatusAllowed =
    "must be a status, a range or a list of them within 100 to 599, like \"200\" or \"200-299,304\"";

using StatusRange = std::pair<std::uint16_t, std::uint16_t>;

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint16_t> parse_status(std::string_view text) {
  text = trim(text);
  std::uint16_t status = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  const bool good = error == std::errc{} && end == text.data() + text.size() && status >= kLowestStatus &&
                    status <= kHighestStatus;
  return good ? std::optional(status) : std::nullopt;
}

std::optional<std::vector<StatusRange>> parse_status_ranges(std::string_view text) {
  std::vector<StatusRange> ranges;
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const auto dash = part.find('-');
    const auto from = parse_status(part.substr(0, dash));
    const auto to = dash == std::string_view::npos ? from : parse_status(part.substr(dash + 1));
    if (!from || !to || *from > *to || ranges.size() == kMaxStatusRanges) return std::nullopt;
    ranges.emplace_back(*from, *to);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return ranges;
}

/// A part of a request's head: a control character or a space in it would be another request.
bool is_header_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

void read_ejection(const TableReader& reader, ProbeConfig& probe) {
  reader.integer("eject_after", 0, kMaxInARow, probe.eject_after);
  reader.duration("eject_for", Zero::Refused, probe.eject_for);
  reader.duration("eject_for_at_most", Zero::Refused, probe.eject_for_at_most);
  if (probe.eject_for_at_most >= probe.eject_for) return;
  if (reader.has("eject_for_at_most"))
    reader.findings().warn(
        reader.place("eject_for_at_most"),
        fmt::format("{} = \"{}\" is shorter than eject_for: raised to \"{}\"",
                    reader.path("eject_for_at_most"), format_duration(probe.eject_for_at_most),
                    format_duration(probe.eject_for)));
  probe.eject_for_at_most = probe.eject_for;
}

void read_http(const TableReader& reader, ProbeConfig& probe) {
  reader.boolean("https", probe.https);
  if (reader.string("path", probe.path) && (!probe.path.starts_with('/') || !is_header_text(probe.path)))
    reader.wrong("path", probe.path, "must begin with / and have no space or control character");
  if (reader.string("host", probe.host) && !is_header_text(probe.host))
    reader.wrong("host", probe.host, "must be a host name, without a space or control character");
  std::string status;
  if (reader.string("status", status)) {
    if (auto ranges = parse_status_ranges(status))
      probe.status = std::move(*ranges);
    else
      reader.wrong("status", status, kStatusAllowed);
  }
  reader.string("body", probe.body);
}

void read_exec(const TableReader& reader, Needs needs, ProbeConfig& probe) {
  std::vector<Place> places;
  if (needs == Needs::Here && probe.kind == "exec" && !reader.has("command"))
    reader.missing("command", "an exec probe runs one, like [\"/usr/local/bin/check\", \"argument\"]");
  std::vector<std::string> command;
  if (!reader.list("command", command, places) || command.empty()) return;
  probe.command = std::move(command);
  for (std::size_t i = 0; i < probe.command.size(); ++i)
    if (probe.command[i].find('\0') != std::string::npos)
      reader.findings().fault(places[i],
                              value_fault(fmt::format("{}[{}]", reader.path("command"), i), probe.command[i],
                                          "an argument cannot hold a NUL character"));
  const std::string& program = probe.command.front();
  const std::string first = reader.path("command") + "[0]";
  if (!program.starts_with('/'))
    reader.findings().fault(
        places.front(),
        value_fault(first, program, "must be an absolute path (no shell and no PATH is used)"));
  else if (::access(program.c_str(), X_OK) != 0)
    reader.findings().warn(places.front(), value_fault(first, program, "is no program that can be run here"));
}

/// `probe = "http", "smtp" or "tls"`
std::string of_kinds(std::span<const std::string_view> kinds) {
  std::string text = "probe = ";
  for (std::size_t i = 0; i < kinds.size(); ++i)
    text += fmt::format("{}\"{}\"", i == 0 ? "" : i + 1 == kinds.size() ? " or " : ", ", kinds[i]);
  return text;
}

/// Keys of one kind of probe in the table of another; keys without effect.
void check_keys_of_kind(const TableReader& reader, const ProbeConfig& probe) {
  const std::string& kind = probe.kind;
  if (!knows_probe_kind(kind)) return;
  const auto is_agents = [&](std::string_view key) {
    return key == "agent_port" || (probe.agent_port != 0 && (key == "interval" || key == "timeout"));
  };
  const std::string_view whose = &reader.keys() == &health_keys() ? "pool" : "backend";
  for (const std::string_view key : reader.keys().keys) {
    if (!reader.has(key) || key == "probe" || is_agents(key)) continue;
    const auto owners = probe_kinds_of(key);
    const bool fits = owners.empty() || std::ranges::find(owners, kind) != owners.end();
    if (owners.empty() && kind == "none")
      reader.findings().warn(reader.place(key),
                             fmt::format("{} has no effect: probe = \"none\"", reader.path(key)));
    else if (!fits && owners.front() == "none")
      reader.findings().warn(
          reader.place(key),
          fmt::format("{} has no effect: it belongs to probe = \"none\", and this {} has probe = \"{}\"",
                      reader.path(key), whose, kind));
    else if (!fits)
      reader.findings().fault(
          reader.place(key), fmt::format("{} belongs to {}, and this {} has probe = \"{}\"", reader.path(key),
                                         of_kinds(owners), whose, kind));
  }
}

/// What is valid and surely not meant.
void warn_of_rash_verdicts(const TableReader& reader, const ProbeConfig& probe) {
  if (probe.kind == "none") return;  // without effect, which is said elsewhere
  if (reader.has("timeout") && probe.timeout > probe.interval)
    reader.findings().warn(
        reader.place("timeout"),
        fmt::format(
            "{} = \"{}\" is longer than the interval of {}: a probe that hangs puts off the next, and the "
            "verdict with it",
            reader.path("timeout"), format_duration(probe.timeout), format_duration(probe.interval)));
  if (reader.has("fall") && probe.fall == 1)
    reader.findings().warn(reader.place("fall"),
                           reader.path("fall") + " = 1: a single lost probe takes a backend out of rotation");
}

void read_times(const TableReader& reader, ProbeConfig& probe) {
  reader.duration("interval", Zero::Refused, probe.interval);
  reader.duration("fast_interval", Zero::Refused, probe.fast_interval);
  reader.duration("timeout", Zero::Refused, probe.timeout);
  reader.integer("rise", 1, kMaxInARow, probe.rise);
  reader.integer("fall", 1, kMaxInARow, probe.fall);
  // A verdict is promised within a number of intervals, so confirming one never takes longer ones.
  if (probe.fast_interval > probe.interval) {
    if (reader.has("fast_interval"))
      reader.findings().warn(
          reader.place("fast_interval"),
          fmt::format("{} = \"{}\" is longer than the interval: cut to \"{}\"", reader.path("fast_interval"),
                      format_duration(probe.fast_interval), format_duration(probe.interval)));
    probe.fast_interval = probe.interval;
  }
  warn_of_rash_verdicts(reader, probe);
}

/// Once `probe.kind` is what it will be.
void read_probe(const TableReader& reader, Needs needs, ProbeConfig& probe) {
  read_times(reader, probe);
  reader.integer("port", 1, 65535, probe.port);
  reader.integer("agent_port", 1, 65535, probe.agent_port);
  reader.boolean("send_proxy", probe.send_proxy);
  read_ejection(reader, probe);
  read_http(reader, probe);
  read_expect(reader, needs, probe);
  read_protocols(reader, needs, probe);
  read_exec(reader, needs, probe);
}

/// A probe of another kind with what both kinds have.
ProbeConfig of_kind(std::string_view kind, const ProbeConfig& other) {
  ProbeConfig out;
  out.kind = kind;
  out.interval = other.interval;
  out.fast_interval = other.fast_interval;
  out.timeout = other.timeout;
  out.rise = other.rise;
  out.fall = other.fall;
  out.port = other.port;
  out.agent_port = other.agent_port;
  out.source = other.source;
  out.header = other.header;
  return out;
}

/// In the place of the backend's; a name would have to be followed as the backend's is.
void read_probe_address(const TableReader& reader, ProbeConfig& probe) {
  std::string text;
  if (!reader.string("address", text)) return;
  const auto endpoint = parse_endpoint(text);
  if (!endpoint || !endpoint->address)
    return reader.wrong("address", text,
                        endpoint ? "must be ip:port, [v6]:port, unix:/path or unix:@name, not a host name"
                                 : endpoint.error().message);
  probe.address = endpoint->address;
  if (reader.has("port"))
    reader.findings().fault(reader.place("port"), fmt::format("{} cannot stand beside address, which says it",
                                                              reader.path("port")));
}

}  // namespace

bool read_health(Findings& findings, const toml::table& table, ProbeConfig& probe) {
  const TableReader reader(findings, table, health_keys());
  const auto& kinds = findings.options().kinds.probes;
  bool kind_known = !reader.has("probe");
  if (std::size_t kind = 0; reader.choice("probe", "probe", kinds, kind)) {
    probe.kind = kinds[kind];
    kind_known = true;
  }
  read_probe(reader, Needs::Here, probe);
  if (kind_known) check_keys_of_kind(reader, probe);
  return kind_known;
}

void read_backend_health(Findings& findings, const toml::table& table, bool kind_known, ProbeConfig& probe) {
  const TableReader reader(findings, table, backend_health_keys());
  const auto& kinds = findings.options().kinds.probes;
  Needs needs = Needs::Inherited;
  if (reader.has("probe")) kind_known = false;
  if (std::size_t kind = 0; reader.choice("probe", "probe", kinds, kind)) {
    kind_known = true;
    if (kinds[kind] != probe.kind) {
      needs = Needs::Here;
      probe = of_kind(kinds[kind], probe);
    }
  }
  read_probe(reader, needs, probe);
  read_probe_address(reader, probe);
  if (kind_known) check_keys_of_kind(reader, probe);
}

}  // namespace weir
