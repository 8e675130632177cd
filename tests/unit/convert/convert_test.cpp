// Other balancers' configurations, written for this test, in Weir's words.
#include "tests/unit/convert/converted.h"

using namespace weir;
using Catch::Contains;
using test::converted;

namespace {

constexpr auto kHaproxy = R"cfg(
global
    maxconn 5000
    nbthread 2
    daemon
defaults
    mode tcp
    timeout connect 3s
    timeout client  1m
    timeout server  90s
    timeout check   500
    retries 2
frontend public   # the front door
    bind *:443,[::]:443 v4v6
    maxconn 2000
    tcp-request inspect-delay 4s
    tcp-request content accept if { req_ssl_hello_type 1 }
    acl bad src 203.0.113.0/24 198.51.100.7
    tcp-request connection reject if bad
    use_backend shop if { req.ssl_sni -i shop.example.org www.example.org }
    use_backend inner if { req.ssl_sni -m end .inner.example.org }
    use_backend other if { path_beg /x }
    default_backend inner
backend shop
    balance leastconn
    option httpchk GET /healthz
    default-server inter 1s fall 2 check
    server s1 10.0.0.1:443 weight 5 maxconn 100
    server s2 10.0.0.2:443 backup port 8443
    server s3 10.0.0.3:443 weight 0 on-marked-down shutdown-sessions send-proxy-v2
    server s4 10.0.0.4
backend inner
    balance source
    server "a b" unix@/run/a.sock
listen mail
    bind 127.0.0.1:25
    option smtpchk
    balance uri
    server m1 mx.example.org:25 check inter 5s resolvers dns ssl verify none
resolvers dns
    nameserver a 10.0.0.53:53
)cfg";

}  // namespace

TEST_CASE("HAProxy's frontends, backends and listens become listeners and pools") {
  const auto out = converted(kHaproxy);
  for (const char* part : {"max_connections = 5000",
                           "workers         = 2",
                           "name = \"public\"\nbind = [\"0.0.0.0:443\", \"[::]:443\"]\n",
                           "header_timeout  = \"4s\"",
                           "deny            = [\"203.0.113.0/24\", \"198.51.100.7\"]",
                           "pool            = \"inner\"",
                           "sni  = [\"shop.example.org\", \"www.example.org\"]\npool = \"shop\"",
                           "sni  = [\"*.inner.example.org\"]\npool = \"inner\"",
                           "= \"least_connections\"",
                           "= \"source_hash\"",
                           "connect_timeout  = \"3s\"",
                           "idle_timeout     = \"1m\"",
                           "connect_attempts = 3",
                           "probe         = \"http\"",
                           "path          = \"/healthz\"",
                           "weight       = 5",
                           "max_sessions = 100",
                           "backup  = true",
                           "admin   = \"drained\"",
                           "send_proxy       = \"v2\"",
                           "address = \"unix:/run/a.sock\"",
                           "name    = \"a_b\"",
                           "address = \"mx.example.org:25\"",
                           "probe         = \"tls\""})
    CHECK_THAT(out, Contains(part));
}

TEST_CASE("what HAProxy's words have no equal for is said with its line") {
  const auto out = converted(kHaproxy);
  CHECK_THAT(out, Contains("# f.cfg:5: daemon: the service manager does that"));
  CHECK_THAT(
      out,
      Contains(
          "# f.cfg:22: use_backend other if { path_beg /x }: left out: Weir asks for the client's address"));
  CHECK_THAT(out, Contains("# f.cfg:31: server s4 10.0.0.4: left out: an address with a port is needed"));
  CHECK_THAT(out, Contains("# f.cfg:38: balance uri: round_robin is used"));
  CHECK_THAT(out, Contains("# f.cfg:39: ssl: Weir does not speak TLS"));
  CHECK_THAT(out, Contains("resolvers dns: Weir has no such section; it follows names by itself"));
}

TEST_CASE("servers that HAProxy does not check are not probed") {
  const auto none =
      converted("listen a\n bind :80\n option httpchk\n server x 10.0.0.1:80\n server y 10.0.0.2:80\n");
  CHECK_THAT(none, Contains("[pool.health]\nprobe = \"none\""));
  const auto some = converted("listen a\n bind :80\n server x 10.0.0.1:80 check\n server y 10.0.0.2:80\n");
  CHECK_THAT(some, Contains("[pool.backend.health]\nprobe = \"none\"") && !Contains("[pool.health]"));
}

TEST_CASE("a section of mode http is passed on as bytes, and that is said") {
  const auto out = converted(
      "frontend a\n mode http\n bind :80\n default_backend b\n http-request deny\nbackend b\n server "
      "x 10.0.0.1:80 check\n");
  CHECK_THAT(out, Contains("# f.cfg:1: mode http: Weir passes on bytes") &&
                      Contains("# f.cfg:5: http-request deny"));
}

TEST_CASE("nginx's stream servers and upstreams become listeners and pools") {
  const auto out = converted(R"cfg(
worker_processes 4;
events { worker_connections 1024; }
stream {
  proxy_connect_timeout 2s;
  upstream db {
    least_conn;   # the one with the fewest
    server 10.0.0.1:5432 weight=3 max_conns=50 max_fails=2 fail_timeout=10s;
    server 10.0.0.2:5432 backup;
    server unix:/run/pg.sock down;
  }
  upstream web { hash $remote_addr consistent; server web.example.org:443; }
  map $ssl_preread_server_name $to { hostnames; www.example.org web; .db.example.org db; ~^x web; default web; }
  server { listen 5432; listen [::]:5432; proxy_pass db; proxy_timeout 1h; proxy_protocol on; allow 10.0.0.0/8; deny all; }
  server { listen 443; ssl_preread on; proxy_pass $to; proxy_download_rate 512k; }
  server { listen 53 udp; proxy_pass db; }
  server { listen 25; proxy_pass 10.0.0.9:25; }
}
)cfg");
  for (const char* part :
       {"workers = 4", "name = \"db\"\nbind = [\"0.0.0.0:5432\", \"[::]:5432\"]", "allow = [\"10.0.0.0/8\"]",
        "= \"least_connections\"", "= \"source_hash\"", "max_sessions = 50", "eject_after = 2",
        "eject_for         = \"10s\"", "admin   = \"disabled\"", "idle_timeout    = \"1h\"",
        "queue           = 0", "send_proxy      = \"v1\"", "rate_to_client  = \"512KiB\"",
        "sni  = [\"www.example.org\"]\npool = \"web\"", "sni  = [\"db.example.org\", \"*.db.example.org\"]",
        "connect_timeout = \"2s\"", "address = \"10.0.0.9:25\"", "probe             = \"none\""})
    CHECK_THAT(out, Contains(part));
  CHECK_THAT(out, Contains("is for UDP: Weir is for TCP") && Contains("~^x web: left out: a name is whole"));
}

TEST_CASE("what is neither is an error that says how to name it, and no bytes are a fault of Weir's") {
  const auto neither = convert_config("hello", "f", Foreign::Guess);
  REQUIRE_FALSE(neither);
  CHECK_THAT(neither.error().message, Contains("--from haproxy, nginx or nlb"));
  CHECK_FALSE(convert_config("", "f", Foreign::Haproxy));
  CHECK_FALSE(convert_config("stream { }", "f", Foreign::Nginx));
  for (const auto* odd :
       {"listen", "listen \"\n bind\n server", "frontend a\n bind ,\n use_backend", "acl\nlisten x\nacl"})
    static_cast<void>(convert_config(odd, "f", Foreign::Haproxy));
  for (const auto* odd : {"stream {", "stream { server { listen; } }",
                          "stream{upstream{server;}map;server{proxy_pass;}}", "}}}", "stream { '"})
    static_cast<void>(convert_config(odd, "f", Foreign::Nginx));
  static_cast<void>(convert_config(std::string(10'000, '{'), "f", Foreign::Nginx));
  // A long file, and a long line, of which it has to be guessed whose they are.
  static_cast<void>(convert_config(std::string(1'000'000, '\n') + "listen a\n", "f", Foreign::Guess));
  static_cast<void>(convert_config(std::string(1'000'000, 'x') + "\nlisten a\n", "f", Foreign::Guess));
}
