// Probes in SMTP, with Debian's Exim under a configuration, a spool and a log of its own.
#include <filesystem>
#include <optional>

#include "tests/e2e/probed.h"
#include "tests/support/temp_dir.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

class Exim {
 public:
  explicit Exim(const std::string& more = "") {
    std::filesystem::create_directory(dir_.file("spool"));
    write_file(dir_.file("exim.conf"),
               fmt::format("primary_hostname = mail.example.org\nspool_directory = {0}/spool\n"
                           "log_file_path = {0}/%slog\npid_file_path = {0}/pid\nexim_user = root\n"
                           "exim_group = root\nnever_users =\nkeep_environment =\ntls_advertise_hosts =\n"
                           "log_selector = +all\n{1}\n",
                           dir_.path().string(), more));
    process_ = std::make_unique<Process>(std::vector<std::string>{
        "exim4", "-C", dir_.file("exim.conf"), "-bdf", "-oX", "127.0.0.1." + std::to_string(port_.number())});
    REQUIRE(accepts(port_.v4()));
  }

  std::string address() const { return port_.v4(); }
  std::string log() const { return read_file(dir_.file("mainlog")); }

 private:
  FreePort port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

bool no_exim() {
  if (missing({"exim4"})) return true;
  if (::geteuid() == 0) return false;
  note_skipped("exim4 takes a configuration of its own from root only");
  return true;
}

std::size_t count_of(const std::string& what, const std::string& text) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("smtp probes say goodbye, so that no connection is lost in a server's log") {
  if (no_exim()) return;
  const Exim exim("smtp_banner = $primary_hostname\\n ready");
  const Probed weir({{"mail", exim.address(), "probe = \"smtp\"\nhost = \"lb.example.org\""},
                     {"unnamed", exim.address(), "probe = \"smtp\""}});
  weir.says("mail", "up", "probe passed (smtp, ");
  weir.says("unnamed", "up", "probe passed (smtp, ");
  REQUIRE(eventually([&] { return count_of("closed by QUIT", exim.log()) >= 5; }));
  CHECK_THAT(exim.log(), Catch::Contains("lb.example.org"));
  // The first is the test's own look at whether it accepts.
  CHECK(count_of(" lost ", exim.log()) <= 1);
  CHECK_THAT(exim.log(),
             !Catch::Contains("protocol") && !Catch::Contains("unexpected") && !Catch::Contains("syntax"));
}

TEST_CASE("a mail server that refuses is down for the server's own reason") {
  if (no_exim()) return;
  const Exim busy("smtp_accept_max = 1");
  // The test's own look at whether it accepts may still be counted.
  std::optional<Stream> held;
  REQUIRE(eventually([&] {
    held.emplace(Stream::connect(busy.address()));
    return held->recv_some().starts_with("220");
  }));
  const Exim closed("acl_smtp_connect = no\nbegin acl\nno:\n  deny message = not for you");
  const Exim rude("acl_smtp_helo = no\nbegin acl\nno:\n  deny message = go away");
  const Probed weir({{"busy", busy.address(), "probe = \"smtp\""},
                     {"closed", closed.address(), "probe = \"smtp\""},
                     {"rude", rude.address(), "probe = \"smtp\""}});
  weir.says("busy", "down", "(smtp): 421 ");
  weir.says("closed", "down", "(smtp): 550 not for you");
  weir.says("rude", "down", "(smtp): 550 go away");
}
