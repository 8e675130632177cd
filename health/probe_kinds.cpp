#include <algorithm>

#include "health/talk.h"

namespace weir {

std::unique_ptr<ProbeFactory> make_tcp_probes(ProbeLoop& loop);
std::unique_ptr<ProbeFactory> make_http_probes(ProbeLoop& loop);
std::unique_ptr<ProbeFactory> make_tls_probes(ProbeLoop& loop);
std::unique_ptr<ProbeFactory> make_exec_probes(ProbeLoop& loop);

namespace {

constexpr ProbeKind kKinds[] = {
    {"tcp", make_tcp_probes},
    {"http", make_http_probes},
    {"expect", make_talk_probes<make_expect_talk>},
    {"postgres", make_talk_probes<make_postgres_talk>},
    {"mysql", make_talk_probes<make_mysql_talk>},
    {"redis", make_talk_probes<make_redis_talk>},
    {"smtp", make_talk_probes<make_smtp_talk>},
    {"tls", make_tls_probes},
    {"exec", make_exec_probes, true, true},
    {"none", nullptr},
};

}  // namespace

std::span<const ProbeKind> probe_kinds() {
  return kKinds;
}

const ProbeKind* find_probe_kind(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &ProbeKind::name);
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace weir
