#include "lb/cli/keys.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

std::vector<KeyPress::Kind> kinds(const std::vector<KeyPress>& keys) {
  std::vector<KeyPress::Kind> out;
  for (const KeyPress& key : keys) out.push_back(key.kind);
  return out;
}

}  // namespace

TEST_CASE("the keys of xterm, the console, tmux and screen are read") {
  using enum KeyPress::Kind;
  KeyReader reader;
  CHECK(kinds(reader.feed("\x1b[A\x1bOB\x1b[5~\x1b[6~")) == std::vector{Up, Down, PageUp, PageDown});
  CHECK(kinds(reader.feed("\x1b[H\x1b[1~\x1bOF\x1b[4~")) == std::vector{Home, Home, End, End});
  CHECK(kinds(reader.feed("\t\r\n\x7f\b")) == std::vector{Tab, Enter, Enter, Erase, Erase});
  CHECK_FALSE(reader.pending());
}

TEST_CASE("a key that comes in parts is one key") {
  const std::string bytes = "\x1b[5~";
  KeyReader reader;
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    CHECK(reader.feed(bytes.substr(i, 1)).empty());
    CHECK(reader.pending());
  }
  CHECK(reader.feed("~") == std::vector{KeyPress{KeyPress::Kind::PageUp}});
  CHECK(reader.feed("\xe4\xb8").empty());
  CHECK(reader.feed("\x96") == std::vector{KeyPress{KeyPress::Kind::Text, "世"}});
}

TEST_CASE("an escape alone is a key once nothing follows it") {
  KeyReader reader;
  CHECK(reader.feed("\x1b").empty());
  CHECK(reader.flush() == std::vector{KeyPress{KeyPress::Kind::Escape}});
  CHECK_FALSE(reader.pending());
  CHECK(reader.feed("\x1bq") ==
        std::vector{KeyPress{KeyPress::Kind::Escape}, KeyPress{KeyPress::Kind::Text, "q"}});
}

TEST_CASE("sequences that mean nothing and bytes that are no characters are swallowed") {
  KeyReader reader;
  CHECK(reader.feed("\x1b[1;5P\x1b[24~\x01\xff\xc3(z").size() == 2);
  CHECK(reader.feed("\x1b[" + std::string(100, '1')).size() <= 100);
  reader.flush();
  CHECK(reader.feed("q") == std::vector{KeyPress{KeyPress::Kind::Text, "q"}});
}
