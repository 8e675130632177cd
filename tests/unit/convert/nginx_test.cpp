// nginx's stream block in Weir's words.
#include "tests/unit/convert/converted.h"

using namespace weir::test;
using Catch::Contains;

namespace {

std::string stream(const std::string& text) {
  return weir::test::converted("stream {\n" + text + "}\n", weir::Foreign::Nginx, "n.conf");
}
/// One server with these lines, from line 2 on.
std::string server(const std::string& lines) {
  return stream("server { listen 80; proxy_pass 10.0.0.9:80;\n" + lines + "}\n");
}

}  // namespace

TEST_CASE("of nginx's rules the first decides, whatever is longer") {
  const auto out = server("deny 10.0.0.0/8;\nallow 10.1.0.0/16;\nallow all;\n");
  check_lines(out, {"deny = [\"10.0.0.0/8\"]",
                    "# n.conf:4: allow 10.1.0.0/16: 10.1.0.0/16 is left out: 10.0.0.0/8 at line 3 decides "
                    "before it; in Weir "
                    "the longest network would"});
  CHECK_THAT(out, !Contains("allow  =") && !Contains("allow ="));
  check_lines(server("deny 10.1.1.1;\nallow 10.0.0.0/8;\ndeny all;\n"),
              {"allow = [\"10.0.0.0/8\"]", "deny = [\"10.1.1.1\"]"});
  check_lines(server("allow 10.1.0.0/16;\ndeny 10.0.0.0/8;\nallow all;\n"),
              {"allow = [\"10.1.0.0/16\", \"0.0.0.0/0\", \"::/0\"]", "deny = [\"10.0.0.0/8\"]"});
  check_lines(server("allow 10.1.0.0/16;\ndeny 10.0.0.0/8;\n"),
              {"allow = [\"10.1.0.0/16\", \"0.0.0.0/0\", \"::/0\"]"});
}

TEST_CASE("deny all by itself shuts everybody out, allow all nobody") {
  check_lines(server("deny all;\n"), {"deny = [\"0.0.0.0/0\", \"::/0\"]"});
  CHECK_THAT(server("allow all;\n"), !Contains("allow") && !Contains("deny"));
  check_lines(server("allow 10.1.1.0/16;\ndeny all;\n"), {"allow = [\"10.1.0.0/16\"]"});
  const auto file =
      stream("server { listen unix:/run/x.sock; proxy_pass 10.0.0.9:80;\nallow 10.0.0.0/8;\ndeny all;\n}\n");
  check_lines(file, {"allow = [\"10.0.0.0/8\"]", "deny = [\"unix\"]"});
}

TEST_CASE("a server's own rules take the place of those around it") {
  const auto out = stream(
      "deny 10.0.0.0/8;\nserver { listen 80; proxy_pass 10.0.0.9:80; allow 192.0.2.0/24; deny all; }\n"
      "server { listen 81; proxy_pass 10.0.0.9:80; }\n");
  CHECK_THAT(out, Contains("allow = [\"192.0.2.0/24\"]\n\n") && Contains("deny = [\"10.0.0.0/8\"]\n"));
}

TEST_CASE("a map's values may be addresses, and exact names go before longer wildcards before shorter ones") {
  const auto out = stream(
      "map $ssl_preread_server_name $to {\nhostnames;\n*.example.org 10.0.0.1:443;\n*.a.example.org "
      "10.0.0.2:443;\n"
      "www.example.org 10.0.0.3:443;\ndefault 10.0.0.4:443;\n}\nserver { listen 443; ssl_preread on; "
      "proxy_pass $to; }\n");
  const auto exact = out.find("sni  = [\"www.example.org\"]\npool = \"10.0.0.3:443\"");
  const auto longer = out.find("sni  = [\"*.a.example.org\"]\npool = \"10.0.0.2:443\"");
  const auto shorter = out.find("sni  = [\"*.example.org\"]\npool = \"10.0.0.1:443\"");
  INFO(out);
  CHECK((exact < longer && longer < shorter && shorter != std::string::npos));
  for (const char* pool : {"10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443", "10.0.0.4:443"})
    CHECK_THAT(out, Contains("[[pool]]\nname = \"" + std::string(pool) + "\"\n"));
  check_lines(out, {"header_timeout = \"30s\""});
}

TEST_CASE("without hostnames a star is a name of its own") {
  const auto out = stream(
      "map $ssl_preread_server_name $to { *.example.org 10.0.0.1:443; default 10.0.0.4:443; }\n"
      "server { listen 443; ssl_preread on; proxy_pass $to; }\n");
  CHECK_THAT(out, !Contains("[[listener.route]]") &&
                      Contains("# n.conf:2: *.example.org 10.0.0.1:443: left out: without"));
}

TEST_CASE("a map of protocols and a geo of clients are routes, too") {
  const auto out = stream(
      "map $ssl_preread_alpn_protocols $to { ~\\bh2\\b 10.0.0.1:1; xmpp-client 10.0.0.2:1; ~h. 10.0.0.3:1; "
      "}\n"
      "server { listen 443; ssl_preread on; proxy_pass $to; }\n");
  CHECK_THAT(out, Contains("alpn = [\"h2\"]\npool = \"10.0.0.1:1\"") &&
                      Contains("alpn = [\"xmpp-client\"]") &&
                      Contains("# n.conf:2: ~h. 10.0.0.3:1: left out: alpn is one whole protocol"));
  const auto geo = stream(
      "geo $to { default 10.0.0.4:1; 10.0.0.0/8 10.0.0.1:1; 10.1.0.0/16 10.0.0.2:1; }\n"
      "server { listen 443; proxy_pass $to; }\n");
  CHECK(geo.find("client = [\"10.1.0.0/16\"]") < geo.find("client = [\"10.0.0.0/8\"]"));
  check_lines(geo, {"pool = \"10.0.0.4:1\""});
}

TEST_CASE("servers that say other things of one upstream have a pool each") {
  const auto out = stream(
      "upstream u { server 10.0.0.1:80; }\nserver { listen 80; proxy_pass u; proxy_protocol on; }\n"
      "server { listen 81; proxy_pass u; proxy_timeout 1h; }\nserver { listen 82; proxy_pass u; "
      "proxy_timeout 1h; }\n");
  CHECK_THAT(out, Contains("bind = \"0.0.0.0:80\"\npool = \"u\"\n") &&
                      Contains("bind = \"0.0.0.0:81\"\npool = \"u-4\"\n") &&
                      Contains("bind = \"0.0.0.0:82\"\npool = \"u-4\"\n"));
  CHECK(out.find("send_proxy") < out.find("name = \"u-4\"\nconnect_timeout"));
  CHECK(out.find("idle_timeout") > out.find("name = \"u-4\"\nconnect_timeout"));
  CHECK(out.find("send_proxy") == out.rfind("send_proxy"));
}

TEST_CASE("nginx's own times and counts are written where Weir's are others") {
  const auto out = server("");
  check_lines(out, {"connect_timeout = \"1m\"", "probe = \"none\"", "eject_after = 1", "eject_for = \"10s\"",
                    "eject_for_at_most = \"10s\""});
  check_lines(stream("upstream u { zone u 64k; server 10.0.0.1:80 max_conns=5; }\nserver { listen 80; "
                     "proxy_pass u; }\n"),
              {"max_sessions = 5", "queue = 0"});
}

TEST_CASE("PROXY headers are taken where they were, from whom they were believed") {
  const auto out = stream(
      "server { listen 80 proxy_protocol; listen 81; set_real_ip_from 10.0.0.0/8; proxy_pass 10.0.0.9:80; "
      "}\n");
  CHECK_THAT(out, Contains("bind = \"0.0.0.0:81\"\npool = \"10.0.0.9:80\"\n\n"));
  check_lines(out, {"proxy_from = [\"10.0.0.0/8\"]"});
  check_lines(stream("server { listen 80 proxy_protocol; proxy_pass 10.0.0.9:80; }\n"),
              {"proxy_from = [\"0.0.0.0/0\", \"::/0\"]"});
}

TEST_CASE("limit_conn by the client's address and a health check have their equals") {
  const auto out = stream(
      "limit_conn_zone $binary_remote_addr zone=addr:10m;\nlimit_conn_zone $server_name zone=s:1m;\n"
      "server { listen 80; limit_conn addr 5; proxy_pass 10.0.0.9:80;\n"
      "health_check interval=10 passes=2 fails=3 port=81; }\n");
  check_lines(
      out,
      {"sessions_per_client = 5", "probe = \"tcp\"", "interval = \"10s\"", "timeout = \"5s\"", "rise = 2",
       "fall = 3", "port = 81",
       "# n.conf:3: limit_conn_zone $server_name zone=s:1m: left out: no limit that is converted uses it"});
  CHECK_THAT(out, !Contains("eject") && !Contains("zone=addr"));
}

TEST_CASE("a server that Weir cannot be is a comment as a whole, with its pool") {
  for (const std::string lines :
       {"listen 80; return \"x\\n\";", "listen 10000-10010; proxy_pass 10.0.0.1:80;",
        "listen 80; proxy_pass 10.0.0.1:$server_port;", "listen 80; proxy_pass $nothing;", "listen 80;",
        "listen 53 udp; proxy_pass dns;"}) {
    const auto out = stream("upstream dns { server 10.0.0.53:53; }\nserver {\n" + lines +
                            " }\nserver { listen 99; proxy_pass 10.0.0.9:99; }\n");
    CHECK_THAT(out, Contains("# n.conf:3: the server at line 3 is left out: ") &&
                        Contains("bind = \"0.0.0.0:99\"") && !Contains("0.0.0.0:80") &&
                        !Contains("0.0.0.0:53"));
    if (lines.find("udp") != std::string::npos) CHECK_THAT(out, !Contains("10.0.0.53"));
  }
}

TEST_CASE("what stands around the servers is said once, and no file is included in silence") {
  const auto out = stream(
      "split_clients $remote_addr $h { 50% a; * b; }\nproxy_requests 1;\ninclude x/*.conf;\n"
      "server { listen 80; proxy_pass 10.0.0.9:80; }\nserver { listen 81; proxy_pass 10.0.0.9:80; include y; "
      "}\n");
  CHECK_THAT(
      stream("map $ssl_preread_protocol $up { default 10.0.0.1:1; }\nserver { listen 80; proxy_pass "
             "10.0.0.9:80; }\n"),
      Contains(
          "# n.conf:2: map $ssl_preread_protocol $up: left out: no server that is converted leads by it"));
  for (const char* word : {"split_clients", "proxy_requests", "x/*.conf"})
    CHECK(out.find(word) == out.rfind(word));
  CHECK_THAT(out, Contains("# n.conf:4: include x/*.conf: that file is not read") &&
                      Contains("# n.conf:6: include y: that file is not read"));
}

TEST_CASE("nginx's words keep their escapes, quotes and line") {
  const auto out = server("js_set $x\n  \"a  b\";\n");
  check_lines(out, {"# n.conf:3: js_set $x \"a b\": it has no equal"});
}

TEST_CASE("what is said of the servers of one block is at its listener") {
  check_lines(server("proxy_ssl on;\nproxy_ssl_verify on;\nproxy_bind $remote_addr transparent;\n"),
              {"# n.conf:3: proxy_ssl on: Weir does not speak TLS: it passes on what the client sends",
               "# n.conf:4: proxy_ssl_verify on: Weir does not speak TLS",
               "# n.conf:5: proxy_bind $remote_addr transparent: source is an address of this host: "
               "send_proxy tells backends the "
               "client's"});
}

TEST_CASE("what a unix socket cannot have is left out") {
  const auto out = stream(
      "server { listen unix:/run/x.sock; proxy_pass unix:/run/y.sock; proxy_download_rate 1m; "
      "proxy_upload_rate 5; }\n");
  CHECK_THAT(out, !Contains("\nrate_to") &&
                      Contains("# n.conf: unix:_run_y.sock: rate_to_client = \"1MiB\" is left out") &&
                      Contains("rate_to_backend = \"5B\" is left out"));
}
