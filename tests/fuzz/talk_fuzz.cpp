// What a backend says to a probe that speaks its protocol. The first byte says which, the rest is said.
#include "health/talk.h"
#include "tests/fuzz/input.h"

using namespace weir;

namespace {

struct Talked {
  Heard heard;
  std::string words;
};

Talked run(MakeTalk make, const ProbeConfig& config, std::string_view said, std::size_t cut) {
  const auto talk = make(config);
  Talked out;
  out.heard = talk->begin(out.words);
  if (out.heard.state == Heard::State::More && cut > 0)
    out.heard = talk->hear(said.substr(0, cut), out.words);
  if (out.heard.state == Heard::State::More && cut < said.size())
    out.heard = talk->hear(said.substr(cut), out.words);
  if (out.heard.state == Heard::State::More) out.heard = talk->hear_end();
  WEIR_CHECK(out.heard.state != Heard::State::More);
  WEIR_CHECK(out.heard.reason.find('\n') == std::string::npos);
  WEIR_CHECK(out.heard.reason.size() < 1'000);
  return out;
}

ProbeConfig config_for(std::uint8_t choice) {
  ProbeConfig config;
  config.host = "weir.example";
  if ((choice & 8) != 0) config.role = choice % 8 == 3 ? "master" : "primary";
  if ((choice & 16) != 0)
    config.steps = {{"", "220 ", ""}, {"EHLO\r\n", "250 ", "500"}, {"QUIT\r\n", "", ""}};
  else
    config.expect = "aab";
  if ((choice & 32) != 0 && config.steps.empty()) config.reject = "ab";
  return config;
}

/// But for what of a foreign protocol is shown: all that had come by then.
std::string_view judgement(const Heard& heard) {
  const std::string_view reason = heard.reason;
  return reason.substr(0, reason.find(", got "));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr MakeTalk kTalks[] = {make_expect_talk, make_postgres_talk, make_mysql_talk, make_redis_talk,
                                 make_smtp_talk};
  const MakeTalk make = kTalks[data[0] % 8 % std::size(kTalks)];
  const ProbeConfig config = config_for(data[0]);
  const fuzz::Exact all(data + 1, size - 1);
  const std::string_view said = text_of(all.bytes());
  const Talked whole = run(make, config, said, said.size());
  // However it is cut, it goes the same way.
  for (std::size_t cut = 0; cut < said.size();
       cut += cut < 32 || said.size() - cut < 8 ? 1 : 1 + said.size() / 16) {
    const Talked other = run(make, config, said, cut);
    WEIR_CHECK(other.heard.state == whole.heard.state && judgement(other.heard) == judgement(whole.heard));
    WEIR_CHECK(other.words == whole.words);
  }
  return 0;
}
