#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "lb/base/log.h"
#include "lb/base/syslog.h"

namespace weir {

/// Where journald takes entries with fields.
inline constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

/// A field of an entry in the journal: systemd.journal-fields(7) says what a name may be. Without a value it
/// is left out.
struct LogField {
  std::string_view name, value;
};

/// One entry in the journal's native form: a field a line, and an empty line at its end. Newlines in values
/// become blanks.
std::string journal_entry(Severity severity, std::string_view message,
                          std::initializer_list<LogField> fields);

/// daemon_log().log(level, message), with these fields where the log is the journal's.
void log_with_fields(spdlog::level::level_enum level, std::string_view message,
                     std::initializer_list<LogField> fields);

/// Descriptor 2 has become another file: looks whether it is the journal's, which then gets entries with
/// fields at `journal_socket`, or lines with priorities (sd-daemon(3)) when nobody is there.
void look_at_stderr_again(const char* journal_socket = kJournalSocket);

}  // namespace weir
