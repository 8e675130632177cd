#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "lb/admit/doorway.h"
#include "lb/base/address.h"
#include "lb/base/state.h"
#include "lb/proxy/facts.h"
#include "lb/wire/client_hello.h"

namespace weir {

/// One client at its listener's Door, from the accept until it is known whose backends are to serve it: whom
/// a PROXY header announces, whether the rules and the client's limits let it in, which route its first
/// message takes. Is told of bytes, their end and the time; knows no socket, no loop and no clock, and holds
/// no more than one header or one first message.
class Arrival {
 public:
  using Time = Rate::Time;
  /// A longer name is cut to this once it has been routed by.
  static constexpr std::size_t kMaxName = 255;

  struct Wait {};  ///< for more of the client's bytes
  struct Refused {
    End how;
    std::string why;
  };
  /// The connection ended before its first byte, where a header was due: a look at whether somebody listens.
  struct Silent {};
  struct Admitted {};
  using Answer = std::variant<Wait, Refused, Silent, Admitted>;

  /// `doorway` has a door and a book.
  Arrival(Doorway doorway, const ClientAddress& peer) : doorway_(std::move(doorway)), client_(peer) {}

  /// Before any byte. Each of these answers, when it is not Wait, is the last.
  Answer begin(Time now);
  Answer on_bytes(std::span<const std::byte> bytes, Time now);
  /// What is to be told to the client at once, whatever on_bytes() has answered: bytes of PostgreSQL's
  /// preface, one for each of its requests.
  std::string take_reply() { return std::exchange(reply_, {}); }
  /// The client has finished.
  Answer on_end();
  /// The Door's header_timeout has passed.
  Answer on_timeout();
  /// Too many others have yet to say who they are.
  Refused give_way() const;

  /// The most that on_bytes() takes at once.
  std::size_t room() const;
  /// Whose session it is: announced, or the connection's own.
  const ClientAddress& client() const { return client_; }
  /// It counts as one of its client's sessions.
  bool has_place() const { return facts_ != nullptr && facts_->place; }

  /// Once admitted: what the client has said beyond its PROXY header, and what is known of it (null: nothing
  /// of note). Also of a refused one.
  std::vector<std::byte> take_bytes() { return std::move(bytes_); }
  std::unique_ptr<Facts> take_facts() { return std::move(facts_); }
  /// The client has been told that it may speak TLS (PostgreSQL's SSLRequest): its backend has to be asked
  /// for it before it gets these bytes.
  bool was_promised_tls() const { return was_promised_tls_; }

 private:
  enum class Due : std::uint8_t { Header, PostgresStart, Hello };

  const Door& door() const { return *doorway_.door; }
  Facts& facts();
  Answer read_header(Time now);
  /// Rules and limits; then where to.
  Answer let_in(Time now);
  /// The client's first message, in what has been read.
  Answer read_first_message();
  /// Takes PostgreSQL's requests off the front, and answers them.
  Answer read_postgres_start();
  Answer read_hello();
  /// The client has begun to say what it wants: its silence or its end means nothing good.
  bool has_begun() const { return !bytes_.empty() || was_promised_tls_ || was_refused_gss_; }
  Answer take_route(std::string_view name, std::string_view protocols);

  Doorway doorway_;
  ClientAddress client_;
  std::vector<std::byte> bytes_;  ///< that have been read and are still the client's
  ClientHelloReader hello_;
  std::unique_ptr<Facts> facts_;
  Due due_ = Due::Header;
  bool announced_nobody_ = false;
  bool was_promised_tls_ = false;
  bool was_refused_gss_ = false;
  std::string reply_;
};

}  // namespace weir
