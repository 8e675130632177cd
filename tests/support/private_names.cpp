#include "tests/support/private_names.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "tests/support/process.h"

namespace weir::test {
namespace {

void check(int result, const char* what) {
  if (result != 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

PrivateNames::PrivateNames()
    : home_(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC)),
      directory_(std::filesystem::current_path().string()) {
  set_hosts("");
  write_file(dir_.file("resolv.conf"), "nameserver 127.0.0.1\n");
  check(::unshare(CLONE_NEWNS), "unshare");
  check(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount /");
  for (const char* name : {"hosts", "resolv.conf"}) {
    const std::string target = std::string("/etc/") + name;
    check(::mount(dir_.file(name).c_str(), target.c_str(), nullptr, MS_BIND, nullptr), target.c_str());
  }
}

PrivateNames::~PrivateNames() {
  ::setns(home_.get(), CLONE_NEWNS);
  static_cast<void>(!::chdir(directory_.c_str()));
}

bool PrivateNames::possible() {
  return PrivateNetwork::possible() &&
         run_program({"unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"}).status == 0;
}

void PrivateNames::set_hosts(const std::string& lines) const {
  write_file(dir_.file("hosts"), "127.0.0.1 localhost\n" + lines);
}

}  // namespace weir::test
