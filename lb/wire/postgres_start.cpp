#include "lb/wire/postgres_start.h"

namespace weir {

PostgresStart recognize_postgres(Bytes bytes) {
  const std::string_view begin = text_of(bytes).substr(0, kPostgresRequestBytes);
  if (begin == kPostgresSslRequest) return PostgresStart::SslRequest;
  if (begin == kPostgresGssRequest) return PostgresStart::GssRequest;
  const bool may_become_one =
      kPostgresSslRequest.starts_with(begin) || kPostgresGssRequest.starts_with(begin);
  return may_become_one ? PostgresStart::NeedsMore : PostgresStart::Other;
}

}  // namespace weir
