#include "tests/support/private_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace weir::test {
namespace {

void must_run(std::vector<std::string> argv) {
  const std::string name = argv.front();
  const Finished finished = run_program(std::move(argv));
  if (finished.status != 0) throw std::runtime_error(name + ": " + finished.err);
}

}  // namespace

PrivateNetwork::PrivateNetwork() : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (::unshare(CLONE_NEWNET) != 0) throw std::system_error(errno, std::generic_category(), "unshare");
  must_run({"ip", "link", "set", "lo", "up"});
}

PrivateNetwork::~PrivateNetwork() {
  ::setns(home_.get(), CLONE_NEWNET);
}

bool PrivateNetwork::possible() {
  if (::geteuid() != 0 || !have_program("nft") || !have_program("ip") || !have_program("unshare"))
    return false;
  return run_program({"unshare", "-n", "nft", "add", "table", "inet", "weir"}).status == 0;
}

void PrivateNetwork::cut_port(unsigned port) const {
  must_run(
      {"nft",
       fmt::format("add table inet weir; add chain inet weir cut {{ type filter hook input priority 0; }}; "
                   "add rule inet weir cut tcp dport {0} drop; add rule inet weir cut tcp sport {0} drop",
                   port)});
}

void PrivateNetwork::mend() const {
  must_run({"nft", "delete table inet weir"});
}

void PrivateNetwork::redirect_port(unsigned from, unsigned to) const {
  must_run({"nft", fmt::format("add table inet weir_nat; add chain inet weir_nat out {{ type nat hook output "
                               "priority -100; }}; add rule inet weir_nat out tcp dport {} redirect to :{}",
                               from, to)});
}

void PrivateNetwork::add_address(const std::string& ip) const {
  // An IPv6 address that the kernel still looks for elsewhere cannot be bound.
  if (ip.find(':') != std::string::npos) return must_run({"ip", "address", "add", ip, "dev", "lo", "nodad"});
  must_run({"ip", "address", "add", ip, "dev", "lo"});
}

void PrivateNetwork::limit_source_ports(const std::string& range) const {
  write_file("/proc/sys/net/ipv4/ip_local_port_range", range);
}

}  // namespace weir::test
