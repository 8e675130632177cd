// TLS probes, with Debian's nginx and openssl.
#include "tests/e2e/probed.h"
#include "tests/support/temp_dir.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Certificates of an authority of our own, and an nginx for each.
class Servers {
 public:
  Servers() {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
             dir_.file("ca.key"), "-out", ca_file(), "-days", "30", "-subj", "/CN=authority"});
    certificate("good", {"-days", "20"});
    certificate("soon", {"-days", "5"});
    certificate("late", {"-not_before", "20240101000000Z", "-not_after", "20240201000000Z"});
    std::string servers;
    for (const auto& [name, port] : {std::pair(std::string("good"), &good), {"soon", &soon}, {"late", &late}})
      servers += fmt::format(
          "server {{ listen {0} ssl; ssl_certificate {1}/{2}.pem; ssl_certificate_key {1}/{2}.key; }}\n",
          port->v4(), dir_.path().string(), name);
    write_file(
        dir_.file("nginx.conf"),
        fmt::format("daemon off; master_process off; pid {0}/pid; error_log {0}/error.log info; events {{}}\n"
                    "http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;\n"
                    "fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n"
                    "{1} server {{ listen {2}; }} }}",
                    dir_.path().string(), servers, plain.v4()));
    nginx_ = std::make_unique<Process>(
        std::vector<std::string>{"nginx", "-c", dir_.file("nginx.conf"), "-e", dir_.file("error.log")});
    for (const FreePort* port : {&good, &soon, &late, &plain}) REQUIRE(accepts(port->v4()));
  }

  FreePort good, soon, late, plain;
  std::string ca_file() const { return dir_.file("ca.pem"); }
  std::string stranger_file() const { return dir_.file("late.pem"); }  ///< no authority
  std::string log() const { return read_file(dir_.file("error.log")); }

 private:
  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const Finished done = run_program(arguments);
    INFO(done.err);
    REQUIRE(done.status == 0);
  }

  void certificate(const std::string& name, const std::vector<std::string>& dates) const {
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
             dir_.file(name + ".key"), "-out", dir_.file(name + ".csr"), "-subj", "/CN=nobody"});
    write_file(dir_.file("extensions"), "subjectAltName = DNS:www.example.org\n");
    write_file(dir_.file("index"), "");
    write_file(dir_.file("ca.conf"),
               fmt::format("[ca]\ndefault_ca = own\n[own]\ndatabase = {0}/index\n"
                           "new_certs_dir = {0}\nrand_serial = yes\ndefault_md = sha256\n"
                           "unique_subject = no\npolicy = any\n[any]\ncommonName = supplied\n",
                           dir_.path().string()));
    std::vector<std::string> sign = {"ca",
                                     "-batch",
                                     "-notext",
                                     "-config",
                                     dir_.file("ca.conf"),
                                     "-cert",
                                     ca_file(),
                                     "-keyfile",
                                     dir_.file("ca.key"),
                                     "-in",
                                     dir_.file(name + ".csr"),
                                     "-out",
                                     dir_.file(name + ".pem"),
                                     "-extfile",
                                     dir_.file("extensions")};
    for (const std::string& date : dates)
      sign.push_back(date == "-not_before" ? "-startdate" : date == "-not_after" ? "-enddate" : date);
    openssl(sign);
  }

  TempDir dir_;
  std::unique_ptr<Process> nginx_;
};

}  // namespace

TEST_CASE("tls probes tell a wrong name, an end that is near and one that is past, and what is no TLS") {
  if (missing({"nginx", "openssl"})) return;
  const Servers servers;
  const auto tls = [&](const std::string& more, bool trusted = true) {
    return fmt::format("probe = \"tls\"\n{}{}", trusted ? "ca_file = \"" + servers.ca_file() + "\"\n" : "",
                       more);
  };
  const std::string name = "host = \"www.example.org\"\n";
  const Probed weir({{"good", servers.good.v4(), tls(name + "min_days_left = 14")},
                     {"other", servers.good.v4(), tls("host = \"www.example.net\"")},
                     {"stranger", servers.good.v4(), tls(name, false)},
                     {"blind", servers.late.v4(), tls("verify = false", false)},
                     {"near", servers.soon.v4(), tls(name + "min_days_left = 14")},
                     {"enough", servers.soon.v4(), tls(name + "min_days_left = 3")},
                     {"past", servers.late.v4(), tls(name)},
                     {"plain", servers.plain.v4(), tls(name)}});
  for (const char* up : {"good", "blind", "enough"}) weir.says(up, "up", "probe passed (tls, ");
  weir.says("other", "down", "(tls): the certificate is for www.example.org, not for www.example.net");
  weir.says("stranger", "down",
            "(tls): the certificate is not trusted: unable to get local issuer certificate");
  weir.says("near", "down", "(tls): the certificate expires on ");
  weir.says("past", "down", "(tls): the certificate has expired on 2024-02-01");
  weir.says("plain", "down", "(tls): this is not TLS, got \"HTTP/1.1 400 Bad Request");
  CHECK_THAT(servers.log(),
             !Catch::Contains("SSL_do_handshake() failed") && !Catch::Contains("reset by peer"));
}

TEST_CASE("a file of trusted certificates that changes is read again") {
  if (missing({"nginx", "openssl"})) return;
  const Servers servers;
  const TempDir dir;
  const std::string file = dir.file("trusted.pem");
  write_file(file, read_file(servers.stranger_file()));
  const Probed weir({{"kept", servers.good.v4(),
                      "probe = \"tls\"\nhost = \"www.example.org\"\nca_file = \"" + file + "\""}});
  weir.says("kept", "down", "(tls): the certificate is not trusted: ");
  write_file(file, read_file(servers.ca_file()));
  weir.says("kept", "up", "probe passed (tls, ");
}
