// Which congestion control sessions' sockets have, as the kernel says.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "lb/base/congestion_control.h"
#include "tests/support/operated.h"
#include "tests/support/private_network.h"
#include "tests/support/skip.h"

using namespace weir::test;

namespace {

const char* const kCannot = "no right to make a network namespace, or no ip and nft";

/// The daemon's ends of one session, by the ports of the others.
struct Controls {
  std::string client, backend;
  friend bool operator==(const Controls&, const Controls&) = default;
};

std::ostream& operator<<(std::ostream& out, const Controls& controls) {
  return out << controls.client << " at the client, " << controls.backend << " at the backend";
}

Controls controls_of(const Stream& client, unsigned backend_port) {
  const Finished ss = run_program({"ss", "-tinH", "state", "established"});
  std::istringstream lines(ss.out);
  Controls out;
  for (std::string line, info; std::getline(lines, line) && std::getline(lines, info);) {
    std::istringstream words(line);
    std::string queue, local, peer, control;
    words >> queue >> queue >> local >> peer;
    std::istringstream(info) >> control;
    if (peer == client.local_address()) out.client = control;
    if (peer == fmt::format("127.0.0.1:{}", backend_port)) out.backend = control;
  }
  return out;
}

/// A session that has been served. Once it is gone the next one is alone again.
Controls controls_of_a_session(Operated& operated) {
  Stream client = operated.connect();
  REQUIRE(client.echoes("one"));
  return controls_of(client, operated.backend().port());
}

/// Of this network; false when it cannot be had.
bool set_system(const std::string& name) {
  std::ofstream("/proc/sys/net/ipv4/tcp_congestion_control") << name;
  return weir::system_congestion_control() == name;
}

}  // namespace

TEST_CASE(
    "clients and backends are spoken to with the congestion control that is configured, from the next "
    "session on") {
  SKIP_UNLESS(PrivateNetwork::possible(), kCannot);
  const PrivateNetwork network;
  const std::string other = weir::system_congestion_control();
  SKIP_UNLESS(other != "reno", "the kernel has none but reno");
  SimpleConfig config;
  config.listener = fmt::format("congestion_control = \"{}\"", other);
  config.pool = "congestion_control = \"reno\"";
  Operated operated(echoing(), config);
  CHECK(controls_of_a_session(operated) == Controls{other, "reno"});
  operated.config.listener = "congestion_control = \"reno\"";
  operated.config.pool = fmt::format("congestion_control = \"{}\"", other);
  const Finished reloaded = operated.reload();
  CHECK(reloaded.status == 0);
  CHECK_THAT(reloaded.out, Catch::Contains(fmt::format("listener web congestion_control {}→reno", other)));
  CHECK(controls_of_a_session(operated) == Controls{"reno", other});
}

TEST_CASE("to this host itself sessions have reno where the system's congestion control paces") {
  SKIP_UNLESS(PrivateNetwork::possible(), kCannot);
  const PrivateNetwork network;
  SKIP_UNLESS(set_system("bbr"), "the kernel has no bbr");
  Operated operated(echoing());
  CHECK(controls_of_a_session(operated) == Controls{"reno", "reno"});
  // At a wildcard others may come, too.
  const std::string port = operated.address().substr(operated.address().rfind(':'));
  operated.config.bind = "0.0.0.0" + port;
  REQUIRE(operated.reload().status == 0);
  CHECK(controls_of_a_session(operated) == Controls{"bbr", "reno"});
}

TEST_CASE("where the system's congestion control does not pace, sessions have it") {
  SKIP_UNLESS(PrivateNetwork::possible(), kCannot);
  const PrivateNetwork network;
  SKIP_UNLESS(set_system("cubic"), "the kernel has no cubic");
  Operated operated(echoing());
  CHECK(controls_of_a_session(operated) == Controls{"cubic", "cubic"});
}
