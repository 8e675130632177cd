#include "lb/admit/routes.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "lb/base/address.h"

namespace weir {
namespace {

constexpr std::size_t kMaxNameBytes = 253;  // RFC 1035, 2.3.4, in text
constexpr std::size_t kMaxLabelBytes = 63;

bool is_address(const std::string& name) {
  in6_addr ip;
  return inet_pton(AF_INET, name.c_str(), &ip) == 1 || inet_pton(AF_INET6, name.c_str(), &ip) == 1;
}

bool has_empty_label(std::string_view name) {
  return name.empty() || name.front() == '.' || name.back() == '.' ||
         name.find("..") != std::string_view::npos;
}

std::string_view without_last_dot(std::string_view name) {
  return name.substr(0, name.size() - (name.ends_with('.') ? 1 : 0));
}

/// In the form that patterns have; "" when it is no host's.
std::string plain_name(std::string_view sent) {
  const std::string_view name = without_last_dot(sent);
  if (name.size() > kMaxNameBytes || has_empty_label(name)) return {};
  std::string plain = lower_host(name);
  // A colon: an IPv6 address in whatever form.
  return is_address(plain) || plain.find(':') != std::string::npos ? std::string() : plain;
}

std::string_view fault_of_labels(std::string_view labels) {
  if (has_empty_label(labels)) return "has an empty label";
  for (std::size_t at = 0; at < labels.size();) {
    const std::size_t end = std::min(labels.find('.', at), labels.size());
    if (end - at > kMaxLabelBytes) return "has a label over 63 bytes";
    at = end + 1;
  }
  if (labels.find('*') != std::string_view::npos) return "has a * that is not the whole of its first label";
  const bool is_plain = std::ranges::all_of(labels, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  return is_plain ? std::string_view()
                  : "has more than letters, digits, - and _ (what is not ASCII: as xn--…)";
}

}  // namespace

Result<std::string> parse_name_pattern(std::string_view text) {
  std::string pattern = lower_host(without_last_dot(text));
  if (pattern == "*") return pattern;
  const auto wrong = [text](std::string_view why) { return fail(fmt::format("\"{}\" {}", text, why)); };
  if (pattern.empty()) return wrong("is no name");
  if (is_address(pattern)) return wrong("is an address: clients that connect to one send no name");
  if (pattern.size() > kMaxNameBytes) return wrong("is over 253 bytes");
  const bool has_star = pattern.starts_with("*.");
  const auto fault = fault_of_labels(std::string_view(pattern).substr(has_star ? 2 : 0));
  if (!fault.empty()) return wrong(fault);
  return pattern;
}

Routes::Routes(const std::vector<RouteTerms>& routes) {
  for (const RouteTerms& terms : routes) {
    const auto place = static_cast<std::uint32_t>(routes_.size());
    for (const std::string& name : terms.names) {
      if (name == "*")
        parents_[""].push_back(place);
      else if (name.starts_with("*."))
        parents_[name.substr(2)].push_back(place);
      else
        names_[name].push_back(place);
    }
    for (const std::string& protocol : terms.protocols) protocols_[protocol].push_back(place);
    routes_.push_back(
        {!terms.names.empty(), !terms.protocols.empty(), !terms.clients.empty(), NetworkSet(terms.clients)});
  }
}

void Routes::mark(const Index& index, std::string_view key, Marks& marks) {
  const auto found = index.find(key);
  if (found == index.end()) return;
  for (const std::uint32_t place : found->second) marks[place] = true;
}

Routes::Marks Routes::fit_by_name(std::string_view name) const {
  Marks marks(routes_.size());
  const std::string plain = plain_name(name);
  if (plain.empty()) return marks;
  mark(names_, plain, marks);
  mark(parents_, "", marks);
  std::string_view rest = plain;
  for (auto dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
    rest.remove_prefix(dot + 1);
    mark(parents_, rest, marks);
  }
  return marks;
}

Routes::Marks Routes::fit_by_protocol(std::string_view alpn_list) const {
  Marks marks(routes_.size());
  while (!alpn_list.empty()) {
    const std::size_t size = static_cast<std::uint8_t>(alpn_list.front());
    alpn_list.remove_prefix(1);
    if (size > alpn_list.size()) break;
    mark(protocols_, alpn_list.substr(0, size), marks);
    alpn_list.remove_prefix(size);
  }
  return marks;
}

Routes::First Routes::find_first(const ClientAddress& client) const {
  for (std::size_t place = 0; place < routes_.size(); ++place) {
    const Route& route = routes_[place];
    if (route.asks_client && !route.clients.contains(client)) continue;
    if (route.asks_name || route.asks_protocol) return {.needs_hello = true, .route = std::nullopt};
    return {.needs_hello = false, .route = place};
  }
  return {};
}

Routes::Place Routes::find(const ClientAddress& client, std::string_view name,
                           std::string_view alpn_list) const {
  const Marks by_name = fit_by_name(name);
  const Marks by_protocol = fit_by_protocol(alpn_list);
  for (std::size_t place = 0; place < routes_.size(); ++place) {
    const Route& route = routes_[place];
    if (route.asks_name && !by_name[place]) continue;
    if (route.asks_protocol && !by_protocol[place]) continue;
    if (!route.asks_client || route.clients.contains(client)) return place;
  }
  return std::nullopt;
}

}  // namespace weir
