// Who may come in: HAProxy's rules in Weir's words.
#include "tests/unit/convert/converted.h"

using namespace weir::test;
using Catch::Contains;

TEST_CASE("HAProxy's accept shuts nobody out, and neither does what becomes of it") {
  const auto out = haproxy_frontend(" tcp-request connection accept if { src 10.0.0.0/8 }\n");
  CHECK_THAT(out, !Contains("allow ="));
  check_lines(out, {"# f.cfg:7: tcp-request connection accept if { src 10.0.0.0/8 }: left out: it only ends "
                    "the rules there "
                    "and shuts nobody out; in Weir a network in allow shuts out all others"});
}

TEST_CASE("accept before a reject without a condition is a list of whom to allow") {
  const auto out = haproxy_frontend(
      " tcp-request connection accept if { src 10.0.0.0/8 }\n tcp-request connection reject\n");
  check_lines(out, {"allow = [\"10.0.0.0/8\"]"});
  CHECK_THAT(out, !Contains("deny") && !Contains("#"));
}

TEST_CASE("every line that rejects networks counts") {
  const auto out = haproxy_frontend(
      " acl bad src 203.0.113.0/24\n acl bad src 198.51.100.1/255.255.255.0\n tcp-request connection reject "
      "if bad\n"
      " tcp-request content reject if { src 192.0.2.7 } || { src 192.0.2.8 }\n");
  check_lines(out, {"deny = [\"203.0.113.0/24\", \"198.51.100.0/24\", \"192.0.2.7\", \"192.0.2.8\"]"});
}

TEST_CASE("an exception before a reject is in allow, with all others") {
  const auto out = haproxy_frontend(
      " tcp-request connection accept if { src 10.1.0.0/16 }\n tcp-request connection reject if { src "
      "10.0.0.0/8 }\n");
  check_lines(out, {"allow = [\"10.1.0.0/16\", \"0.0.0.0/0\", \"::/0\"]", "deny = [\"10.0.0.0/8\"]"});
}

TEST_CASE("what a wider line before it decides is left out, and that line is named") {
  const auto out = haproxy_frontend(
      " tcp-request connection reject if { src 10.0.0.0/8 }\n tcp-request connection accept if { src "
      "10.1.0.0/16 }\n"
      " tcp-request connection accept\n tcp-request connection reject if { src 192.0.2.1 }\n");
  check_lines(
      out,
      {"deny = [\"10.0.0.0/8\"]",
       "# f.cfg:8: tcp-request connection accept if { src 10.1.0.0/16 }: 10.1.0.0/16 is left out: 10.0.0.0/8 "
       "at "
       "line 7 decides before it; in Weir the longest network would",
       "# f.cfg:10: tcp-request connection reject if { src 192.0.2.1 }: left out: line 9 decides before it"});
  CHECK_THAT(out, !Contains("allow ="));
}

TEST_CASE("reject unless lets in only whom it names, less whom other lines reject") {
  const auto out = haproxy_frontend(
      " acl office src 192.0.2.0/24\n tcp-request connection reject unless office\n"
      " tcp-request connection reject if { src 192.0.2.66 }\n");
  check_lines(out, {"allow = [\"192.0.2.0/24\"]", "deny = [\"192.0.2.66\"]"});
}

TEST_CASE("connection and content rules must both let a client in") {
  const auto out =
      haproxy_frontend(" tcp-request connection accept\n tcp-request content reject if { src 10.0.0.0/8 }\n");
  check_lines(out, {"deny = [\"10.0.0.0/8\"]"});
  const auto two = haproxy_frontend(
      " tcp-request connection reject if !{ src 10.0.0.0/8 }\n tcp-request content reject unless { src "
      "10.1.0.0/16 }\n");
  check_lines(
      two,
      {"allow = [\"10.0.0.0/8\"]",
       "# f.cfg:8: tcp-request content reject unless { src 10.1.0.0/16 }: left out: connection, session and "
       "content rules must all let a client in; Weir has one list"});
}

TEST_CASE("a file of networks is deny_file or allow_file") {
  check_lines(haproxy_frontend(" tcp-request connection reject if { src -f /etc/haproxy/bad.lst }\n"),
              {"deny_file = \"/etc/haproxy/bad.lst\""});
  check_lines(haproxy_frontend(" tcp-request connection reject if !{ src -f /etc/haproxy/good.lst }\n"),
              {"allow_file = \"/etc/haproxy/good.lst\""});
  check_lines(haproxy_frontend(" tcp-request connection reject if { src -f bad.lst }\n"),
              {"# f.cfg:7: tcp-request connection reject if { src -f bad.lst }: left out: deny_file needs an "
               "absolute path"});
}

TEST_CASE("HAProxy's limits of sessions and of new ones are Weir's") {
  const auto out = haproxy_frontend(
      " rate-limit sessions 200\n stick-table type ip size 100k expire 30s store conn_cur,conn_rate(1s)\n"
      " tcp-request connection track-sc0 src\n tcp-request connection reject if { sc0_conn_cur gt 10 }\n"
      " tcp-request connection reject if { src_conn_rate gt 20 } !{ src 10.0.0.0/8 }\n");
  check_lines(out,
              {"new_sessions = \"200/s\"", "sessions_per_client = 10", "new_sessions_per_client = \"20/s\"",
               "unlimited = [\"10.0.0.0/8\"]", "client_prefix = [32, 128]"});
  CHECK_THAT(out, !Contains("#"));
}

TEST_CASE("a limit counts whom it judges where HAProxy has tracked them before") {
  const auto out = haproxy_frontend(
      " stick-table type ip size 100k expire 30s store conn_cur,conn_rate(10s)\n"
      " tcp-request connection accept if { src 10.0.0.0/8 }\n"
      " tcp-request connection reject if { src_conn_cur ge 10 }\n"
      " tcp-request connection reject if { src_conn_rate ge 60 }\n tcp-request connection track-sc0 src\n");
  check_lines(out, {"sessions_per_client = 10", "new_sessions_per_client = \"360/m\"", "burst = 60",
                    "unlimited = [\"10.0.0.0/8\"]"});
  CHECK_THAT(out, !Contains("allow =") && !Contains("shuts nobody out"));
}

TEST_CASE("a limit by another section's table, and one that nothing counts for") {
  const auto out = haproxy_frontend(
      " tcp-request connection track-sc0 src table counts\n tcp-request connection reject if { "
      "sc_conn_rate(0) gt 5 }\n"
      "backend counts\n stick-table type ip size 1m expire 10s store conn_rate(1m)\n");
  check_lines(out, {"new_sessions_per_client = \"5/m\"", "burst = 5"});
  const auto nothing = haproxy_frontend(" tcp-request connection reject if { src_conn_cur ge 10 }\n");
  CHECK_THAT(nothing,
             !Contains("sessions_per_client =") && Contains("# f.cfg:7: tcp-request connection reject"));
}

TEST_CASE("what is refused for being no TLS goes to the listener's pool, and that is said") {
  const auto out = haproxy_frontend(
      " tcp-request inspect-delay 5s\n tcp-request content accept if { req_ssl_hello_type 1 }\n tcp-request "
      "content reject\n");
  CHECK_THAT(out, !Contains("deny"));
  CHECK_THAT(out, Contains("# f.cfg:9: tcp-request content reject: what is no TLS is refused there"));
}

TEST_CASE("what no network says is a comment, with the line as written") {
  const auto out = haproxy_frontend(
      " tcp-request connection reject if { src 10.0.0.0/8 } { dst_port 80 }\n"
      " tcp-request connection   set-var(sess.a) src\n tcp-request connection silent-drop if { src "
      "192.0.2.0/24 }\n");
  check_lines(
      out,
      {"deny = [\"192.0.2.0/24\"]",
       "# f.cfg:8: tcp-request connection set-var(sess.a) src: left out: set-var(sess.a) has no equal here",
       "# f.cfg:9: tcp-request connection silent-drop if { src 192.0.2.0/24 }: who is denied gets a reset in "
       "Weir"});
  CHECK_THAT(
      out,
      Contains("# f.cfg:7: tcp-request connection reject if { src 10.0.0.0/8 } { dst_port 80 }: left out:") &&
          Contains("not for dst_port"));
}

TEST_CASE("where PROXY headers come HAProxy's connection rules are for the balancer in front") {
  const auto out =
      haproxy_frontend(" bind :81 accept-proxy\n tcp-request connection reject if { src 10.0.0.0/8 }\n");
  check_lines(out, {"# f.cfg:7: accept-proxy: \"tcp-request connection\" is for the balancer in front there; "
                    "here allow and "
                    "deny are for the client that it announces, and proxy_from for the balancer"});
  CHECK_THAT(haproxy_frontend(" bind :81 accept-proxy\n tcp-request session reject if { src 10.0.0.0/8 }\n"),
             !Contains("is for the balancer in front there"));
}
