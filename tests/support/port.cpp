#include "tests/support/port.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <filesystem>
#include <random>
#include <stdexcept>

namespace weir::test {
namespace {

constexpr int kFirst = 10'000;
constexpr int kLast = 30'000;

bool can_listen(const std::string& text) {
  const Address address = to_address(text);
  const Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return ::bind(fd.get(), address.data(), address.size()) == 0 && ::listen(fd.get(), 1) == 0;
}

}  // namespace

FreePort::FreePort() {
  const auto folder = std::filesystem::temp_directory_path() / "weir-test-ports";
  std::filesystem::create_directories(folder);
  std::random_device random;
  std::uniform_int_distribution<int> distribution(kFirst, kLast);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int candidate = distribution(random);
    Fd lock(::open((folder / std::to_string(candidate)).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666));
    if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (!can_listen(fmt::format("0.0.0.0:{}", candidate)) || !can_listen(fmt::format("[::]:{}", candidate)))
      continue;
    number_ = static_cast<std::uint16_t>(candidate);
    lock_ = std::move(lock);
    return;
  }
  throw std::runtime_error("no free port found");
}

Address to_address(const std::string& text) {
  const auto address =
      text.starts_with("unix:") ? Address::parse_unix(text.substr(5)) : Address::parse_ip_port(text);
  if (!address) throw std::runtime_error(text + ": " + address.error().message);
  return *address;
}

Address client_source(std::size_t n) {
  return to_address(fmt::format("127.0.0.{}:0", 2 + n % 64));
}

}  // namespace weir::test
