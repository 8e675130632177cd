#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/address.h"
#include "lb/base/duration.h"
#include "lb/net/loop.h"
#include "lb/net/timer.h"

struct ares_addrinfo;

namespace weir {

enum class AddressFamily : std::uint8_t { Any, V4, V6 };

/// What a question has brought. Either addresses, or why there are none.
struct NameAnswer {
  std::vector<Address> addresses;  ///< port 0; in the order to try them in (RFC 6724); each one once
  /// Until when they are good, counted from the answer. Nothing: they did not come from a name server but
  /// from this host's own file, and are good until that changes.
  std::optional<Millis> ttl;
  std::string failure;       ///< why there are none, as words for the operator; empty when there are
  bool none_exists = false;  ///< the name server's own word: there is no address (of this family)
};

/// What names are looked up in. Tests hand their own.
struct ResolverSettings {
  std::string resolv_conf = "/etc/resolv.conf";
  std::uint16_t port = 53;  ///< of the name servers
};

/// Asks for the addresses of host names: this host's file (/etc/hosts) first, then the name servers of
/// resolv.conf, whose search list and `ndots` hold too. c-ares on the loop it was given: no thread, nothing
/// that blocks, any number of questions at once. A question that none of n servers answers fails after n
/// × 10.5 s.
class Resolver {
 public:
  using Done = std::function<void(NameAnswer)>;

  explicit Resolver(Loop& loop, ResolverSettings settings = {});
  /// At once. What is still open is answered to nobody.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// `done` is called once, never from within this call.
  void ask(const std::string& host, AddressFamily family, Done done);

  /// Whether /etc/hosts or resolv.conf has been changed or replaced since the last call (the first call:
  /// since the start): what was answered before may be wrong. Questions that are asked from now on, and those
  /// that are open, go by the new ones.
  bool files_changed();

 private:
  struct Channel;
  struct Question;
  class Socket;
  /// Which version of a file it is.
  struct Version {
    std::uint64_t device = 0, inode = 0;
    std::int64_t modified_ns = 0, bytes = -1;
    bool regular = false;  ///< reading it cannot block
    friend bool operator==(const Version&, const Version&) = default;
  };

  static Version version_of(const char* path);
  void open_channels();
  void begin(std::unique_ptr<Question> question);
  static void on_answer(void* question, int status, int timeouts, ares_addrinfo* found);
  std::optional<NameAnswer> look_in_hosts(const Question& question);
  void finish(Question& question, NameAnswer answer);
  static void on_socket(void* resolver, int fd, int readable, int writable);
  void on_events(int fd, std::uint32_t seen);
  void on_tick();

  Loop& loop_;
  const ResolverSettings settings_;
  Version hosts_version_;
  Version resolv_conf_version_;
  std::unique_ptr<Channel> hosts_;    ///< looks in /etc/hosts and nowhere else
  std::unique_ptr<Channel> servers_;  ///< null until the first question, and after a failure to open it
  std::string no_channel_;            ///< why there is none
  std::vector<std::unique_ptr<Question>> again_;    ///< of the channel that is being closed
  std::map<int, std::unique_ptr<Socket>> sockets_;  ///< by number; used again, never disposed of: an event
                                                    ///< for one may be in the batch that closes it
  const Question* asking_ = nullptr;                ///< the call that asks it has not returned
  Timer tick_;  ///< runs while questions are open: c-ares then looks for those that have waited too long
  std::size_t open_ = 0;
  bool ending_ = false;
  std::shared_ptr<bool> alive_;  ///< false once this is gone: answers are posted
};

}  // namespace weir
