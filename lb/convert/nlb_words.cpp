#include "lb/convert/nlb_words.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::convert::nlb {

namespace {

struct Reason {
  std::string_view key, why;
};

constexpr Reason kReasons[] = {
    {"VpcId", "Weir serves in the network of the host it runs on"},
    {"LoadBalancerArns", "its listeners name the pool"},
    {"LoadBalancerArn", "one Weir serves all listeners of its file"},
    {"TargetGroupArn", "the pool has a name"},
    {"ListenerArn", "the listener has a name"},
    {"IpAddressType", "the addresses themselves say what they are"},
    {"ProtocolVersion", "Weir passes on bytes"},
    {"Certificates", "Weir does not speak TLS: it passes it on, and the backends answer it"},
    {"SslPolicy", "Weir does not speak TLS: the backends do, by their own policy"},
    {"AlpnPolicy", "Weir does not speak TLS; [[listener.route]] may go by alpn"},
    {"MutualAuthentication", "Weir does not speak TLS"},
    {"TransformRules", "Weir passes on bytes"},
    {"deregistration_delay.timeout_seconds",
     "it is given when a backend is taken out: weir drain POOL/BACKEND --timeout"},
    {"deregistration_delay.connection_termination.enabled",
     "it is given when a backend is taken out: weir drain POOL/BACKEND --then close"},
    {"preserve_client_ip.enabled",
     "backends see Weir's address; send_proxy = \"v2\" tells them the client's, where they understand it"},
    {"load_balancing.cross_zone.enabled", "Weir knows no zones: all backends of the pool are used"},
    {"target_group_health.dns_failover.minimum_healthy_targets.count",
     "/readyz and listener.when_down tell whoever stands before Weir"},
    {"target_group_health.dns_failover.minimum_healthy_targets.percentage",
     "/readyz and listener.when_down tell whoever stands before Weir"},
    {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
     "on_all_down speaks of the last one only"},
    {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
     "on_all_down speaks of the last one only"},
    {"target_health_state.unhealthy.draining_interval_seconds",
     "sessions of a backend that goes down go on (on_backend_down = \"leave\") or end at once (\"close\")"},
    {"AvailabilityZone", "Weir knows no zones"},
    {"AvailabilityZones", "Weir serves in the network of the host it runs on"},
    {"SecurityGroups", "who may come in is listener.allow and deny, or the host's own packet filter"},
    {"Scheme", "bind says which addresses of this host are served; 0.0.0.0 is all of them"},
    {"tcp.idle_timeout.seconds", "pool.idle_timeout, here 350s"},
};

}  // namespace

std::string text_of(const Json& object, std::string_view key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  return found->is_number() || found->is_boolean() ? found->dump() : "";
}

unsigned long long number_of(const Json& object, std::string_view key) {
  const auto text = text_of(object, key);
  constexpr std::size_t kMostDigits = 9;
  if (text.empty() || text.size() > kMostDigits || text.find_first_not_of("0123456789") != text.npos)
    return 0;
  return std::stoull(text);
}

const Json& list_of(const Json& object, std::string_view key) {
  static const Json kNothing = Json::array();
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_array() ? *found : kNothing;
}

std::string shown(const Json& value) {
  constexpr std::size_t kMost = 80;
  auto text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kMost) text = text.substr(0, kMost) + "…";
  return text;
}

std::string address_of(std::string_view ip, std::string_view port) {
  return ip.find(':') != ip.npos ? fmt::format("[{}]:{}", ip, port) : fmt::format("{}:{}", ip, port);
}

std::string part_of_arn(std::string_view arn, std::size_t index) {
  constexpr std::size_t kLast = 5;
  for (std::size_t at = 0; at < index; ++at) {
    const auto colon = arn.find(':');
    if (colon == arn.npos) return "";
    arn.remove_prefix(colon + 1);
  }
  return std::string(index < kLast ? arn.substr(0, arn.find(':')) : arn);
}

std::string_view why_not(std::string_view key) {
  const auto found = std::ranges::find(kReasons, key, &Reason::key);
  return found != std::end(kReasons) ? found->why : "it has no equal";
}

}  // namespace weir::convert::nlb
