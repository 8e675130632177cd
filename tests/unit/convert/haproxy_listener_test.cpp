// HAProxy's frontends as listeners and routes.
#include "tests/unit/convert/converted.h"

using namespace weir::test;
using Catch::Contains;

namespace {
const std::string kBackends = "backend b\n server s 10.0.0.9:80\nbackend x\n server s 10.0.0.8:80\n";
}

TEST_CASE("a name, a protocol and a client are one route when all must fit") {
  const auto out = weir::test::converted(
      "frontend f\n bind :443\n acl inner src 10.0.0.0/8\n use_backend x if { req.ssl_sni -i a.example.org } "
      "inner\n"
      " use_backend x if { req.ssl_alpn acme-tls/1 }\n use_backend b if { req.ssl_sni -m end .example.com "
      "}\n" +
      kBackends);
  CHECK_THAT(
      out,
      Contains(
          "[[listener.route]]\nsni    = [\"a.example.org\"]\nclient = [\"10.0.0.0/8\"]\npool   = \"x\"\n"));
  CHECK_THAT(
      out,
      Contains(
          "# f.cfg:5: use_backend x if { req.ssl_alpn acme-tls/1 }: there the whole list that a client "
          "offers is compared, here each protocol of it\n[[listener.route]]\nalpn = [\"acme-tls/1\"]\n"));
  CHECK_THAT(out, Contains("sni  = [\"*.example.com\"]\npool = \"b\"\n"));
}

TEST_CASE("alternatives are a route each") {
  const auto out = weir::test::converted(
      "frontend f\n bind :443\n acl who src 10.0.0.0/8\n acl who req.ssl_sni a.example.org\n use_backend x "
      "if who\n"
      " use_backend b if { req.ssl_sni c.example.org } or { req.ssl_sni d.example.org }\n" +
      kBackends);
  CHECK_THAT(out, Contains("client = [\"10.0.0.0/8\"]\npool   = \"x\"\n") &&
                      Contains("sni  = [\"a.example.org\"]\npool = \"x\"\n") &&
                      Contains("sni  = [\"c.example.org\"]\npool = \"b\"\n") &&
                      Contains("sni  = [\"d.example.org\"]\npool = \"b\"\n"));
}

TEST_CASE("what is no whole name is no route, but a comment") {
  for (const std::string match :
       {"-m beg api", "-m reg ^api", "-m sub api", "-m dom example.com", "-m end example.com"}) {
    const auto out = weir::test::converted("frontend f\n bind :443\n use_backend x if { req.ssl_sni " +
                                           match + " }\n default_backend b\n" + kBackends);
    CHECK_THAT(out, !Contains("[[listener.route]]"));
    CHECK_THAT(out, Contains("# f.cfg:3: use_backend x if { req.ssl_sni " + match +
                             " }: left out: sni is a whole name"));
  }
}

TEST_CASE("negations and two names at once are comments") {
  for (const std::string condition : {"if !{ req.ssl_sni a.example.org }", "unless { src 10.0.0.0/8 }",
                                      "if { req.ssl_sni a.example.org } { req.ssl_sni b.example.org }",
                                      "if { src -f /etc/list }", "if { dst_port 443 }", "if nobody"}) {
    const auto out = weir::test::converted("frontend f\n bind :443\n use_backend x " + condition +
                                           "\n default_backend b\n" + kBackends);
    CHECK_THAT(out, !Contains("[[listener.route]]"));
    CHECK_THAT(out, Contains("# f.cfg:3: use_backend x " + condition + ": left out: "));
  }
}

TEST_CASE("use_backend without a condition serves all others") {
  const auto out = weir::test::converted(
      "frontend f\n bind :443\n use_backend x\n use_backend b if { src 10.0.0.1 }\n" + kBackends);
  check_lines(out, {"pool = \"x\"",
                    "# f.cfg:4: use_backend b if { src 10.0.0.1 }: left out: line 3 decides before it"});
}

TEST_CASE("a route to a backend that is not there is a comment") {
  const auto out = weir::test::converted(
      "frontend f\n bind :443\n use_backend gone if { req.ssl_sni a.example.org }\n default_backend "
      "b\nbackend gone\n balance source\n" +
      kBackends);
  CHECK_THAT(out, !Contains("[[listener.route]]"));
  check_lines(out, {"# f.cfg: f: a route by [\"a.example.org\"] is left out, for there is no pool gone",
                    "# f.cfg: gone: no pool, for it has no backend"});
}

TEST_CASE("[::] of HAProxy's serves IPv4, too, unless v6only") {
  check_lines(haproxy_frontend(" bind :::443\n"), {"bind = [\"0.0.0.0:80\", \"0.0.0.0:443\", \"[::]:443\"]"});
  check_lines(haproxy_frontend(" bind [::]:443 v6only\n"), {"bind = [\"0.0.0.0:80\", \"[::]:443\"]"});
  check_lines(haproxy_frontend(" bind *:443,ipv6@:8443 v6only\n"),
              {"bind = [\"0.0.0.0:80\", \"0.0.0.0:443\", \"[::]:8443\"]"});
  check_lines(haproxy_frontend(" bind 10.0.0.1:90-92\n"),
              {"bind = [\"0.0.0.0:80\", \"10.0.0.1:90\", \"10.0.0.1:91\", \"10.0.0.1:92\"]"});
  check_lines(haproxy_frontend(" bind :1000-9000\n"),
              {"bind = \"0.0.0.0:80\"",
               "# f.cfg:7: bind :1000-9000: :1000-9000 is left out: an IP address with a port is needed"});
  check_lines(haproxy_frontend(" bind ::1:443\n"), {"bind = [\"0.0.0.0:80\", \"[::1]:443\"]"});
}

TEST_CASE("what belongs to one bind has a listener of its own") {
  const auto out = haproxy_frontend(" bind :81 accept-proxy ssl crt x.pem\n maxconn 9\n");
  CHECK_THAT(out, Contains("name = \"f\"\nbind = \"0.0.0.0:80\"\n") &&
                      Contains("name = \"f-7\"\nbind = \"0.0.0.0:81\"\n"));
  CHECK_THAT(out.substr(out.find("name = \"f-7\"")), Contains("proxy_from      = [\"0.0.0.0/0\", \"::/0\"]"));
  CHECK_THAT(out.substr(0, out.find("name = \"f-7\"")), !Contains("proxy_from  "));
  check_lines(
      out,
      {"# f.cfg:7: bind :81 accept-proxy ssl crt x.pem: proxy_from should name the balancer in front alone",
       "# f.cfg:7: bind :81 accept-proxy ssl crt x.pem: Weir does not speak TLS: it passes it on, and the "
       "servers "
       "answer it",
       "# f.cfg: f: max_connections is for each of its listeners by itself here"});
  const auto file = haproxy_frontend(" bind unix@/run/x.sock mode 660 user web group web\n");
  CHECK_THAT(file, Contains("bind = \"unix:/run/x.sock\"\npool  = \"b\"\nmode  = \"0660\"\nowner = "
                            "\"web\"\ngroup = \"web\"\n"));
}

TEST_CASE("an address that two listeners would bind is one's") {
  const auto out = weir::test::converted(
      "frontend f\n bind :80\n default_backend b\nfrontend g\n bind 10.0.0.1:80\n bind :81\n default_backend "
      "b\n" +
      kBackends);
  check_lines(out, {"bind = \"0.0.0.0:81\"",
                    "# f.cfg: g: bind 10.0.0.1:80 is left out: 0.0.0.0:80 of f is the same there; Weir binds "
                    "one of them"});
}

TEST_CASE("a backend that is a listener of the file would be a circle") {
  const auto out = weir::test::converted(
      "listen front\n bind :80\n server s 127.0.0.1:81\nlisten s\n bind 127.0.0.1:81\n server t "
      "10.0.0.9:80\n");
  CHECK_THAT(
      out,
      Contains("# f.cfg: front: the backend 127.0.0.1:81 is left out: it is the listener s of this file") &&
          Contains("# f.cfg: front: no listener, for it has no pool") && Contains("10.0.0.9:80"));
}

TEST_CASE("a section takes the defaults that it names") {
  const auto out = weir::test::converted(
      "defaults A\n timeout connect 7s\ndefaults B\n timeout connect 9s\nbackend x from A\n server s "
      "10.0.0.8:80\n"
      "backend b from B\n server s 10.0.0.9:80\nfrontend f from A\n bind :80\n use_backend x if { src "
      "10.0.0.1 }\n default_backend b\n");
  CHECK(out.find("connect_timeout = \"7s\"") < out.find("connect_timeout = \"9s\""));
  CHECK_THAT(out, Contains("name = \"x\"\nconnect_timeout = \"7s\"") &&
                      Contains("name = \"b\"\nconnect_timeout = \"9s\""));
}

TEST_CASE("a statistics page and a disabled section are no listeners") {
  const auto out = weir::test::converted(
      "listen stats\n mode http\n bind :8404\n stats enable\n stats uri /stats\nlisten off\n disabled\n bind "
      ":1\n server a 10.0.0.1:1\n" +
      std::string("frontend f\n bind :80\n default_backend b\n") + kBackends);
  check_lines(out, {"# f.cfg:4: stats enable: the statistics page: see [web] bind",
                    "# f.cfg:5: stats uri /stats: the statistics page: see [web] bind",
                    "# f.cfg: stats: no listener, for it has no pool",
                    "# f.cfg:6: listen off: left out, for the section is disabled"});
  CHECK_THAT(out, !Contains("8404") && !Contains("10.0.0.1"));
}

TEST_CASE("what defaults say and Weir has no equal of is said once") {
  const auto out = weir::test::converted(
      "defaults\n errorfile 400 /x\nfrontend f\n bind :80\n default_backend b\n" + kBackends);
  CHECK(out.find("errorfile") == out.rfind("errorfile"));
  check_lines(out, {"# f.cfg:2: errorfile 400 /x: it has no equal"});
}

TEST_CASE(
    "a variable of the environment is not guessed at, and lines before the first section are not lost") {
  const auto out = haproxy_frontend(" bind \"*:${PORT}\"\n");
  check_lines(out, {"# f.cfg:7: bind \"*:${PORT}\": left out: it has a variable of the environment; Weir "
                    "takes ${NAME} in its file"});
  CHECK_THAT(weir::test::converted("maxconn 5\nfrobnicate\nlisten a\n bind :80\n server s 10.0.0.1:80\n"),
             Contains("# f.cfg:2: frobnicate: it has no equal") && Contains("max_connections = 5"));
}

TEST_CASE("a named condition that nothing converted asks for is said, too") {
  const auto out = haproxy_frontend(
      " acl a src 10.0.0.0/8\n acl b dst_port 80\n acl c src 192.0.2.0/24\n use_backend x if a b\n "
      "tcp-request content reject if c\n");
  check_lines(out, {"# f.cfg:7: acl a src 10.0.0.0/8: left out: nothing that is converted asks for it",
                    "# f.cfg:8: acl b dst_port 80: left out: nothing that is converted asks for it",
                    "deny = [\"192.0.2.0/24\"]"});
  CHECK_THAT(out, !Contains("# f.cfg:9"));
}

TEST_CASE("what HAProxy itself would refuse is no reason for a file that Weir refuses") {
  const auto out = haproxy_frontend(" bind unix@/run/x.sock mode rw\nbackend b\n server s 10.0.0.7:80\n");
  CHECK_THAT(out,
             Contains("# f.cfg:7: bind unix@/run/x.sock mode rw: mode rw: mode is octal, like \"0660\"") &&
                 !Contains("\nmode") &&
                 Contains("# f.cfg: the name b is taken: it is b-2 here\n[[pool]]\nname = \"b-2\"\n"));
}
