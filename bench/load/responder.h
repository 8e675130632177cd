#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bench/load/options.h"
#include "bench/load/pattern.h"

namespace weir::load {

struct ServeTotals {
  std::uint64_t accepted = 0;
  std::uint64_t closed = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t requests = 0;       ///< http and answer
  std::uint64_t resets = 0;         ///< connections that ended with an error
  std::uint64_t wrong_streams = 0;  ///< sink --verify: connections with a byte out of place
};

/// What a test server says to what it hears, on one connection.
class Responder {
 public:
  struct Answer {
    std::string_view bytes;  ///< valid until the next call
    bool close = false;      ///< end our side after them
  };

  virtual ~Responder() = default;
  virtual Answer greet() { return {}; }
  virtual Answer answer(std::string_view received) = 0;
};

/// For every mode but Source. `name` is what the http mode answers with.
std::unique_ptr<Responder> make_responder(const ServeOptions& options, std::string_view name,
                                          const Pattern& pattern, ServeTotals& totals);

}  // namespace weir::load
