#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/cli/client.h"
#include "lb/cli/commands.h"
#include "lb/cli/render.h"

namespace weir {

// What the commands have in common: how they say what is wrong, and how they talk to the daemon.

/// A line on stderr.
void complain(std::string_view text);
/// The same, and the exit status for it.
int usage(std::string_view text);
/// On stdout. Whether it has been written is asked once, when the command has ended.
void print(std::string_view text);

AdminClient client_of(const CommonOptions& common);

/// Why the daemon did not do what was asked, in a line, and the exit status for it; of an answer that is not
/// 200.
std::string complaint_in(const AdminReply& reply);
int exit_status_in(const AdminReply& reply);

/// Nothing when it is not POOL/BACKEND.
std::optional<std::vector<std::string>> split_target(const std::string& target);
int not_a_target(const std::string& target);

/// A request's body, and what is said along with it.
nlohmann::ordered_json with(const RemarkOptions& remark, nlohmann::ordered_json body);
/// A request's body; nothing for an empty object.
std::string dumped(const nlohmann::ordered_json& body);

/// One exchange with the daemon: the body when it did what was asked, else the exit status, with the reason
/// said (unless that is to be quiet).
class Exchange {
 public:
  Exchange(const CommonOptions& common, const std::string& method, const std::vector<std::string>& path,
           const AdminClient::Query& query = {}, const std::string& body = "");

  bool failed() const { return failure_ != 0; }
  int exit_status() const { return failure_; }
  bool unknown() const { return unknown_; }
  /// Why it failed, in a line.
  const std::string& complaint() const { return complaint_; }
  const std::string& body() const { return body_; }
  void set_body(std::string body) { body_ = std::move(body); }

 private:
  void refused(const AdminReply& reply, bool quiet);

  std::string body_;
  std::string complaint_;
  int failure_ = 0;
  bool unknown_ = false;
};

template <class Render>
int show(const CommonOptions& common, const Exchange& exchange, Render render) {
  if (exchange.failed()) return exchange.exit_status();
  for (const auto& warning : warnings_of(exchange.body())) complain(warning);
  print(common.json ? exchange.body() : render(exchange.body()));
  return 0;
}

}  // namespace weir
