#include "tests/support/fake_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace weir::test {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeAaaa = 28;

void put16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8U);
  out += static_cast<char>(value & 0xffU);
}

unsigned byte_at(const std::string& text, std::size_t at) {
  return static_cast<unsigned char>(text.at(at));
}

std::string bytes_of(const std::string& address, int family) {
  unsigned char bytes[16];
  inet_pton(family, address.c_str(), bytes);
  return {reinterpret_cast<char*>(bytes), family == AF_INET ? 4U : 16U};
}

}  // namespace

FakeDns::FakeDns(std::uint16_t port)
    : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(port);
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  auto* const address = reinterpret_cast<sockaddr*>(&own);
  if (::bind(socket_.get(), address, size) != 0 || ::getsockname(socket_.get(), address, &size) != 0)
    throw std::system_error(errno, std::generic_category(), "FakeDns");
  port_ = ntohs(own.sin_port);
  thread_ = std::thread([this] { serve(); });
}

FakeDns::~FakeDns() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(stop_.get(), &one, sizeof one));
  thread_.join();
}

void FakeDns::set(const std::string& name, int family, DnsRecord record) {
  const std::lock_guard lock(mutex_);
  records_[{name, family}] = std::move(record);
}

void FakeDns::set(const std::string& name, DnsRecord v4) {
  const DnsRecord v6{.addresses = {}, .ttl = v4.ttl, .rcode = v4.rcode, .silent = v4.silent};
  set(name, AF_INET6, v6);
  set(name, AF_INET, std::move(v4));
}

std::size_t FakeDns::questions(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = questions_.find(name);
  return found == questions_.end() ? 0 : found->second;
}

void FakeDns::serve() {
  while (true) {
    pollfd ready[] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR) return;
    if (ready[1].revents != 0) return;
    std::string question(1500, '\0');
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const auto got = ::recvfrom(socket_.get(), question.data(), question.size(), 0,
                                reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= static_cast<ssize_t>(kHeader)) continue;
    question.resize(static_cast<std::size_t>(got));
    const std::string reply = answer(question);
    if (!reply.empty())
      ::sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

std::string FakeDns::answer(const std::string& question) {
  std::string name;
  std::size_t at = kHeader;
  while (const unsigned length = byte_at(question, at)) {
    if (!name.empty()) name += '.';
    name += question.substr(at + 1, length);
    at += length + 1;
  }
  const unsigned type = byte_at(question, at + 1) << 8U | byte_at(question, at + 2);
  const std::size_t end = at + 5;
  const int family = type == kTypeAaaa ? AF_INET6 : AF_INET;
  DnsRecord record{.addresses = {}, .ttl = 0, .rcode = 3, .silent = false};
  {
    const std::lock_guard lock(mutex_);
    ++questions_[name];
    if (const auto found = records_.find({name, family}); found != records_.end()) record = found->second;
  }
  if (record.silent) return "";
  if (type != kTypeA && type != kTypeAaaa) record.addresses.clear();
  std::string reply = question.substr(0, 2);
  put16(reply, 0x8580U | static_cast<unsigned>(record.rcode));  // an answer with authority
  put16(reply, 1);
  put16(reply, static_cast<unsigned>(record.addresses.size()));
  put16(reply, 0);
  put16(reply, 0);
  reply += question.substr(kHeader, end - kHeader);
  for (const std::string& address : record.addresses) {
    put16(reply, 0xc000U | kHeader);  // the name of the question
    put16(reply, type);
    put16(reply, 1);
    put16(reply, record.ttl >> 16U);
    put16(reply, record.ttl & 0xffffU);
    const std::string bytes = bytes_of(address, family);
    put16(reply, static_cast<unsigned>(bytes.size()));
    reply += bytes;
  }
  return reply;
}

}  // namespace weir::test
