#include "lb/base/roff.h"

#include <catch2/catch.hpp>

using namespace weir;

TEST_CASE("nothing in a text is taken for a request or an escape of roff") {
  CHECK(roff_word("a-b \\ 'c' \"d\" ^~`") == "a\\-b \\e \\(aqc\\(aq \\(dqd\\(dq \\(ha\\(ti\\(ga");
  CHECK(roff_prose(".SH no section") == "\\&.SH no section\n");
  CHECK(roff_literal("a\n.b\n\nc") == ".PP\n.RS 4\n.nf\na\n\\&.b\n\nc\n.fi\n.RE\n");
}

TEST_CASE("each sentence of prose begins a line, and none is over 80 bytes") {
  CHECK(roff_prose("One. Two (three.) four . five") == "One.\nTwo (three.)\nfour . five\n");
  CHECK(roff_prose("") == "");
  std::string words;
  for (int i = 0; i < 100; ++i) words += "four ";
  const std::string prose = roff_prose(words);
  for (std::size_t at = 0; at < prose.size(); at = prose.find('\n', at) + 1)
    CHECK(prose.find('\n', at) - at <= 80);
}
