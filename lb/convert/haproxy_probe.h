#pragma once

#include <string>
#include <vector>

#include "lb/convert/haproxy_words.h"

namespace weir::convert::haproxy {

/// The check of a section: its "option …-check", and the rules that belong to it, whichever way round they
/// stand.
class Probe {
 public:
  explicit Probe(const Comments& comments) : comments_(comments) {}

  /// False for an option that is no check.
  bool option(const Line& line);
  /// "tcp-check", "http-check" or "external-check"; those of a section take the place of inherited ones.
  void rule(const Line& line);
  void set_timeout(const Line& line);
  /// [pool.health]; `notes` takes the comments. `over_tls`: the servers are asked by TLS.
  Table health(Table& notes, bool over_tls) const;
  bool has_timeout() const { return !timeout_.empty(); }

 private:
  void http(Table& health, Table& notes) const;
  void http_option(Table& health, Table& notes) const;
  void http_send(const Line& line, Table& health, Table& notes) const;
  void http_expect(const Line& line, Table& health, Table& notes) const;
  void tcp(Table& health, Table& notes) const;
  void external(Table& health, Table& notes) const;
  void user(Table& health, Table& notes) const;

  const Comments& comments_;
  Line kind_;  ///< no words: a check is a connect
  std::vector<Line> rules_;
  std::string timeout_;
};

}  // namespace weir::convert::haproxy
