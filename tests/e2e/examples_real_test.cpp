// The files of conf/examples, with what they are for: the real programs from Debian on either side. Only
// addresses are replaced, and times where a test would wait for them.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/e2e/postgres_cluster.h"
#include "tests/support/paths.h"
#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

using Replacements = std::vector<std::pair<std::string, std::string>>;

/// An example with each of these, once, in the place of what it has.
std::string example(const std::string& name, const Replacements& replacements) {
  std::string text = read_file(source_path("conf/examples/" + name + ".toml"));
  for (const auto& [from, to] : replacements) {
    const auto at = text.find(from);
    INFO(name << ": " << from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  }
  return "workers = 2\nstate_file = \"\"\n" + text + "\n[admin]\nsocket = \"\"\n[log]\naccess = \"stdout\"\n";
}

bool accepts(const std::string& address) {
  return eventually([&] { return connect_failure(address).empty(); });
}

std::string get(const std::string& address, const std::string& from) {
  const Finished curl = run_program(
      {"curl", "-sS", "-m", "10", "--interface", from, "http://" + address + "/who"}, {}, patient(20s));
  return curl.status == 0 ? curl.out : "curl: " + curl.err;
}

/// An nginx with one server of its http part or, as `stream`, of its stream part.
class Nginx {
 public:
  Nginx(const FreePort& port, const std::string& http, const std::string& stream = "")
      : process_(command(http, stream)) {
    REQUIRE(accepts(port.v4()));
  }
  std::string errors() const { return read_file(dir_.file("error.log")); }

 private:
  std::vector<std::string> command(const std::string& http, const std::string& stream) const {
    const std::string dir = dir_.path().string();
    // Debian has the stream part as a module of its own.
    const std::string module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    const std::string load =
        !stream.empty() && std::filesystem::exists(module) ? "load_module " + module + ";\n" : "";
    write_file(
        dir_.file("nginx.conf"),
        fmt::format("{1}daemon off; master_process off; pid {0}/pid; error_log {0}/error.log info;\n"
                    "events {{ worker_connections 512; }}\n"
                    "http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;\n"
                    "fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n{2} }}\n{3}",
                    dir, load, http, stream.empty() ? "" : "stream { server { " + stream + " } }\n"));
    return {"nginx", "-p", dir, "-e", dir_.file("error.log"), "-c", dir_.file("nginx.conf")};
  }

  TempDir dir_;
  Process process_;
};

/// A web server that expects a PROXY header and answers with the client that it names.
std::string expecting(const FreePort& port) {
  return fmt::format(
      "server {{ listen {} proxy_protocol; location / {{ return 200 '$proxy_protocol_addr'; }} }}",
      port.v4());
}

class HaProxy {
 public:
  HaProxy(const FreePort& port, const std::string& lines) : process_(command(lines)) {
    REQUIRE(accepts(port.v4()));
  }

 private:
  std::vector<std::string> command(const std::string& lines) const {
    write_file(dir_.file("haproxy.cfg"),
               "global\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n"
               "  timeout server 5s\n" +
                   lines);
    return {"haproxy", "-db", "-f", dir_.file("haproxy.cfg")};
  }

  TempDir dir_;
  Process process_;
};

Replacements behind_a_proxy(const FreePort& port, const std::string& web1, const std::string& web2) {
  return {{"\"10.0.0.5:8080\"", "\"" + port.v4() + "\""},
          {"[\"10.0.0.2\", \"10.0.0.3\"]", "[\"127.0.0.1\"]"},
          {"203.0.113.0/24", "127.0.1.0/24"},
          {"10.0.0.11:80", web1},
          {"10.0.0.12:80", web2}};
}

std::string select_port(const FreePort& port, const std::string& host, const std::string& sslmode) {
  const Finished psql =
      run_program({"psql", "-X", "-At", "-c", "select inet_server_port()",
                   fmt::format("host={} hostaddr=127.0.0.1 port={} user=admin dbname=postgres sslmode={}",
                               host, port.number(), sslmode)},
                  {}, patient(20s));
  return psql.status == 0 ? psql.out : psql.err;
}

}  // namespace

TEST_CASE("behind-a-proxy: HAProxy and nginx announce their clients, and nginx hears of them") {
  if (missing({"nginx", "haproxy", "curl"})) return;
  const FreePort port, front, one, two;
  const Nginx web1(one, expecting(one)), web2(two, expecting(two));
  WeirDaemon weir(example("behind-a-proxy", behind_a_proxy(port, one.v4(), two.v4())));
  const auto hears_of_clients = [&] {
    for (int i = 0; i < 4; ++i) CHECK(get(front.v4(), "127.0.0.9") == "127.0.0.9");
    // Whom the file denies.
    CHECK(get(front.v4(), "127.0.1.9").starts_with("curl:"));
  };
  for (const std::string send : {"send-proxy", "send-proxy-v2"}) {
    const HaProxy sender(
        front, fmt::format("listen front\n  bind {}\n  server weir {} {}\n", front.v4(), port.v4(), send));
    hears_of_clients();
  }
  {
    const Nginx sender(front, "",
                       fmt::format("listen {}; proxy_pass {}; proxy_protocol on;", front.v4(), port.v4()));
    hears_of_clients();
  }
  CHECK(web1.errors().find("broken header") == std::string::npos);
  int denied = 0;
  CHECK(eventually([&] {
    denied = 0;
    for (const AccessLine& line : weir.access_log()) denied += line["end"] == "denied" ? 1 : 0;
    return denied == 3;
  }));
}

TEST_CASE("behind-a-proxy: HAProxy takes the header that Weir sends on") {
  if (missing({"nginx", "haproxy", "curl"})) return;
  const FreePort port, front, one, two, web;
  // It says in a header of HTTP what it has heard.
  const Nginx server(
      web, fmt::format("server {{ listen {}; location / {{ return 200 '$http_x_client'; }} }}", web.v4()));
  const auto receiver = [&](const FreePort& at) {
    return fmt::format(
        "listen {0}\n  mode http\n  bind {0} accept-proxy\n  http-request set-header X-Client %[src]\n"
        "  server web {1}\n",
        at.v4(), web.v4());
  };
  const std::string both = receiver(one) + receiver(two);
  const HaProxy receivers(one, both);
  WeirDaemon weir(example("behind-a-proxy", behind_a_proxy(port, one.v4(), two.v4())));
  const HaProxy sender(
      front, fmt::format("listen front\n  bind {}\n  server weir {} send-proxy-v2\n", front.v4(), port.v4()));
  for (int i = 0; i < 4; ++i) CHECK(get(front.v4(), "127.0.0.9") == "127.0.0.9");
}

TEST_CASE("tls-by-name: three TLS servers are told apart by name, and one is for some clients only") {
  if (missing({"nginx", "openssl", "curl"})) return;
  const TempDir dir;
  REQUIRE(run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                       "-nodes", "-keyout", dir.file("key"), "-out", dir.file("cert"), "-days", "1", "-subj",
                       "/CN=test"})
              .status == 0);
  const FreePort port;
  const std::vector<std::string> names{"www1", "www2", "shop1", "shop2", "admin1"};
  std::vector<FreePort> ports(names.size());
  std::string servers;
  for (std::size_t i = 0; i < names.size(); ++i)
    servers += fmt::format(
        "server {{ listen {} ssl; ssl_certificate {}; ssl_certificate_key {}; location / {{ return 200 '{}'; "
        "}} "
        "}}\n",
        ports[i].v4(), dir.file("cert"), dir.file("key"), names[i].substr(0, names[i].size() - 1));
  const Nginx nginx(ports.back(), servers);
  WeirDaemon weir(example("tls-by-name", {{"[\"0.0.0.0:443\", \"[::]:443\"]", "\"" + port.v4() + "\""},
                                          {"10.0.0.0/8", "127.0.0.0/24"},
                                          {"10.0.0.11:443", ports[0].v4()},
                                          {"10.0.0.12:443", ports[1].v4()},
                                          {"10.0.0.21:443", ports[2].v4()},
                                          {"10.0.0.22:443", ports[3].v4()},
                                          {"10.0.0.31:443", ports[4].v4()}}));
  const auto ask = [&](const std::string& name, const std::string& from = "127.0.0.1") {
    const Finished curl = run_program({"curl", "-sS", "-k", "-m", "10", "--interface", from, "--resolve",
                                       fmt::format("{}:{}:127.0.0.1", name, port.number()),
                                       fmt::format("https://{}:{}/", name, port.number())},
                                      {}, patient(20s));
    return curl.status == 0 ? curl.out : curl.err;
  };
  CHECK(ask("shop.example.org") == "shop");
  CHECK(ask("a.b.shop.example.org") == "shop");
  CHECK(ask("www.example.org") == "www");
  CHECK(ask("admin.example.org") == "admin");
  CHECK(ask("admin.example.org", "127.0.1.1") == "www");
}

TEST_CASE("public-port: one client that hammers is refused, others and our own hosts are served") {
  if (missing({"nginx", "curl"})) return;
  const FreePort port, one, two;
  const auto web = [](const FreePort& at) {
    return fmt::format("server {{ listen {}; location / {{ return 200 'served'; }} }}\n", at.v4());
  };
  const Nginx nginx(two, web(one) + web(two));
  WeirDaemon weir(example("public-port", {{"[\"0.0.0.0:25\", \"[::]:25\"]", "\"" + port.v4() + "\""},
                                          {"192.0.2.0/24", "127.0.2.0/24"},
                                          {"10.0.0.0/8", "127.0.3.0/24"},
                                          {"probe = \"smtp\"", "probe = \"tcp\""},
                                          {"10.0.0.11:25", one.v4()},
                                          {"10.0.0.12:25", two.v4()}}));
  const auto served = [&](const std::string& from, int times) {
    int count = 0;
    for (int i = 0; i < times; ++i) count += get(port.v4(), from) == "served" ? 1 : 0;
    return count;
  };
  // A burst of 20, then one a second.
  const auto begin = Clock::now();
  const int of_hammer = served("127.0.0.9", 26);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count();
  CHECK(of_hammer >= 20);
  CHECK(of_hammer <= 21 + seconds);
  CHECK(served("127.0.0.10", 3) == 3);
  CHECK(served("127.0.3.9", 24) == 24);
  CHECK(served("127.0.2.9", 2) == 0);
  CHECK(eventually([&] {
    bool rate = false, denied = false;
    for (const AccessLine& line : weir.access_log()) {
      rate = rate || line["end"] == "client_rate";
      denied = denied || line["end"] == "denied";
    }
    return denied && (rate || of_hammer == 26);
  }));
}

TEST_CASE(
    "database-queue: forty clients of pgbench share the places of a PostgreSQL, and none is turned away") {
  if (no_postgres() || missing({"pgbench"})) return;
  Cluster cluster;
  // It would refuse more than that.
  cluster.start({"max_connections=16"});
  REQUIRE(eventually([&] { return cluster.log().find("ready to accept") != std::string::npos; }));
  const FreePort port;
  WeirDaemon weir(example("database-queue", {{"127.0.0.1:6432", port.v4()},
                                             {"${PG1:-10.0.0.31:5432}", cluster.port().v4()},
                                             {"queue_timeout = \"10s\"", "queue_timeout = \"100s\""},
                                             {"max_sessions = 20", "max_sessions = 8"}}));
  write_file(cluster.data() + "/select.sql", "select pg_sleep(0.002);\n");
  // A connection for each transaction, and a thread for each client: one that connects holds up its thread.
  const Finished bench = run_program(
      {"pgbench", "-n", "-C", "-c", "40", "-j", "40", "-t", "10", "-f", cluster.data() + "/select.sql", "-h",
       "127.0.0.1", "-p", std::to_string(port.number()), "-U", "admin", "postgres"},
      {}, patient(60s));
  CAPTURE(bench.out, bench.err);
  CHECK(bench.status == 0);
  CHECK_THAT(bench.out, Catch::Contains("number of transactions actually processed: 400/400"));
  CHECK(cluster.log().find("too many clients") == std::string::npos);
  int waited = 0;
  for (const AccessLine& line : weir.wait_for_access(400, patient(20s))) {
    CHECK(line["end"] == "done");
    if (line["queue_ms"] != "-") ++waited;
  }
  CHECK(waited > 0);
}

TEST_CASE("postgres-by-name: the name that psql connects to decides which server it gets") {
  if (no_postgres() || missing({"openssl"})) return;
  Cluster main, reports;
  main.start_with_tls();
  reports.start_with_tls();
  const FreePort port;
  WeirDaemon weir(example("postgres-by-name", {{"[\"0.0.0.0:5432\", \"[::]:5432\"]", "\"" + port.v4() + "\""},
                                               {"10.0.0.41:5432", main.port().v4()},
                                               {"10.0.0.42:5432", reports.port().v4()}}));
  const auto answer = [](const Cluster& cluster) { return fmt::format("{}\n", cluster.port().number()); };
  CHECK(select_port(port, "reports.db.example.org", "require") == answer(reports));
  CHECK(select_port(port, "db.example.org", "require") == answer(main));
  CHECK(select_port(port, "reports.db.example.org", "disable") == answer(main));
}
