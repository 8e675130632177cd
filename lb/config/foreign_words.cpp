#include "lb/config/foreign_words.h"

#include <cctype>
#include <string>

namespace weir {
namespace {

struct Word {
  std::string_view theirs;
  std::string_view ours;
};

// Small letters and underscores.
constexpr Word kKeys[] = {
    {"frontend", "[[listener]]"},
    {"frontends", "[[listener]]"},
    {"listen", "[[listener]], and its address bind"},
    {"listeners", "[[listener]]"},
    {"upstream", "[[pool]]"},
    {"upstreams", "[[pool]]"},
    {"cluster", "[[pool]]"},
    {"clusters", "[[pool]]"},
    {"pools", "[[pool]]"},
    {"target_group", "[[pool]]"},
    {"backends", "[[pool.backend]]"},
    {"server", "[[pool.backend]]"},
    {"servers", "[[pool.backend]]"},
    {"endpoint", "[[pool.backend]]"},
    {"endpoints", "[[pool.backend]]"},
    {"lb_endpoints", "[[pool.backend]]"},
    {"member", "[[pool.backend]]"},
    {"members", "[[pool.backend]]"},
    {"target", "[[pool.backend]]"},
    {"targets", "[[pool.backend]]"},
    {"default_backend", "listener.pool"},
    {"use_backend", "listener.pool"},
    {"proxy_pass", "listener.pool"},
    {"algorithm", "pool.balance"},
    {"lb_policy", "pool.balance"},
    {"lb_algorithm", "pool.balance"},
    {"load_balancing", "pool.balance"},
    {"strategy", "pool.balance"},
    {"policy", "pool.balance"},
    {"method", "pool.balance"},
    {"maxconn", "max_connections, and pool.backend.max_sessions of a server"},
    {"max_conns", "pool.backend.max_sessions"},
    {"maxqueue", "pool.queue"},
    {"timeout_queue", "pool.queue_timeout"},
    {"connection_limit", "max_connections"},
    {"timeout_connect", "pool.connect_timeout"},
    {"proxy_connect_timeout", "pool.connect_timeout"},
    {"timeout_client", "pool.idle_timeout"},
    {"timeout_server", "pool.idle_timeout"},
    {"proxy_timeout", "pool.idle_timeout"},
    {"timeout_tunnel", "pool.idle_timeout"},
    {"timeout_client_fin", "pool.half_close_timeout"},
    {"timeout_server_fin", "pool.half_close_timeout"},
    {"retries", "pool.connect_attempts"},
    {"proxy_next_upstream_tries", "pool.connect_attempts"},
    {"max_connect_attempts", "pool.connect_attempts"},
    {"slowstart", "pool.slow_start"},
    {"proxy_bind", "pool.source"},
    {"check", "[pool.health]"},
    {"healthcheck", "[pool.health]"},
    {"health_check", "[pool.health]"},
    {"health_checks", "[pool.health]"},
    {"option_httpchk", "pool.health.probe = \"http\""},
    {"option_pgsql_check", "pool.health.probe = \"postgres\""},
    {"option_mysql_check", "pool.health.probe = \"mysql\""},
    {"option_redis_check", "pool.health.probe = \"redis\""},
    {"option_smtpchk", "pool.health.probe = \"smtp\""},
    {"option_ssl_hello_chk", "pool.health.probe = \"tls\""},
    {"tcp_check", "pool.health.steps"},
    {"inter", "pool.health.interval"},
    {"fastinter", "pool.health.fast_interval"},
    {"healthy_threshold", "pool.health.rise"},
    {"unhealthy_threshold", "pool.health.fall"},
    {"max_fails", "pool.health.eject_after"},
    {"fail_timeout", "pool.health.eject_for"},
    {"outlier_detection", "pool.health.eject_after"},
    {"nbthread", "workers"},
    {"nbproc", "workers"},
    {"threads", "workers"},
    {"concurrency", "workers"},
    {"worker_processes", "workers"},
    {"worker_connections", "max_connections"},
    {"hard_stop_after", "shutdown_grace"},
    {"worker_shutdown_timeout", "shutdown_grace"},
    {"drain_time", "shutdown_grace"},
    {"stats", "[admin]"},
    {"access_log", "log.access"},
    {"down", "pool.backend.admin = \"disabled\""},
    {"disabled", "pool.backend.admin = \"disabled\""},
};

constexpr Word kValues[] = {
    {"leastconn", "least_connections"},
    {"least_conn", "least_connections"},
    {"least_request", "least_connections"},
    {"least_outstanding_requests", "least_connections"},
    {"random", "random_two"},
    {"random_two_least_conn", "random_two"},
    {"power_of_two_choices", "random_two"},
    {"least_response_time", "least_time"},
    {"roundrobin", "round_robin"},
    {"static_rr", "round_robin"},
    {"rr", "round_robin"},
    {"wrr", "round_robin"},
    {"source", "source_hash"},
    {"ip_hash", "source_hash"},
    {"hash", "source_hash"},
    {"source_ip", "source_hash"},
    {"maglev", "source_hash"},
    {"ring_hash", "source_hash"},
};

template <std::size_t count>
std::string_view find(const Word (&words)[count], std::string_view text) {
  std::string plain;
  for (const char c : text.substr(0, 64))
    plain += c == '-' || c == ' ' || c == '.'
                 ? '_'
                 : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Word& word : words)
    if (word.theirs == plain) return word.ours;
  return "";
}

}  // namespace

std::string_view own_word_for_key(std::string_view key) {
  return find(kKeys, key);
}

std::string_view own_word_for_value(std::string_view value) {
  return find(kValues, value);
}

}  // namespace weir
