#include "lb/config/manual.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/base/build.h"
#include "lb/base/duration.h"
#include "lb/base/roff.h"
#include "lb/config/keys.h"
#include "lb/config/value_types.h"

namespace weir {
namespace {

constexpr std::string_view kAbout =
    "One TOML file tells Weir what to listen on and which servers stand behind it. \"weir check\" reads it "
    "and "
    "names every fault with its line and column; a file with a fault is never used in part. Unknown keys are "
    "faults.";

constexpr std::string_view kVariables =
    "In every string, ${NAME} is the variable NAME of the environment, a fault when it is not set; "
    "${NAME:-TEXT} is TEXT then; $${ is a plain ${. A reload sees the environment that the daemon was "
    "started "
    "with.";

constexpr std::string_view kNames = "A NAME has 1 to 128 of the characters A-Z a-z 0-9 . _ : [ ] -";

constexpr std::string_view kAddresses =
    "An ADDRESS is ip:port, [v6]:port, [v6%zone]:port, unix:/path or unix:@name (abstract); of a backend "
    "host:port, too.";

constexpr std::string_view kSchema =
    "\"weir schema\" prints a JSON Schema of the file. Editors that know TOML check a file by it while it is "
    "written when its first line names it: #:schema PATH";

constexpr std::string_view kExample =
    "[[listener]]\n"
    "name = \"web\"\n"
    "bind = [\"0.0.0.0:8080\", \"[::]:8080\"]\n"
    "pool = \"web\"\n"
    "\n"
    "[[pool]]\n"
    "name = \"web\"\n"
    "balance = \"least_connections\"\n"
    "\n"
    "[pool.health]\n"
    "probe = \"http\"\n"
    "path = \"/healthz\"\n"
    "\n"
    "[[pool.backend]]\n"
    "name = \"web1\"\n"
    "address = \"10.0.0.11:80\"\n"
    "\n"
    "[[pool.backend]]\n"
    "name = \"web2\"\n"
    "address = \"10.0.0.12:80\"\n";

constexpr std::string_view kOneServer =
    "[[listener]]\n"
    "name = \"db\"\n"
    "bind = \"unix:/run/weir/db.sock\"\n"
    "pool = \"db\"\n"
    "\n"
    "[[pool]]\n"
    "name = \"db\"\n"
    "idle_timeout = \"8h\"\n"
    "backend = [{address = \"${DB:-db.example.org:5432}\"}]\n";

std::string item(std::string_view tag, std::string_view prose) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}", roff_word(tag), roff_prose(prose));
}

std::string default_of(const Key& key) {
  if (key.required && key.probes.all())
    return key.unless.empty() ? " It must be there."
                              : fmt::format(" It must be there unless {} is.", key.unless);
  if (key.required) return "";
  if (key.standard == kNone) return "";
  const bool quoted = is_string(key.value.type);
  return quoted ? fmt::format(" Default: \"{}\".", key.standard) : fmt::format(" Default: {}.", key.standard);
}

std::string key_item(const Key& key, const KnownKinds& kinds) {
  std::string prose(key.about);
  if (key.value.type == ValueType::Duration && key.value.least > 0) prose += " Longer than zero.";
  prose += default_of(key);
  const auto kinds_of_probe = fmt::format("\"{}\"", fmt::join(key.probes.kinds(), "\" or \""));
  const auto unless = key.unless.empty() ? "" : fmt::format(" unless {} is there", key.unless);
  if (!key.probes.all() && key.required)
    prose += fmt::format(" It must be there with probe = {}{}, and only then.", kinds_of_probe, unless);
  else if (!key.probes.all())
    prose += fmt::format(" Only with probe = {}.", kinds_of_probe);
  return fmt::format(".TP\n\\fB{}\\fR = {}\n{}", roff_word(key.name),
                     roff_word(placeholder_of(key.value, words_of(key.value, kinds))), roff_prose(prose));
}

std::string table_section(const TableKeys& table, const KnownKinds& kinds) {
  std::string out = fmt::format(".SS {}\n{}", roff_word(table.header), roff_prose(table.about));
  const TableKeys* const over = table.over.empty() ? nullptr : find_table(table.over);
  for (const Key& key : table.rows) {
    const bool told = over != nullptr && std::ranges::find(over->keys, key.name) != over->keys.end();
    if (!told && key.value.type != ValueType::Table && key.value.type != ValueType::Tables)
      out += key_item(key, kinds);
  }
  return out;
}

std::string_view default_state_file() {
  for (const Key& key : root_keys().rows)
    if (key.name == "state_file") return key.standard;
  return "";
}

std::string conventions() {
  return ".SH DESCRIPTION\n" + roff_prose(kAbout) + ".PP\n" + roff_prose(kVariables) + ".PP\n" +
         roff_prose(fmt::format("A DURATION is a number and a unit, ms, s, m or h: \"1.5s\"; at most {}.",
                                format_duration(kMaxDuration))) +
         roff_prose(kNames) + ".PP\n" + roff_prose(kAddresses) +
         "A MODE is octal digits.\n"
         "A STATUS is a list of numbers and ranges: \\(dq200\\-299,304\\(dq.\n"
         ".PP\n" +
         roff_prose(kSchema);
}

}  // namespace

std::string config_manual(const KnownKinds& kinds, std::string_view version, std::string_view date) {
  std::string out = fmt::format(
      ".TH WEIR.TOML 5 \"{}\" \"weir {}\" \"File Formats\"\n.SH NAME\nweir.toml \\- configuration of the "
      "load balancer "
      "weir\n",
      date, version);
  out += conventions() + ".SH KEYS\n";
  for (const TableKeys& table : all_tables()) out += table_section(table, kinds);
  out += ".SH FILES\n" +
         item(kBuild.config_file, "What \"weir run\" and \"weir check\" read when -c names no other file.");
  out += item(default_state_file(), "Operators' overrides, unless state_file names another file.");
  out += ".SH SIGNALS\n" +
         item("SIGHUP", "The file is read again. A file with a fault changes nothing, and the log says why.");
  out += ".SH EXIT STATUS\nOf \\(dqweir check\\(dq:\n" +
         item("0", "The file is valid; there may be warnings.") +
         item("1", "It has faults, or cannot be read.") + item("2", "Wrong usage.") +
         item("5", "With --diff: no daemon, no right to talk to it, or no answer in time.");
  out += ".SH EXAMPLES\n" + roff_prose("Two web servers, the one with the fewest sessions first:") +
         roff_literal(kExample) + ".PP\n" +
         roff_prose("One server whose address comes out of the environment, behind a unix socket:") +
         roff_literal(kOneServer);
  return out + ".SH SEE ALSO\n.BR weir (8)\n";
}

}  // namespace weir
