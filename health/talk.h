#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "health/probe.h"

namespace weir {

/// What a talk has come to.
struct Heard {
  enum class State : std::uint8_t { More, Passed, Failed };

  State state = State::More;
  std::string reason = {};  ///< Failed: one line, in the backend's own words where it has said some

  static Heard passed() { return {State::Passed}; }
  static Heard failed(std::string reason) { return {State::Failed, std::move(reason)}; }
};

/// Our side of one conversation with a backend, in its own protocol. Pure: bytes in, bytes out, and it is
/// all the same how the bytes that come are cut. It holds a bounded part of them, whatever a backend sends.
/// It knows neither socket nor clock: a TalkProbe has those.
///
/// What is to be said goes to the end of `words`. Nothing is called any more once it is over; the words that
/// came with the end are the last ones, and are sent.
class Talk {
 public:
  virtual ~Talk() = default;
  /// There is a connection.
  virtual Heard begin(std::string& words) = 0;
  virtual Heard hear(std::string_view bytes, std::string& words) = 0;
  /// The backend has closed before it was over. Never More.
  virtual Heard hear_end() = 0;
  /// A reset instead of an end would be an entry in the backend's log.
  virtual bool minds_reset() const { return true; }
};

/// Runs a talk over a connection. One that minds a reset gets an end in order: its last words are sent, and
/// the backend has a moment to close.
std::unique_ptr<Probe> make_talk_probe(ProbeLoop& loop, const ProbeInput& input, std::unique_ptr<Talk> talk,
                                       Probe::Done done);

using MakeTalk = std::unique_ptr<Talk> (*)(const ProbeConfig&);
std::unique_ptr<ProbeFactory> make_talk_factory(ProbeLoop& loop, MakeTalk make);

/// The factory of a kind whose probes differ in nothing but what they say.
template <MakeTalk make>
std::unique_ptr<ProbeFactory> make_talk_probes(ProbeLoop& loop) {
  return make_talk_factory(loop, make);
}

// One for each protocol. `config` outlives the talk.
std::unique_ptr<Talk> make_expect_talk(const ProbeConfig& config);
std::unique_ptr<Talk> make_postgres_talk(const ProbeConfig& config);
std::unique_ptr<Talk> make_mysql_talk(const ProbeConfig& config);
std::unique_ptr<Talk> make_redis_talk(const ProbeConfig& config);
std::unique_ptr<Talk> make_smtp_talk(const ProbeConfig& config);

}  // namespace weir
