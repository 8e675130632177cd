#include "lb/cli/exchange.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "lb/cli/exit_status.h"

namespace weir {

using Json = nlohmann::ordered_json;

namespace {

/// An object; empty where there is none.
Json error_in(const AdminReply& reply) {
  const auto json = Json::parse(reply.body, nullptr, false);
  const auto error = json.is_object() ? json.value("error", Json::object()) : Json::object();
  return error.is_object() ? error : Json::object();
}

}  // namespace

void complain(std::string_view text) {
  fmt::print(stderr, "weir: {}\n", text);
}

int usage(std::string_view text) {
  complain(text);
  return kExitUsage;
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

AdminClient client_of(const CommonOptions& common) {
  return {admin_socket(common.socket), common.patience.value_or(kAnswerPatience)};
}

std::optional<std::vector<std::string>> split_target(const std::string& target) {
  const auto slash = target.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == target.size()) return std::nullopt;
  return std::vector{target.substr(0, slash), target.substr(slash + 1)};
}

int not_a_target(const std::string& target) {
  return usage(fmt::format("\"{}\" is not POOL/BACKEND, as \"web/web1\" or \"web/*\"", target));
}

nlohmann::ordered_json with(const RemarkOptions& remark, nlohmann::ordered_json body) {
  if (!remark.comment.empty()) body["comment"] = remark.comment;
  if (remark.lasts) body["for_ms"] = remark.lasts->count();
  return body;
}

std::string dumped(const Json& body) {
  return body.empty() ? "" : body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Exchange::Exchange(const CommonOptions& common, const std::string& method,
                   const std::vector<std::string>& path, const AdminClient::Query& query,
                   const std::string& body) {
  const AdminClient client = client_of(common);
  const auto reply = client.request(method, path, query, body);
  if (!reply) {
    complaint_ = reply.error().message;
    failure_ = kExitNoDaemon;
    if (!common.quiet) complain(complaint_);
  } else if (reply->status != 200) {
    refused(*reply, common.quiet);
    unknown_ = reply->status == 404;
  } else {
    body_ = reply->body;
  }
}

std::string complaint_in(const AdminReply& reply) {
  const auto error = error_in(reply);
  return error.contains("message")
             ? error.value("message", "")
             : fmt::format("the daemon answered {} and nothing that this weir understands", reply.status);
}

int exit_status_in(const AdminReply& reply) {
  const auto error = error_in(reply);
  return error.contains("message") ? exit_status_of(error.value("code", "")) : kExitFailed;
}

void Exchange::refused(const AdminReply& reply, bool quiet) {
  const auto error = error_in(reply);
  complaint_ = complaint_in(reply);
  failure_ = exit_status_in(reply);
  if (quiet) return;
  complain(complaint_);
  if (!error.contains("faults") || !error["faults"].is_array()) return;
  for (const auto& fault : error["faults"])
    if (fault.is_string()) fmt::print(stderr, "{}\n", fault.get<std::string>());
}

int exit_status_of(const std::string& code) {
  if (code == "usage") return kExitUsage;
  if (code == "unknown") return kExitUnknownName;
  return kExitFailed;
}

}  // namespace weir
