#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "health/talk.h"

namespace weir::test {

/// How a talk went.
struct Talked {
  Heard::State state = Heard::State::More;
  std::string reason = {};
  std::string words = {};  ///< all that was said

  friend bool operator==(const Talked&, const Talked&) = default;
};

inline Talked outcome(const Heard& heard, std::string words) {
  return {heard.state, heard.reason, std::move(words)};
}

/// A talk in which the backend says these pieces and, with `closed`, then closes.
inline Talked talk(Talk& with, const std::vector<std::string>& pieces, bool closed) {
  std::string words;
  Heard heard = with.begin(words);
  for (const std::string& piece : pieces)
    if (heard.state == Heard::State::More) heard = with.hear(piece, words);
  if (closed && heard.state == Heard::State::More) heard = with.hear_end();
  return outcome(heard, words);
}

/// Of a longer answer not every cut is tried: that would take the square of its length.
constexpr std::size_t kEveryCutUpTo = 2'000;
constexpr std::size_t kCutsApart = 997;

/// The same with `answer` whole, cut in two at each byte, and byte by byte: it must always go the same way.
inline Talked talk_at_every_cut(MakeTalk make, const ProbeConfig& config, const std::string& answer,
                                bool closed = false) {
  const Talked whole = talk(*make(config), {answer}, closed);
  std::vector<std::string> bytes;
  for (const char byte : answer) bytes.emplace_back(1, byte);
  const std::size_t apart = answer.size() > kEveryCutUpTo ? kCutsApart : 1;
  for (std::size_t cut = 0; cut < answer.size(); cut += apart) {
    const Talked in_two = talk(*make(config), {answer.substr(0, cut), answer.substr(cut)}, closed);
    CAPTURE(answer, cut, whole.reason, in_two.reason);
    CHECK(in_two == whole);
  }
  const Talked byte_by_byte = talk(*make(config), bytes, closed);
  CAPTURE(answer, whole.reason, byte_by_byte.reason);
  CHECK(byte_by_byte == whole);
  return whole;
}

inline Talked passes(std::string words) {
  return {Heard::State::Passed, "", std::move(words)};
}
inline Talked fails(std::string reason, std::string words) {
  return {Heard::State::Failed, std::move(reason), std::move(words)};
}
inline Talked goes_on(std::string words) {
  return {Heard::State::More, "", std::move(words)};
}

}  // namespace weir::test

namespace Catch {
template <>
struct StringMaker<weir::test::Talked> {
  static std::string convert(const weir::test::Talked& talked) {
    constexpr const char* kStates[] = {"goes on", "passed", "failed"};
    return std::string(kStates[static_cast<int>(talked.state)]) + " (" + talked.reason + ") having said " +
           Detail::stringify(talked.words);
  }
};
}  // namespace Catch
