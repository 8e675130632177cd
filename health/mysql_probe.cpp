#include <fmt/format.h>

#include <algorithm>

#include "health/server_words.h"
#include "health/talk.h"

namespace weir {
namespace {

// https://mariadb.com/kb/en/connection/
constexpr std::size_t kHeader = 4;  ///< three bytes of length, a sequence number
constexpr std::size_t kMaxPacket = 16'384;
constexpr int kMaxPackets = 16;
constexpr std::uint32_t kProtocol41 = 0x200, kSecureConnection = 0x8000, kPluginAuth = 0x8'0000;
constexpr char kUtf8 = 33;
constexpr std::string_view kQuit("\1\0\0\0\1", 5);

/// Errors which only say that we may not, and as what: the server is there for others.
constexpr int kOnlyUs[] = {
    1045,  // access denied
    1251,  // the user's way of authentication asks for more of a client
    1698,  // access denied, no password was used
    1862,  // the password has expired
    3118,  // the account is locked
    3159,  // TLS is required
    4151,  // the account is locked (MariaDB)
};

std::uint32_t number_in(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

std::string number(std::uint32_t value, std::size_t bytes) {
  std::string out;
  for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value & 0xFF);
  return out;
}

/// Logs in as `user`, without a password, and says COM_QUIT: a connection that ends before it has answered
/// the greeting is counted against its host, and too many of them block it (max_connect_errors).
///   greeting -> HandshakeResponse -> OK: COM_QUIT
///                                 -> AuthSwitchRequest: an empty password -> OK, or access denied
///   an error in place of the greeting: its message is the reason
class MysqlTalk final : public Talk {
 public:
  explicit MysqlTalk(const ProbeConfig& config) : user_(config.user) {}

  Heard begin(std::string&) override { return {}; }

  Heard hear(std::string_view bytes, std::string& words) override {
    bytes_ += bytes;
    while (bytes_.size() > kHeader) {
      const std::size_t length = number_in(std::string_view(bytes_).substr(0, 3));
      if (length == 0 || length > kMaxPacket) return foreign();
      // Nothing else begins a packet: of another protocol no more needs to be seen.
      if (!greeted_ && bytes_[kHeader] != 10 && bytes_[kHeader] != '\xff') return foreign();
      if (bytes_.size() < kHeader + length) return {};
      if (++packets_ > kMaxPackets) return Heard::failed("a greeting without an end");
      const std::string packet = bytes_.substr(kHeader, length);
      const auto sequence = static_cast<std::uint8_t>(bytes_[3] + 1);
      bytes_.erase(0, kHeader + length);
      Heard heard = judge(packet, sequence, words);
      if (heard.state != Heard::State::More) return heard;
    }
    return {};
  }

  Heard hear_end() override {
    return Heard::failed(fmt::format("closed by the backend {}, got {}",
                                     greeted_ ? "after its greeting" : "before its greeting",
                                     shown_start(bytes_)));
  }

 private:
  Heard foreign() const {
    return Heard::failed(fmt::format("this is not MySQL or MariaDB, got {}", shown_start(bytes_)));
  }

  Heard judge(std::string_view packet, std::uint8_t sequence, std::string& words) {
    const char kind = packet[0];
    if (kind == '\xff') return refused(packet);
    if (!greeted_) {
      greeted_ = true;
      say(handshake_response(), sequence, words);
    } else if (kind == '\0') {
      words += kQuit;
      return Heard::passed();
    } else if (kind == '\xfe') {
      // Of an empty password these two want to see the end.
      const bool sha2 =
          packet.substr(1).starts_with("caching_sha2") || packet.substr(1).starts_with("sha256");
      say(sha2 ? std::string(1, '\0') : "", sequence, words);
    } else if (kind != 1) {  // 1 = more to authenticate with: it has a say of its own next
      return Heard::failed("an answer that cannot come here");
    }
    return {};
  }

  static void say(const std::string& packet, std::uint8_t sequence, std::string& words) {
    words += number(static_cast<std::uint32_t>(packet.size()), 3) + static_cast<char>(sequence) + packet;
  }

  std::string handshake_response() const {
    return number(kProtocol41 | kSecureConnection | kPluginAuth, 4) + number(kMaxPacket, 4) + kUtf8 +
           std::string(23, '\0') + user_ + '\0' + '\0' + "mysql_native_password" + '\0';
  }

  Heard refused(std::string_view packet) const {
    const auto code = static_cast<int>(number_in(packet.substr(1, 2)));
    std::string_view text = packet.substr(std::min<std::size_t>(3, packet.size()));
    if (text.starts_with('#')) text.remove_prefix(std::min<std::size_t>(6, text.size()));
    if (greeted_ && std::ranges::find(kOnlyUs, code) != std::end(kOnlyUs)) return Heard::passed();
    return Heard::failed(fmt::format("{} ({})", server_words(text), code));
  }

  const std::string& user_;
  std::string bytes_;  ///< of a packet that is not whole yet
  int packets_ = 0;
  bool greeted_ = false;
};

}  // namespace

std::unique_ptr<Talk> make_mysql_talk(const ProbeConfig& config) {
  return std::make_unique<MysqlTalk>(config);
}

}  // namespace weir
