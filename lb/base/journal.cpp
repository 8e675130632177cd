#include "lb/base/journal.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir {

namespace {

void append(std::string& to, const LogField& field) {
  if (field.value.empty()) return;
  to.append(field.name) += '=';
  const auto begin = static_cast<std::ptrdiff_t>(to.size());
  to += field.value;
  std::replace(to.begin() + begin, to.end(), '\n', ' ');
  to += '\n';
}

}  // namespace

std::string journal_entry(Severity severity, std::string_view message,
                          std::initializer_list<LogField> fields) {
  std::string out = fmt::format("PRIORITY={}\nSYSLOG_IDENTIFIER=weir\n", static_cast<int>(severity));
  append(out, {"MESSAGE", message});
  for (const LogField& field : fields) append(out, field);
  return out + "\n";
}

}  // namespace weir
