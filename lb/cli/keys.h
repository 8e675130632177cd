#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// What somebody has pressed.
struct KeyPress {
  enum class Kind : std::uint8_t {
    Text,  ///< a character: `text`, in UTF-8
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Tab,
    Enter,
    Erase,
    Escape
  };
  Kind kind = Kind::Text;
  std::string text = {};

  friend bool operator==(const KeyPress&, const KeyPress&) = default;
};

/// Keys out of the bytes of a terminal: ECMA-48 sequences as xterm, the Linux console, tmux and screen send
/// them. Sequences that mean nothing here are swallowed as a whole. Pure.
class KeyReader {
 public:
  std::vector<KeyPress> feed(std::string_view bytes);
  /// Something has begun that may be a key of its own (Escape) or more to come.
  bool pending() const { return !begun_.empty(); }
  /// Nothing more has come for a while.
  std::vector<KeyPress> flush();

 private:
  std::string begun_;
};

}  // namespace weir
