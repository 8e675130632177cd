// PROXY headers with others that speak them: nginx as the server, HAProxy as the sender.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/support/port.h"
#include "tests/support/skip.h"
#include "tests/support/stream.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

bool accepts(const std::string& address) {
  return eventually([&] { return connect_failure(address).empty(); });
}

/// An nginx that expects a PROXY header and answers with the client that it names.
class ExpectingNginx {
 public:
  ExpectingNginx() : process_(command()) { REQUIRE(accepts(port_.v4())); }
  std::string address() const { return port_.v4(); }
  std::string errors() const { return read_file(dir_.file("error.log")); }

 private:
  std::vector<std::string> command() const {
    const std::string dir = dir_.path().string();
    write_file(
        dir_.file("nginx.conf"),
        fmt::format("daemon off; master_process off; pid {0}/pid; error_log {0}/error.log info;\n"
                    "events {{ worker_connections 512; }}\n"
                    "http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;\n"
                    "fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n"
                    "server {{ listen {1} proxy_protocol; location / {{ return 200 "
                    "'$proxy_protocol_addr $proxy_protocol_server_port'; }} }} }}\n",
                    dir, port_.v4()));
    return {"nginx", "-p", dir, "-e", dir_.file("error.log"), "-c", dir_.file("nginx.conf")};
  }

  FreePort port_;
  TempDir dir_;
  Process process_;
};

std::string get(const std::string& address, const std::string& from = "127.0.0.1") {
  const Finished curl =
      run_program({"curl", "-sS", "-m", "10", "--interface", from, "http://" + address + "/"});
  return curl.status == 0 ? curl.out : "curl: " + curl.err;
}

}  // namespace

TEST_CASE("nginx hears from a header of either version who the client is, and of no cut probe") {
  if (missing({"nginx", "curl"})) return;
  const std::string version = GENERATE("v1", "v2");
  const std::string probe = GENERATE("tcp", "http", "expect");
  CAPTURE(version, probe);
  const ExpectingNginx nginx;
  const FreePort port;
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"one", nginx.address()}};
  config.pool = fmt::format("send_proxy = \"{}\"", version);
  config.health = fmt::format("probe = \"{}\"\ninterval = \"50ms\"\nrise = 1\nfall = 1", probe);
  if (probe == "expect") config.health += "\nsend = \"GET / HTTP/1.0\\r\\n\\r\\n\"\nexpect = \"200 OK\"";
  WeirDaemon weir(config);
  CHECK(get(port.v4(), "127.0.0.9") == fmt::format("127.0.0.9 {}", port.number()));
  std::this_thread::sleep_for(300ms);
  CHECK(get(port.v4()) == fmt::format("127.0.0.1 {}", port.number()));
  CHECK(nginx.errors().find("broken header") == std::string::npos);
}

TEST_CASE("a probe without a header is what nginx refuses, and can be asked for") {
  if (missing({"nginx", "curl"})) return;
  const ExpectingNginx nginx;
  const FreePort port;
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"one", nginx.address()}};
  config.pool = "send_proxy = \"v2\"";
  config.health = "probe = \"http\"\ninterval = \"50ms\"\nrise = 1\nfall = 1\nsend_proxy = false";
  WeirDaemon weir(config);
  CHECK(weir.process().wait_for_err("down"));
}

TEST_CASE("HAProxy's header goes through Weir to nginx") {
  if (missing({"nginx", "curl", "haproxy"})) return;
  const std::string in = GENERATE("send-proxy", "send-proxy-v2");
  CAPTURE(in);
  const ExpectingNginx nginx;
  const FreePort port, front;
  SimpleConfig config;
  config.bind = port.v4();
  config.backends = {{"one", nginx.address()}};
  config.listener = "proxy_from = [\"127.0.0.0/8\"]\nallow = [\"127.0.0.0/24\"]";
  config.pool = "send_proxy = \"v2\"";
  WeirDaemon weir(config);
  const TempDir dir;
  write_file(dir.file("haproxy.cfg"),
             fmt::format("global\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client "
                         "5s\n  timeout server 5s\nlisten front\n  bind {}\n  server weir {} {}\n",
                         front.v4(), port.v4(), in));
  Process haproxy({"haproxy", "-db", "-f", dir.file("haproxy.cfg")});
  REQUIRE(accepts(front.v4()));
  CHECK(get(front.v4(), "127.0.0.9") == fmt::format("127.0.0.9 {}", front.number()));
  CHECK(get(front.v4(), "127.0.1.9").starts_with("curl:"));
  CHECK(eventually([&] {
    bool served = false, denied = false;
    for (const AccessLine& line : weir.access_log()) {
      if (line["client"].starts_with("127.0.0.9:")) served = line["end"] == "done";
      if (line["client"].starts_with("127.0.1.9:")) denied = line["end"] == "denied";
    }
    return served && denied;
  }));
}

TEST_CASE("three TLS servers behind one port are told apart by name") {
  if (missing({"openssl"})) return;
  const TempDir dir;
  REQUIRE(run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                       "-nodes", "-keyout", dir.file("key"), "-out", dir.file("cert"), "-days", "1", "-subj",
                       "/CN=test"})
              .status == 0);
  std::vector<std::unique_ptr<FreePort>> ports;
  std::vector<std::unique_ptr<Process>> servers;
  std::string pools, routes;
  for (const std::string name : {"one", "two", "three"}) {
    ports.push_back(std::make_unique<FreePort>());
    const std::string served = dir.file(name);
    std::filesystem::create_directory(served);
    write_file(served + "/name", name);
    ProcessOptions options;
    options.directory = served;
    servers.push_back(std::make_unique<Process>(
        std::vector<std::string>{"openssl", "s_server", "-quiet", "-accept", ports.back()->v4(), "-key",
                                 dir.file("key"), "-cert", dir.file("cert"), "-WWW"},
        options));
    REQUIRE(accepts(ports.back()->v4()));
    routes += fmt::format("[[listener.route]]\nsni = \"{0}.example.org\"\npool = \"{0}\"\n", name);
    pools += fmt::format(
        "[[pool]]\nname = \"{}\"\n[pool.health]\nprobe = \"none\"\n[[pool.backend]]\nname = "
        "\"x\"\naddress = \"{}\"\n",
        name, ports.back()->v4());
  }
  const FreePort port;
  WeirDaemon weir(
      fmt::format("workers = 1\nstate_file = \"\"\n[admin]\nsocket = \"\"\n[log]\naccess = "
                  "\"stdout\"\n[[listener]]\nname = \"tls\"\nbind = \"{}\"\n{}{}",
                  port.v4(), routes, pools));
  for (const std::string name : {"one", "two", "three"}) {
    const Finished curl = run_program({"curl", "-sS", "-k", "-m", "10", "--http0.9", "--resolve",
                                       fmt::format("{}.example.org:{}:127.0.0.1", name, port.number()),
                                       fmt::format("https://{}.example.org:{}/name", name, port.number())});
    CAPTURE(curl.err);
    CHECK(curl.out == name);
  }
}
