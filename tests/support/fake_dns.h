#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lb/base/fd.h"

namespace weir::test {

/// What a FakeDns says of one name and one family.
struct DnsRecord {
  std::vector<std::string> addresses = {};  ///< none: the name has no address of this family
  std::uint32_t ttl = 60;                   ///< seconds
  int rcode = 0;                            ///< 2 = SERVFAIL, 3 = no such name
  bool silent = false;                      ///< never answers
};

/// A name server on UDP whose every word the test decides. Names that it does not know do not exist. Serves
/// from a thread of its own; all methods may be called from any thread.
class FakeDns {
 public:
  explicit FakeDns(std::uint16_t port = 0);  ///< of 127.0.0.1; 0 = any
  ~FakeDns();
  FakeDns(const FakeDns&) = delete;
  FakeDns& operator=(const FakeDns&) = delete;

  std::uint16_t port() const { return port_; }
  void set(const std::string& name, int family, DnsRecord record);
  /// Both families: `v4` as given, no IPv6.
  void set(const std::string& name, DnsRecord v4);
  /// Questions for it so far, of both families.
  std::size_t questions(const std::string& name) const;

 private:
  void serve();
  std::string answer(const std::string& question);

  Fd socket_;
  Fd stop_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;  // guards the next two
  std::map<std::pair<std::string, int>, DnsRecord> records_;
  std::map<std::string, std::size_t> questions_;
  std::thread thread_;
};

}  // namespace weir::test
