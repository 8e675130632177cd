#include "lb/net/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <sys/stat.h>

#include <algorithm>
#include <climits>

namespace weir {
namespace {

constexpr const char* kHosts = "/etc/hosts";
/// 1.5 + 3 + 6 s for each name server, of which each try asks the next.
constexpr int kFirstTryMs = 1'500;
constexpr int kTries = 3;
/// How exactly a try's time is kept.
constexpr Millis kTick{100};

ares_addrinfo_hints hints_for(AddressFamily family) {
  ares_addrinfo_hints hints{};
  hints.ai_family = family == AddressFamily::V4   ? AF_INET
                    : family == AddressFamily::V6 ? AF_INET6
                                                  : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  return hints;
}

std::string words_for(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
      return "there is no such name";
    case ARES_ENODATA:
      return "the name has no address";
    case ARES_ETIMEOUT:
      return "no name server has answered";
    case ARES_ECONNREFUSED:  // c-ares 1.18 says so of servers that answer SERVFAIL or REFUSED, too
      return "no name server serves it (none listens, or each answers SERVFAIL or REFUSED)";
    default:
      return ares_strerror(status);
  }
}

NameAnswer failure(std::string words, bool none_exists = false) {
  return {.addresses = {}, .ttl = std::nullopt, .failure = std::move(words), .none_exists = none_exists};
}

NameAnswer read(const ares_addrinfo& found, bool from_server) {
  NameAnswer answer;
  int ttl = INT_MAX;
  for (const ares_addrinfo_cname* cname = found.cnames; cname != nullptr; cname = cname->next)
    ttl = std::min(ttl, cname->ttl);
  for (const ares_addrinfo_node* node = found.nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != AF_INET && node->ai_family != AF_INET6) continue;
    Address address(node->ai_addr, node->ai_addrlen);
    address.set_port(0);
    ttl = std::min(ttl, node->ai_ttl);
    if (std::ranges::find(answer.addresses, address) == answer.addresses.end())
      answer.addresses.push_back(address);
  }
  if (answer.addresses.empty()) return failure(words_for(ARES_ENODATA), true);
  if (from_server) answer.ttl = std::chrono::seconds(std::max(ttl, 0));
  return answer;
}

}  // namespace

struct Resolver::Channel {
  explicit Channel(ares_channel opened) : ares(opened) {}
  ~Channel() { ares_destroy(ares); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  ares_channel ares;
};

/// Owned by c-ares while it is open.
struct Resolver::Question {
  Resolver* resolver;
  std::string host;
  AddressFamily family;
  Done done;
};

/// One of c-ares's sockets; it tells of no descriptor, so each has its own.
class Resolver::Socket final : public Watcher {
 public:
  Socket(Resolver& resolver, int fd) : resolver_(resolver), fd_(fd) {}
  bool watched = false;

 private:
  void on_events(std::uint32_t seen) override { resolver_.on_events(fd_, seen); }

  Resolver& resolver_;
  const int fd_;
};

Resolver::Resolver(Loop& loop, ResolverSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      hosts_version_(version_of(kHosts)),
      resolv_conf_version_(version_of(settings_.resolv_conf.c_str())),
      tick_(loop, [this] { on_tick(); }),
      alive_(std::make_shared<bool>(true)) {
  WEIR_CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
}

Resolver::~Resolver() {
  *alive_ = false;
  ending_ = true;
  hosts_.reset();
  servers_.reset();
  ares_library_cleanup();
}

Resolver::Version Resolver::version_of(const char* path) {
  struct stat found {};
  if (stat(path, &found) != 0) return {};
  return {.device = found.st_dev,
          .inode = found.st_ino,
          .modified_ns = found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec,
          .bytes = found.st_size,
          .regular = S_ISREG(found.st_mode)};
}

bool Resolver::files_changed() {
  const Version hosts = version_of(kHosts);
  const Version resolv_conf = version_of(settings_.resolv_conf.c_str());
  if (hosts == hosts_version_ && resolv_conf == resolv_conf_version_) return false;
  hosts_version_ = hosts;
  if (std::exchange(resolv_conf_version_, resolv_conf) == resolv_conf) return true;
  hosts_.reset();
  servers_.reset();  // what it had open is in again_ now
  for (auto& question : std::exchange(again_, {})) begin(std::move(question));
  return true;
}

void Resolver::open_channels() {
  std::string empty = "/dev/null";  // a FIFO, say, would hold up this thread
  std::string path = settings_.resolv_conf;
  char in_hosts[] = "f";
  char at_servers[] = "b";
  ares_options options{};
  options.timeout = kFirstTryMs;
  options.tries = kTries;
  options.udp_port = options.tcp_port = settings_.port;
  options.resolvconf_path = resolv_conf_version_.regular ? path.data() : empty.data();
  options.sock_state_cb = on_socket;
  options.sock_state_cb_data = this;
  constexpr int kGiven = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT |
                         ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS;
  const auto open = [&](char* lookups) -> std::unique_ptr<Channel> {
    options.lookups = lookups;
    ares_channel opened = nullptr;
    const int status = ares_init_options(&opened, &options, kGiven);
    if (status != ARES_SUCCESS) {
      no_channel_ = words_for(status);
      return nullptr;
    }
    return std::make_unique<Channel>(opened);
  };
  if (!hosts_) hosts_ = open(in_hosts);
  if (!servers_) servers_ = open(at_servers);
}

void Resolver::ask(const std::string& host, AddressFamily family, Done done) {
  ++open_;
  if (!tick_.active()) tick_.start(kTick);
  begin(std::make_unique<Question>(Question{this, host, family, std::move(done)}));
}

/// Within the call: it is one open, read and close of a regular file.
std::optional<NameAnswer> Resolver::look_in_hosts(const Question& question) {
  if (!hosts_version_.regular) return std::nullopt;
  std::optional<NameAnswer> answer;
  const ares_addrinfo_hints hints = hints_for(question.family);
  ares_getaddrinfo(
      hosts_->ares, question.host.c_str(), nullptr, &hints,
      [](void* out, int status, int, ares_addrinfo* found) {
        if (status != ARES_SUCCESS) return;
        *static_cast<std::optional<NameAnswer>*>(out) = read(*found, false);
        ares_freeaddrinfo(found);
      },
      &answer);
  return answer && !answer->addresses.empty() ? std::move(answer) : std::nullopt;
}

void Resolver::begin(std::unique_ptr<Question> question) {
  if (!hosts_ || !servers_) open_channels();
  if (!hosts_ || !servers_) return finish(*question, failure(no_channel_));
  if (auto answer = look_in_hosts(*question)) return finish(*question, std::move(*answer));
  const ares_addrinfo_hints hints = hints_for(question->family);
  const std::string host = question->host;
  asking_ = question.get();
  ares_getaddrinfo(servers_->ares, host.c_str(), nullptr, &hints, on_answer, question.release());
  asking_ = nullptr;
}

void Resolver::on_answer(void* asked, int status, int, ares_addrinfo* found) {
  std::unique_ptr<Question> question(static_cast<Question*>(asked));
  Resolver& resolver = *question->resolver;
  if (status == ARES_EDESTRUCTION) {
    if (!resolver.ending_) resolver.again_.push_back(std::move(question));
    return;
  }
  if (status != ARES_SUCCESS)
    return resolver.finish(*question,
                           failure(words_for(status), status == ARES_ENOTFOUND || status == ARES_ENODATA));
  // What is answered within the call has been asked of nobody: localhost.
  NameAnswer answer = read(*found, resolver.asking_ != question.get());
  ares_freeaddrinfo(found);
  resolver.finish(*question, std::move(answer));
}

void Resolver::finish(Question& question, NameAnswer answer) {
  --open_;
  loop_.post([alive = alive_, done = std::move(question.done), answer = std::move(answer)]() mutable {
    if (*alive) done(std::move(answer));
  });
}

void Resolver::on_socket(void* self, int fd, int readable, int writable) {
  Resolver& resolver = *static_cast<Resolver*>(self);
  auto& socket = resolver.sockets_[fd];
  if (!socket) socket = std::make_unique<Socket>(resolver, fd);
  const std::uint32_t interest =
      (readable != 0 ? events::kReadable : 0) | (writable != 0 ? events::kWritable : 0);
  if (interest == 0) {
    if (socket->watched) resolver.loop_.unwatch(fd);
    socket->watched = false;
  } else if (socket->watched) {
    resolver.loop_.change_interest(fd, *socket, interest);
  } else {
    // Where the kernel has no room for it the question waits for its time, and fails.
    socket->watched = resolver.loop_.watch(fd, *socket, interest).has_value();
  }
}

void Resolver::on_events(int fd, std::uint32_t seen) {
  if (!servers_) return;
  constexpr std::uint32_t kOver = events::kError | events::kHangUp;
  const bool readable = (seen & (events::kReadable | kOver)) != 0;
  const bool writable = (seen & events::kWritable) != 0;
  ares_process_fd(servers_->ares, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
}

void Resolver::on_tick() {
  if (servers_) ares_process_fd(servers_->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  if (open_ > 0) tick_.start(kTick);
}

}  // namespace weir
