#pragma once

#include <string>
#include <vector>

#include "lb/convert/haproxy_words.h"

namespace weir::convert::haproxy {

/// "tcp-check expect" and "http-check expect": what a check's answer is compared with.
struct Expectation {
  std::string match, pattern;
  bool negated = false;
};
Expectation expectation_of(const Line& line);

/// "tcp-check connect" and "http-check connect": another port, and TLS.
void read_check_connect(const Line& line, bool http, const Comments& comments, Table& health, Table& notes);

/// What a "tcp-check" sends and expects in turn.
class Steps {
 public:
  explicit Steps(const Comments& comments) : comments_(comments) {}
  void add(const Line& line, Table& health, Table& notes);
  /// As an expect probe; as a connect where nothing is expected. `kind`: the line that asks for the check.
  void write(const Line& kind, Table& health, Table& notes) const;

 private:
  struct Step {
    std::string send, expect;
  };
  void send(std::string_view bytes);
  void expect(const Line& line, Table& notes);

  const Comments& comments_;
  std::vector<Step> steps_;
  bool over_tls_ = false;
};

}  // namespace weir::convert::haproxy
