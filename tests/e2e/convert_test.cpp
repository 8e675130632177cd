// What `weir convert` writes is checked, and serves.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/support/rig.h"
#include "tests/unit/convert/samples.h"

using namespace weir::test;
using Catch::Contains;

TEST_CASE("what was another balancer's configuration passes the check and serves") {
  const TempDir dir;
  const FreePort port;
  const FakeBackend backend(lettered(1)[0]);
  const std::string whose = GENERATE("haproxy", "nginx", "nlb");
  const std::string text =
      whose == "nlb"
          ? fmt::format(
                R"({{"TargetGroups": [{{"TargetGroupArn": "A", "TargetGroupName": "web", "Protocol": "TCP",
                "Port": 80, "TargetType": "ip", "VpcId": "vpc-1", "HealthCheckProtocol": "TCP",
                "HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 10}}]}}
                {{"TargetHealthDescriptions": [{{"Target": {{"Id": "127.0.0.1", "Port": {}}}}}]}}
                {{"Listeners": [{{"ListenerArn": "a:listener/net/front/1/2", "Port": {}, "Protocol": "TCP",
                "DefaultActions": [{{"Type": "forward", "TargetGroupArn": "A"}}]}}]}})",
                backend.address().substr(backend.address().rfind(':') + 1), port.number())
      : whose == "haproxy"
          ? fmt::format(
                "defaults\n mode tcp\n timeout connect 2s\n timeout client 1m\n timeout server 1m\n"
                "frontend in\n bind {}\n default_backend web\n"
                "backend web\n option tcp-check\n server a {} check\n",
                port.v4(), backend.address())
          : fmt::format("stream {{ upstream web {{ server {}; }} server {{ listen {}; proxy_pass web; }} }}",
                        backend.address(), port.v4());
  write_file(dir.file("old.cfg"), text);
  const Finished converted = run_program({weir_binary(), "convert", dir.file("old.cfg")});
  CHECK(converted.status == 0);
  CHECK(converted.err.empty());
  const std::string toml = fmt::format("state_file = \"\"\nadmin.socket = \"\"\n{}", converted.out);
  const Finished check = run_weir({"check", "-c", "{}"}, toml);
  CAPTURE(toml, check.err);
  REQUIRE(check.status == 0);
  const WeirDaemon weir(toml);
  CHECK(one_session(port.v4()) == 'a');
}

TEST_CASE("what is made of configurations as documents and tutorials show them passes the check") {
  const TempDir dir;
  for (const Sample& sample : kSamples) {
    const std::string file = dir.file(std::string(sample.name));
    write_file(file, std::string(sample.text));
    const Finished converted = run_program({weir_binary(), "convert", file});
    INFO(sample.name << "\n" << converted.out);
    CHECK(converted.status == 0);
    const Finished check = run_weir({"check", "-c", "{}"},
                                    fmt::format("state_file = \"\"\nadmin.socket = \"\"\n{}", converted.out));
    INFO(check.err);
    CHECK(check.status == 0);
  }
}

TEST_CASE("a file that is no balancer's is refused, and one that is not there") {
  const TempDir dir;
  write_file(dir.file("x"), "nothing\n");
  const Finished odd = run_program({weir_binary(), "convert", dir.file("x")});
  CHECK(odd.status == 1);
  CHECK_THAT(odd.err, Contains("neither HAProxy's sections") && Contains(dir.file("x")));
  CHECK(run_program({weir_binary(), "convert", dir.file("none")}).status == 1);
  CHECK(run_program({weir_binary(), "convert"}).status == 2);
}
