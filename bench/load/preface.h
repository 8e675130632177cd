#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::load {

/// What stands before a connection's request and is no part of it: nobody echoes it.
enum class Preface : std::uint8_t {
  None,
  Proxy,  ///< a header of the PROXY protocol; a server takes either version, a client sends version 2
  Hello   ///< a TLS ClientHello of a browser's size that asks for kHelloName
};

inline constexpr std::string_view kHelloName = "shop.example.org";

/// What a client sends.
std::string preface_bytes(Preface preface);

/// Reads over it, wherever it is cut. Believes what it reads: its length, if nothing else.
class PrefaceReader {
 public:
  explicit PrefaceReader(Preface preface) : preface_(preface) {}
  /// What is behind it.
  std::string_view behind(std::string_view received);

 private:
  /// From its first byte to its last; 0 = not known yet.
  std::size_t size() const;

  Preface preface_;
  std::string head_;
};

}  // namespace weir::load
