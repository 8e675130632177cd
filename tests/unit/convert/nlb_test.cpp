// What the AWS CLI says of a Network Load Balancer, written for this test, in Weir's words.
#include "tests/unit/convert/converted.h"

using namespace weir;
using Catch::Contains;

namespace {

std::string converted(std::string_view text) {
  return test::converted(text, Foreign::Guess, "nlb.json");
}

constexpr auto kGroups = R"json({"TargetGroups": [
  {"TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/aa", "TargetGroupName": "web",
   "Protocol": "TCP", "Port": 443, "VpcId": "vpc-1", "HealthCheckProtocol": "HTTPS",
   "HealthCheckPort": "8443", "HealthCheckEnabled": true, "HealthCheckIntervalSeconds": 10,
   "HealthCheckTimeoutSeconds": 6, "HealthyThresholdCount": 3, "UnhealthyThresholdCount": 2,
   "HealthCheckPath": "/healthz", "Matcher": {"HttpCode": "200-299,404"}, "LoadBalancerArns": ["x"],
   "TargetType": "ip", "IpAddressType": "ipv4", "NewThing": {"a": 1}},
  {"TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/dns/bb", "TargetGroupName": "dns",
   "Protocol": "UDP", "Port": 53, "TargetType": "ip"},
  {"TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/app/cc", "TargetGroupName": "app",
   "Protocol": "TLS", "Port": 8080, "HealthCheckProtocol": "TCP", "HealthCheckPort": "traffic-port",
   "TargetType": "instance"}
]})json";

constexpr auto kHealth = R"json(
{"TargetHealthDescriptions": [
  {"Target": {"Id": "10.0.0.1", "Port": 443, "AvailabilityZone": "eu-west-1a"}, "HealthCheckPort": "8443",
   "TargetHealth": {"State": "healthy"}},
  {"Target": {"Id": "2001:db8::7", "Port": 444}, "TargetHealth": {"State": "draining"}}]}
{"TargetHealthDescriptions": []}
{"TargetHealthDescriptions": [{"Target": {"Id": "i-0123", "Port": 8080}, "TargetHealth": {"State": "initial"}}]})json";

constexpr auto kListeners = R"json({"Listeners": [
  {"ListenerArn": "arn:aws:elasticloadbalancing:eu-west-1:1:listener/net/front/l/1", "LoadBalancerArn": "lb",
   "Port": 443, "Protocol": "TCP", "DefaultActions": [{"Type": "forward",
   "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/aa"}]},
  {"ListenerArn": "arn:aws:elasticloadbalancing:eu-west-1:1:listener/net/front/l/2", "LoadBalancerArn": "lb",
   "Port": 8080, "Protocol": "TLS", "SslPolicy": "ELBSecurityPolicy-TLS13", "AlpnPolicy": ["None"],
   "Certificates": [{"CertificateArn": "c"}], "DefaultActions": [{"Type": "forward", "ForwardConfig":
   {"TargetGroups": [{"TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/app/cc", "Weight": 1},
    {"TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/aa", "Weight": 9}]}}]},
  {"ListenerArn": "arn:aws:elasticloadbalancing:eu-west-1:1:listener/net/front/l/3", "Port": 53,
   "Protocol": "UDP", "DefaultActions": [{"Type": "forward",
   "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/dns/bb"}]}]}
{"LoadBalancers": [{"LoadBalancerArn": "lb", "IpAddressType": "dualstack"}]})json";

const std::string kAll = std::string(kGroups) + kHealth + kListeners;

}  // namespace

TEST_CASE("an NLB's target groups become pools, their targets backends, their health checks probes") {
  const std::string out = converted(kAll);
  CHECK_THAT(out, Contains("[[pool]]\nname = \"web\"\n"));
  for (const char* line :
       {"probe         = \"http\"", "https         = true", "path          = \"/healthz\"",
        "status        = \"200-299,404\"", "port          = 8443", "interval      = \"10s\"",
        "timeout       = \"6s\"", "rise          = 3", "fall          = 2", "address = \"10.0.0.1:443\"",
        "address = \"[2001:db8::7]:444\"\nadmin   = \"drained\"",
        "address = \"i-0123.eu-west-1.compute.internal:8080\"", "on_all_down     = \"try_all\"",
        "idle_timeout    = \"350s\""})
    CHECK_THAT(out, Contains(line));
}

TEST_CASE("an NLB's listeners are at the load balancer's ports") {
  const std::string out = converted(kAll);
  CHECK_THAT(out, Contains("name = \"front-443\"\nbind = [\"0.0.0.0:443\", \"[::]:443\"]\npool = \"web\""));
  CHECK_THAT(out, Contains("name = \"front-8080\"\n") && Contains("pool = \"app\""));
}

TEST_CASE("each field of an NLB without an equal is a comment that says why, or what instead") {
  const std::string out = converted(kAll);
  for (const char* comment :
       {"# nlb.json: web: VpcId = \"vpc-1\": Weir serves in the network of the host",
        "# nlb.json: web: IpAddressType = \"ipv4\":",
        "# nlb.json: web: NewThing = {\"a\":1}: it has no equal",
        "# nlb.json: 10.0.0.1: AvailabilityZone = \"eu-west-1a\":", "# nlb.json: i-0123: an instance",
        "# nlb.json: dns: Protocol = \"UDP\": left out", "the UDP listener at port 53: left out",
        "# nlb.json: front-8080: Certificates =", "front-8080: SslPolicy =", "front-8080: AlpnPolicy =",
        "# nlb.json: front-8080: it forwards to 2 groups", "# nlb.json: app: Protocol = \"TLS\""})
    CHECK_THAT(out, Contains(comment));
  CHECK_THAT(out, !Contains("name = \"dns\""));
}

TEST_CASE("an NLB's attributes, of each group in their order or by its ARN") {
  const std::string group =
      R"({"TargetGroups": [{"TargetGroupArn": "A", "TargetGroupName": "g", "Protocol": "TCP", "Port": 80,
      "TargetType": "ip", "HealthCheckEnabled": false}]}
      {"TargetGroupArn": "B", "TargetHealthDescriptions": [{"Target": {"Id": "10.0.0.9"}}]}
      {"TargetGroupArn": "A", "TargetHealthDescriptions": [{"Target": {"Id": "10.0.0.1"}}]})";
  const std::string out = converted(group + R"({"Attributes": [
      {"Key": "stickiness.enabled", "Value": "true"}, {"Key": "stickiness.type", "Value": "source_ip"},
      {"Key": "proxy_protocol_v2.enabled", "Value": "true"},
      {"Key": "target_health_state.unhealthy.connection_termination.enabled", "Value": "false"},
      {"Key": "deregistration_delay.timeout_seconds", "Value": "300"}]})");
  for (const char* part : {"balance         = \"source_hash\"", "send_proxy      = \"v2\"",
                           "on_backend_down = \"leave\"", "probe = \"none\"", "address = \"10.0.0.1:80\"",
                           "bind = \"0.0.0.0:80\"", "aws elbv2 describe-listeners",
                           "# nlb.json: g: deregistration_delay.timeout_seconds = \"300\": it is given when "
                           "a backend is taken out"})
    CHECK_THAT(out, Contains(part));
  CHECK_THAT(out, !Contains("10.0.0.9") && !Contains("stickiness"));
}

TEST_CASE("who sees whose address behind an NLB, and who may come in, is said") {
  const std::string out =
      converted(kAll + R"({"LoadBalancers": [{"LoadBalancerArn": "x", "LoadBalancerName": "front",
      "SecurityGroups": ["sg-1"], "Scheme": "internal"}]}
      {"Attributes": [{"Key": "tcp.idle_timeout.seconds", "Value": "600"}]})");
  for (const char* comment :
       {"# nlb.json: web: backends see Weir's address where the load balancer may have kept the client's; "
        "send_proxy = "
        "\"v2\" tells them, where they understand it",
        "# nlb.json: front: SecurityGroups = [\"sg-1\"]: who may come in is listener.allow and deny, or the "
        "host's own packet "
        "filter",
        "# nlb.json: load balancer: tcp.idle_timeout.seconds = \"600\": pool.idle_timeout, here 350s"})
    CHECK_THAT(out, Contains(comment));
}

TEST_CASE("what is no description of an NLB is an error, whatever it is") {
  const auto fault = [](std::string_view text) {
    const auto out = convert_config(text, "nlb.json", Foreign::Nlb);
    return out ? "" : out.error().message;
  };
  CHECK_THAT(fault("{"), Contains("nlb.json: is not the JSON of aws elbv2"));
  CHECK_THAT(fault("[1, 2]"), Contains("no target group for TCP"));
  CHECK_THAT(fault(""), Contains("no target group for TCP"));
  CHECK_THAT(fault(kGroups), Contains("no target group for TCP with a target"));
  CHECK_THAT(fault(std::string(100'000, '[')), Contains("nests deeper"));
  // Members of other types than they are.
  CHECK_THAT(fault(R"({"TargetGroups": [1, {"TargetGroupName": [], "Protocol": {}, "Port": "x", "Matcher": 5,
      "HealthCheckPort": -1}], "Listeners": [{"DefaultActions": [{"ForwardConfig": 3}, 4], "Port": []}],
      "TargetHealthDescriptions": [7, {"Target": 8}]})"),
             Contains("no target group"));
}
