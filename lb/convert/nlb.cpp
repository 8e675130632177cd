// AWS's Network Load Balancer, as its command line describes it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>

#include "lb/convert/draft.h"
#include "lb/convert/nlb_words.h"

namespace weir::convert {
namespace nlb {
namespace {

/// The documents of a file, one behind the other, by what they describe.
struct Documents {
  std::vector<Json> groups, listeners, balancers;
  std::vector<Json> health;      ///< whole documents of describe-target-health
  std::vector<Json> attributes;  ///< whole documents of describe-target-group-attributes
  std::vector<Json>
      other_attributes;  ///< of describe-load-balancer-attributes and describe-listener-attributes
};

class Reader {
 public:
  Reader(Documents documents, std::string_view name) : name_(name), documents_(std::move(documents)) {
    for (std::size_t i = 0; i < documents_.groups.size(); ++i) group(i);
    for (const Json& one : documents_.listeners) listener(one);
    if (documents_.listeners.empty()) listeners_of_groups();
    for (const Json& one : documents_.balancers)
      rest(draft_.root, text_of(one, "LoadBalancerName"), one,
           {"LoadBalancerArn", "LoadBalancerName", "IpAddressType", "Type", "State", "CreatedTime", "DNSName",
            "CanonicalHostedZoneId"});
    for (const Json& document : documents_.other_attributes)
      for (const Json& one : list_of(document, "Attributes"))
        note(draft_.root, "load balancer", text_of(one, "Key"), text_of(one, "Value"),
             why_not(text_of(one, "Key")));
  }
  Draft take() { return std::move(draft_); }

 private:
  struct Known {
    std::string arn, pool, port;
  };

  void note(Table& at, std::string_view of, std::string_view key, const Json& value,
            std::string_view why) const {
    at.note(fmt::format("{}: {}: {} = {}: {}", name_, of, key, shown(value), why));
  }

  /// A comment for each member that nothing was made of.
  void rest(Table& at, std::string_view of, const Json& object,
            const std::set<std::string_view>& used) const {
    for (const auto& [key, value] : object.items())
      if (!used.contains(key)) note(at, of, key, value, why_not(key));
  }

  /// Of several documents that do not say whose they are: by the ARN that somebody has added, else by their
  /// order.
  const Json* of_group(const std::vector<Json>& documents, std::size_t index) const {
    const auto arn = text_of(documents_.groups[index], "TargetGroupArn");
    for (const Json& one : documents)
      if (!arn.empty() && text_of(one, "TargetGroupArn") == arn) return &one;
    if (index >= documents.size() || !text_of(documents[index], "TargetGroupArn").empty()) return nullptr;
    return &documents[index];
  }

  void group(std::size_t index) {
    const Json& of = documents_.groups[index];
    Pool pool{name_of(text_of(of, "TargetGroupName")), {}, {}, {}};
    while (std::ranges::find(draft_.pools, pool.name, &Pool::name) != draft_.pools.end()) pool.name += "-2";
    const auto protocol = text_of(of, "Protocol");
    if (protocol == "UDP" || protocol == "QUIC" || protocol == "GENEVE") {
      note(draft_.root, pool.name, "Protocol", of["Protocol"], "left out, for Weir is for TCP");
      return;
    }
    if (protocol != "TCP")
      note(pool.table, pool.name, "Protocol", of.value("Protocol", Json()),
           protocol == "TLS" ? "Weir does not speak TLS: it passes it on"
                             : "Weir is for TCP: what else comes is not served");
    // What it does without being asked.
    pool.table.note(
        fmt::format("{}: {}: flows are spread by their hash there, here by turns", name_, pool.name));
    pool.table.set("on_all_down", quoted_toml("try_all"));
    constexpr unsigned long long kIdleMillis = 350'000;
    pool.table.set("idle_timeout", duration_toml(kIdleMillis));
    pool.table.set("on_backend_down", quoted_toml("close"));
    health(pool, of);
    if (const Json* one = of_group(documents_.attributes, index)) attributes(pool, *one);
    if (!pool.table.has("send_proxy"))
      pool.table.note(fmt::format(
          "{}: {}: backends see Weir's address where the load balancer may have kept the client's; "
          "send_proxy = \"v2\" tells them, where they understand it",
          name_, pool.name));
    if (const Json* one = of_group(documents_.health, index)) targets(pool, of, *one);
    rest(pool.table, pool.name, of,
         {"TargetGroupArn", "TargetGroupName", "Protocol", "Port", "TargetType", "HealthCheckProtocol",
          "HealthCheckPort", "HealthCheckEnabled", "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds",
          "HealthyThresholdCount", "UnhealthyThresholdCount", "HealthCheckPath", "Matcher",
          "LoadBalancerArns"});
    if (pool.backends.empty()) {
      draft_.root.note(
          fmt::format("{}: {}: left out, for no target of it is known that has an address: "
                      "aws elbv2 describe-target-health, in the order of the groups",
                      name_, pool.name));
      return;
    }
    known_.push_back({text_of(of, "TargetGroupArn"), pool.name, text_of(of, "Port")});
    draft_.pools.push_back(std::move(pool));
  }

  void health(Pool& pool, const Json& of) const {
    Table& to = pool.health;
    const auto protocol = text_of(of, "HealthCheckProtocol");
    if (text_of(of, "HealthCheckEnabled") == "false") {
      to.set("probe", quoted_toml("none"));
      return;
    }
    const bool http = protocol == "HTTP" || protocol == "HTTPS";
    to.set("probe", quoted_toml(http ? "http" : "tcp"));
    if (protocol == "HTTPS") to.set("https", "true");
    if (!http && protocol != "TCP" && !protocol.empty())
      note(to, pool.name, "HealthCheckProtocol", of["HealthCheckProtocol"], "probed by tcp");
    if (const auto path = text_of(of, "HealthCheckPath"); http && path.starts_with('/'))
      to.set("path", quoted_toml(path));
    if (const auto codes = text_of(of.value("Matcher", Json::object()), "HttpCode"); http && !codes.empty())
      to.set("status", quoted_toml(codes));
    if (const auto port = text_of(of, "HealthCheckPort"); number_of(of, "HealthCheckPort") > 0)
      to.set("port", port);
    constexpr std::array<std::pair<const char*, const char*>, 2> kTimes{
        {{"HealthCheckIntervalSeconds", "interval"}, {"HealthCheckTimeoutSeconds", "timeout"}}};
    for (const auto& [theirs, ours] : kTimes)
      if (const auto seconds = number_of(of, theirs); seconds > 0)
        to.set(ours, duration_toml(seconds * 1'000));
    if (to.has("interval")) to.set("fast_interval", to.value("interval"));
    constexpr std::array<std::pair<const char*, const char*>, 2> kCounts{
        {{"HealthyThresholdCount", "rise"}, {"UnhealthyThresholdCount", "fall"}}};
    for (const auto& [theirs, ours] : kCounts)
      if (number_of(of, theirs) > 0) to.set(ours, text_of(of, theirs));
  }

  void attributes(Pool& pool, const Json& document) const {
    for (const Json& one : list_of(document, "Attributes")) {
      const auto key = text_of(one, "Key"), value = text_of(one, "Value");
      if (key == "stickiness.enabled") {
        if (value == "true") pool.table.set("balance", quoted_toml("source_hash"));
      } else if (key == "proxy_protocol_v2.enabled") {
        if (value == "true") pool.table.set("send_proxy", quoted_toml("v2"));
      } else if (key == "target_health_state.unhealthy.connection_termination.enabled") {
        pool.table.set("on_backend_down", quoted_toml(value == "false" ? "leave" : "close"));
      } else if (key != "stickiness.type" || value != "source_ip") {
        note(pool.table, pool.name, key, value, why_not(key));
      }
    }
  }

  void targets(Pool& pool, const Json& of, const Json& document) const {
    const auto type = text_of(of, "TargetType");
    for (const Json& one : list_of(document, "TargetHealthDescriptions")) {
      const Json target = one.is_object() ? one.value("Target", Json::object()) : Json::object();
      const auto id = text_of(target, "Id");
      auto port = text_of(target, "Port");
      if (port.empty()) port = text_of(of, "Port");
      Backend backend;
      if (type == "alb" || id.starts_with("arn:") || id.empty()) {
        note(pool.table, pool.name, "Target", target,
             "an Application Load Balancer: write its DNS name and port as a backend's address");
        continue;
      }
      if (type == "instance" || id.starts_with("i-")) {
        const auto region = part_of_arn(text_of(of, "TargetGroupArn"), 3);
        const auto domain = region == "us-east-1" ? "ec2.internal" : region + ".compute.internal";
        backend.table.note(
            fmt::format("{}: {}: an instance: by its resource name, where the subnet has such records; else "
                        "write its address",
                        name_, id));
        backend.table.set("name", quoted_toml(name_of(id + ":" + port)));
        backend.table.set("address", quoted_toml(fmt::format("{}.{}:{}", id, domain, port)));
      } else {
        backend.table.set("address", quoted_toml(address_of(id, port)));
      }
      const Json state = one.value("TargetHealth", Json::object());
      if (text_of(state, "State") == "draining") backend.table.set("admin", quoted_toml("drained"));
      if (target.contains("AvailabilityZone"))
        note(backend.table, id, "AvailabilityZone", target["AvailabilityZone"], why_not("AvailabilityZone"));
      pool.backends.push_back(std::move(backend));
    }
  }

  const Known* known(std::string_view arn) const {
    const auto found = std::ranges::find(known_, arn, &Known::arn);
    return found != known_.end() ? &*found : nullptr;
  }

  /// "net-name-443" out of "arn:…:listener/net/NAME/ID/ID".
  std::string listener_name(const Json& of, std::string_view pool) const {
    const auto arn = part_of_arn(text_of(of, "ListenerArn"), 5);
    const std::string_view path = arn;
    const auto from = path.find("/net/");
    const auto balancer =
        from == path.npos ? pool : path.substr(from + 5, path.find('/', from + 5) - from - 5);
    auto name = name_of(fmt::format("{}-{}", balancer, text_of(of, "Port")));
    while (std::ranges::find(draft_.listeners, name, &Listener::name) != draft_.listeners.end()) name += "-2";
    return name;
  }

  bool dualstack(const Json& listener) const {
    const auto arn = text_of(listener, "LoadBalancerArn");
    return std::ranges::any_of(documents_.balancers, [&](const Json& one) {
      return text_of(one, "LoadBalancerArn") == arn && text_of(one, "IpAddressType").starts_with("dualstack");
    });
  }

  void listener(const Json& of) {
    std::vector<std::string> arns;
    for (const Json& action : list_of(of, "DefaultActions")) {
      if (const auto arn = text_of(action, "TargetGroupArn"); !arn.empty()) arns.push_back(arn);
      const Json config = action.is_object() ? action.value("ForwardConfig", Json::object()) : Json::object();
      for (const Json& one : list_of(config, "TargetGroups"))
        if (const auto arn = text_of(one, "TargetGroupArn"); std::ranges::find(arns, arn) == arns.end())
          arns.push_back(arn);
    }
    std::erase_if(arns, [&](const std::string& arn) { return known(arn) == nullptr; });
    const auto protocol = text_of(of, "Protocol"), port = text_of(of, "Port");
    const bool udp = protocol == "UDP" || protocol == "QUIC";
    if (arns.empty() || udp || number_of(of, "Port") == 0) {
      draft_.root.note(fmt::format("{}: the {} listener at port {}: left out, for {}", name_, protocol, port,
                                   udp ? "Weir is for TCP" : "there is no pool for it"));
      return;
    }
    const Known& pool = *known(arns.front());
    Listener out;
    out.name = listener_name(of, pool.pool);
    out.bind.push_back("0.0.0.0:" + port);
    if (dualstack(of)) out.bind.push_back("[::]:" + port);
    out.pool = pool.pool;
    if (protocol != "TCP")
      note(out.table, out.name, "Protocol", protocol,
           protocol == "TLS" ? "Weir does not speak TLS: it passes it on, and the backends have to answer it"
                             : "Weir is for TCP: what else comes is not served");
    if (arns.size() > 1)
      out.table.note(
          fmt::format("{}: {}: it forwards to {} groups: put their backends into one pool, by weight", name_,
                      out.name, arns.size()));
    rest(out.table, out.name, of, {"ListenerArn", "LoadBalancerArn", "Port", "Protocol", "DefaultActions"});
    draft_.listeners.push_back(std::move(out));
  }

  void listeners_of_groups() {
    std::set<std::string> ports;
    for (const Known& one : known_) {
      if (!ports.insert(one.port).second) {
        draft_.root.note(
            fmt::format("{}: {}: its port has a listener already: it needs one of its own", name_, one.pool));
        continue;
      }
      Listener out;
      out.name = one.pool;
      out.bind.push_back("0.0.0.0:" + one.port);
      out.pool = one.pool;
      out.table.note(fmt::format(
          "{}: {}: at the group's own port, for there is no listener in it: aws elbv2 describe-listeners",
          name_, one.pool));
      draft_.listeners.push_back(std::move(out));
    }
  }

  const std::string name_;
  const Documents documents_;
  Draft draft_;
  std::vector<Known> known_;
};

void add(std::vector<Json>& to, const Json& from) {
  for (const Json& one : from)
    if (one.is_object()) to.push_back(one);
}

/// More than AWS ever says, and little enough for what goes through a value by calling itself.
bool nests_too_deep(std::string_view text) {
  constexpr int kDeepest = 64;
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '[' || c == '{') && ++depth > kDeepest)
      return true;
    else if (!quoted && (c == ']' || c == '}'))
      --depth;
  }
  return false;
}

/// Else they are a load balancer's or a listener's, which have the same form.
bool is_of_a_group(const Json& document) {
  constexpr std::array<std::string_view, 5> kOthers{"access_logs.", "deletion_protection.", "dns_record.",
                                                    "ipv6.", "tcp.idle_timeout."};
  return std::ranges::none_of(list_of(document, "Attributes"), [&](const Json& one) {
    return std::ranges::any_of(
        kOthers, [&](std::string_view begin) { return text_of(one, "Key").starts_with(begin); });
  });
}

Result<Documents> documents_of(std::string_view text, std::string_view name) {
  if (nests_too_deep(text)) return fail(fmt::format("{}: it nests deeper than 64", name));
  Documents out;
  std::istringstream in{std::string(text)};
  while (!(in >> std::ws).eof()) {
    Json document;
    try {
      in >> document;
    } catch (const Json::exception&) {
      return fail(
          fmt::format("{}: is not the JSON of aws elbv2 describe-target-groups, describe-target-health, "
                      "describe-listeners or describe-load-balancers",
                      name));
    }
    add(out.groups, list_of(document, "TargetGroups"));
    add(out.listeners, list_of(document, "Listeners"));
    add(out.balancers, list_of(document, "LoadBalancers"));
    if (!document.is_object()) continue;
    if (document.contains("TargetHealthDescriptions")) out.health.push_back(document);
    if (!document.contains("Attributes")) continue;
    (is_of_a_group(document) ? out.attributes : out.other_attributes).push_back(std::move(document));
  }
  return out;
}

}  // namespace
}  // namespace nlb

Result<Draft> from_nlb(std::string_view text, std::string_view name) {
  auto documents = nlb::documents_of(text, name);
  if (!documents) return tl::unexpected(documents.error());
  return nlb::Reader(std::move(*documents), name).take();
}

}  // namespace weir::convert
