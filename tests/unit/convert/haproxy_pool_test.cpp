// HAProxy's backends, their servers and their checks.
#include "tests/unit/convert/converted.h"

using namespace weir::test;
using Catch::Contains;

namespace {
constexpr const char* kServer = " server s 10.0.0.9:80 check\n";
}

TEST_CASE("the bytes that a tcp-check sends are those that it sent there") {
  const auto out = haproxy_backend(
      std::string(" option tcp-check\n tcp-check send PING\\r\\n\n tcp-check expect string +PONG\n") +
      kServer);
  check_lines(out, {"probe = \"expect\"", R"(send = "PING\r\n")", "expect = \"+PONG\""});
  const auto quoted = haproxy_backend(
      std::string(" option tcp-check\n tcp-check send \"a b\\x01\"'\\n'\n tcp-check expect rstring OK\n") +
      kServer);
  check_lines(quoted, {R"(send = 'a b\x01\x5cn')", "expect = \"OK\""});
  const auto binary = haproxy_backend(
      std::string(" option tcp-check\n tcp-check send-binary 00ff24\n tcp-check expect binary 0a\n") +
      kServer);
  check_lines(binary, {R"(send = '\x00\xff\x24')", R"(expect = "\n")"});
}

TEST_CASE("several of a tcp-check are steps") {
  const auto out = haproxy_backend(
      std::string(" option tcp-check\n tcp-check connect port 81\n tcp-check expect string 220\n"
                  " tcp-check send QUIT\\r\\n\n tcp-check expect string 221\n") +
      kServer);
  check_lines(out, {R"(steps = [{ expect = "220" }, { send = "QUIT\r\n", expect = "221" }])", "port = 81"});
}

TEST_CASE("an expectation that is no text is a comment with the line as written") {
  const auto out = haproxy_backend(
      std::string(" option tcp-check\n tcp-check send PING\\r\\n\n tcp-check expect rstring ^(OK|FINE)\n") +
      kServer);
  check_lines(out, {"probe = \"tcp\"",
                    "# f.cfg:8: tcp-check expect rstring ^(OK|FINE): left out: expect is a text, and reject "
                    "one that must not "
                    "come before it; neither is an expression"});
  CHECK_THAT(out, Contains("# f.cfg:6: option tcp-check: the probe is a connect"));
}

TEST_CASE("an HTTP check's method, path, header, status and body") {
  const auto out = haproxy_backend(
      std::string(
          " option httpchk HEAD /up HTTP/1.1\\r\\nHost:\\ www.example.org\n http-check expect string OK\n") +
      kServer);
  check_lines(
      out,
      {"probe = \"http\"", "path = \"/up\"", "host = \"www.example.org\"", "body = \"OK\"",
       "status = \"100-599\"",
       R"(# f.cfg:6: option httpchk HEAD /up HTTP/1.1\r\nHost:\ www.example.org: HEAD is asked for there; Weir's probe is a GET)"});
  const auto send =
      haproxy_backend(std::string(" option httpchk\n http-check send meth GET uri /x hdr Host a.example.org "
                                  "hdr X-Y z\n http-check expect status 200-299,401\n") +
                      kServer);
  check_lines(send, {"path = \"/x\"", "host = \"a.example.org\"", "status = \"200-299,401\""});
  CHECK_THAT(send, Contains(": X-Y: Weir's probe has no header but host") && !Contains("OPTIONS"));
  check_lines(haproxy_backend(std::string(" option httpchk\n http-check expect ! rstatus ^5\n") + kServer),
              {"status = \"100-199,200-299,300-399,400-499\"",
               "# f.cfg:6: option httpchk: OPTIONS / is asked for there; Weir's probe is a GET"});
  CHECK_THAT(
      haproxy_backend(std::string(" option httpchk GET /\n http-check expect rstatus ^40[13]\n") + kServer),
      Contains("# f.cfg:7: http-check expect rstatus ^40[13]: left out: status is a list") &&
          !Contains("status ="));
}

TEST_CASE("the last kind of check counts, with its own keys alone") {
  const auto out =
      haproxy_backend(std::string(" option pgsql-check user checker\n option httpchk GET /up\n") + kServer);
  check_lines(out, {"probe = \"http\"", "path = \"/up\""});
  CHECK_THAT(out, !Contains("user"));
  check_lines(
      haproxy_backend(std::string(" option httpchk GET /up\n option pgsql-check user checker\n") + kServer),
      {"probe = \"postgres\"", "user = \"checker\""});
}

TEST_CASE("checks over TLS, by SMTP and by a program") {
  check_lines(haproxy_backend(std::string(" option ssl-hello-chk\n") + kServer),
              {"probe = \"tls\"", "verify = false"});
  check_lines(haproxy_backend(" option httpchk GET /\n server s 10.0.0.9:443 check check-ssl verify none\n"),
              {"https = true"});
  check_lines(haproxy_backend(" server s 10.0.0.9:443 check ssl verify none\n"),
              {"probe = \"tls\"", "verify = false"});
  check_lines(haproxy_backend(std::string(" option smtpchk EHLO lb.example.org\n") + kServer),
              {"probe = \"smtp\"", "host = \"lb.example.org\""});
  check_lines(haproxy_backend(
                  std::string(" option external-check\n external-check command /usr/bin/check\n") + kServer),
              {"probe = \"exec\"", "command = [\"/usr/bin/check\"]"});
  CHECK_THAT(haproxy_backend(" option redis-check\n server s 10.0.0.9:443 check ssl verify none\n"),
             Contains("probe         = \"tls\"") &&
                 Contains("# f.cfg:6: option redis-check: it is asked over TLS there"));
}

TEST_CASE("one server of several may be checked over TLS") {
  const std::string servers =
      " server a 10.0.0.1:443 check check-ssl verify none\n server b 10.0.0.2:80 check\n";
  const auto http = haproxy_backend(" option httpchk GET /\n" + servers);
  CHECK_THAT(http, Contains("address = \"10.0.0.1:443\"\n[pool.backend.health]\nhttps = true\n") &&
                       Contains("timeout       = \"2s\""));
  CHECK_THAT(haproxy_backend(servers), Contains("[pool.backend.health]\nprobe  = \"tls\"\nverify = false\n"));
}

TEST_CASE("a check has the time that it had there") {
  check_lines(haproxy_backend(kServer), {"timeout = \"2s\"", "fast_interval = \"2s\""});
  check_lines(haproxy_backend(" server s 10.0.0.9:80 check inter 10s\n"),
              {"interval = \"10s\"", "timeout = \"10s\""});
  check_lines(haproxy_backend(" timeout check 4s\n server s 10.0.0.9:80 check inter 10s\n"),
              {"interval = \"10s\"", "timeout = \"4s\""});
}

TEST_CASE("another address to check, and an agent") {
  const auto out = haproxy_backend(
      " default-server agent-check\n server a 10.0.0.1:80 check addr 10.0.9.1 port 81\n"
      " server b 10.0.0.2:80 check agent-port 99\n server c 10.0.0.3:80 agent-port 98\n");
  CHECK_THAT(out, Contains("address       = \"10.0.9.1:81\"") && Contains("agent_port    = 99") &&
                      Contains("agent_port = 98") &&
                      Contains("# f.cfg:7: agent-check: agent_port needs both"));
  CHECK_THAT(haproxy_backend(" default-server check agent-check\n server b 10.0.0.2:80 agent-port 99\n"),
             !Contains("#"));
}

TEST_CASE("what belongs to one server and is a pool's in Weir is said at that server") {
  const auto out = haproxy_backend(
      " server a 10.0.0.1:80 send-proxy slowstart 5s on-marked-down shutdown-sessions\n server b "
      "10.0.0.2:80\n");
  check_lines(out, {"send_proxy = \"v1\"", "slow_start = \"5s\"",
                    "# f.cfg:6: send-proxy: of this server alone there; here send_proxy is of the whole pool",
                    "# f.cfg:6: slowstart: of this server alone there; here slow_start is of the whole pool",
                    "# f.cfg:6: on-marked-down shutdown-sessions: left out: of this server alone there; "
                    "on_backend_down is of "
                    "the whole pool"});
  CHECK_THAT(out, !Contains("on_backend_down  ="));
  const auto all = haproxy_backend(
      " default-server send-proxy-v2 source 10.0.0.5\n server a 10.0.0.1:80\n server b 10.0.0.2:80\n");
  check_lines(all, {"send_proxy = \"v2\"", "source = \"10.0.0.5\""});
  CHECK_THAT(all, !Contains("#"));
}

TEST_CASE("a queue has no end in HAProxy, and lasts as long as a connect") {
  check_lines(haproxy_backend(" timeout connect 4s\n server a 10.0.0.1:80 maxconn 9 maxqueue 3\n"),
              {"max_sessions = 9", "queue = 1000000", "queue_timeout = \"4s\"",
               "# f.cfg:7: maxqueue 3: pool.queue is how many may wait, for the whole pool"});
}

TEST_CASE("the hash's bound, the source, and times of both sides") {
  const auto out = haproxy_backend(
      " balance source\n hash-type consistent\n hash-balance-factor 150\n source 10.0.0.5\n"
      " timeout client 30s\n timeout server 90s\n timeout client-fin 9s\n server a 10.0.0.1:80\n");
  check_lines(out, {"balance = \"source_hash\"", "hash_bound = 1.5", "source = \"10.0.0.5\"",
                    "idle_timeout = \"30s\"", "half_close_timeout = \"9s\""});
  check_lines(haproxy_backend(" timeout tunnel 1h\n server a 10.0.0.1:80\n"), {"idle_timeout = \"1h\""});
  CHECK_THAT(
      weir::test::converted("listen a\n bind :80\n server s 10.0.0.1:80\n"),
      Contains(
          "# f.cfg: a: without \"timeout client\" and \"timeout server\" a session may be silent for ever"));
}

TEST_CASE("of several backups the first serves alone in HAProxy") {
  const std::string servers =
      " server a 10.0.0.1:80\n server b 10.0.0.2:80 backup\n server c 10.0.0.3:80 backup\n";
  check_lines(haproxy_backend(servers),
              {"# f.cfg: b: the first backup that is up serves alone there, here all of them do"});
  CHECK_THAT(haproxy_backend(" option allbackups\n" + servers), !Contains("#"));
}

TEST_CASE("a server's words without an equal name Weir's key") {
  const auto out =
      haproxy_backend(" server a 10.0.0.1:80 check observe layer4 error-limit 9 track x weight 300\n");
  check_lines(out, {"# f.cfg:6: observe layer4: a failed connect brings a probe forward in Weir by itself; "
                    "eject_after is for "
                    "probe = \"none\"",
                    "# f.cfg:6: weight 300: weight is 1 to 256"});
}
