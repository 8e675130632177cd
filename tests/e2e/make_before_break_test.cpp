// Reloads that leave a pool none of the backends it knew, under clients that never pause.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/operated.h"
#include "tests/support/steady_clients.h"
#include "tests/support/upgradable.h"
#include "tests/support/whole_file.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

constexpr auto kProbeTime = 300ms;

/// What every probe is sent to, whichever backend it is of: it takes its time, and as long as `held` is set.
FakeBackendOptions slow_to_answer(const std::atomic<bool>& held) {
  return scripted([&held](Stream& stream) {
    std::this_thread::sleep_for(kProbeTime);
    while (held.load()) std::this_thread::sleep_for(5ms);
    stream.send_all("well");
  });
}

/// Four backends, the first two of which are in use at first, and probes that take 300 ms.
class Site {
 public:
  Site() {
    for (int i = 0; i < 4; ++i) backends_.push_back(std::make_unique<FakeBackend>(FakeBackendOptions{}));
    base_.workers = 2;
    base_.admin = fmt::format("socket = \"{}\"", dir_.file("weir.sock"));
    base_.state_file = dir_.file("state.json");
    base_.log = "access = \"off\"";
    base_.health =
        fmt::format("probe = \"expect\"\nexpect = \"well\"\nport = {}\ninterval = \"1s\"\ntimeout = \"30s\"",
                    probed_.port());
    weir_ = std::make_unique<WeirDaemon>(file({listener("web")}, {pool("web", {"a", "b"}, 0)}));
  }

  ListenerText listener(const std::string& pool_name, const std::string& name = "web") const {
    return {name, port_.v4(), pool_name};
  }
  /// Backends of those names, at the addresses from `first` on.
  PoolText pool(const std::string& name, const std::vector<std::string>& names, std::size_t first) const {
    PoolText out{name, {}};
    for (std::size_t i = 0; i < names.size(); ++i)
      out.backends.push_back({names[i], backends_[first + i]->address()});
    return out;
  }
  std::string file(const std::vector<ListenerText>& listeners, const std::vector<PoolText>& pools) const {
    return whole_file(base_, listeners, pools);
  }

  Finished cli(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), weir_binary());
    arguments.insert(arguments.end(), {"--socket", dir_.file("weir.sock")});
    return run_program(std::move(arguments), {}, patient(milliseconds(90'000)));
  }
  Finished reload(const std::string& text) const {
    write_file(weir_->config_file(), text);
    return cli({"reload"});
  }
  Finished upgrade() {
    weir_->expect_exit();
    Finished done = cli({"upgrade"});
    if (done.status == 0)
      descendants_.push_back(std::make_unique<Descendant>(status().at("pid").get<pid_t>()));
    return done;
  }
  json status() const { return json::parse(cli({"status", "-o", "json"}).out); }
  std::string address() const { return port_.v4(); }
  FakeBackend& backend(std::size_t index) { return *backends_[index]; }
  void hold_probes(bool held) { probes_held_.store(held); }
  ~Site() { hold_probes(false); }

 private:
  std::atomic<bool> probes_held_{false};
  TempDir dir_;
  FreePort port_;
  FakeBackend probed_{slow_to_answer(probes_held_)};
  std::vector<std::unique_ptr<FakeBackend>> backends_;
  SimpleConfig base_;
  std::unique_ptr<WeirDaemon> weir_;
  std::vector<std::unique_ptr<Descendant>> descendants_;
};

}  // namespace

TEST_CASE("a reload that leaves a pool none of its old backends costs no session, however long probes take") {
  Site site;
  struct Reload {
    std::string what;
    std::string text;
    std::size_t new_one;
  };
  const std::vector<Reload> reloads{
      {"all backends are replaced", site.file({site.listener("web")}, {site.pool("web", {"c", "d"}, 2)}), 2},
      {"all backends are renamed", site.file({site.listener("web")}, {site.pool("web", {"x", "y"}, 0)}), 0},
      {"all backends have new addresses",
       site.file({site.listener("web")}, {site.pool("web", {"a", "b"}, 2)}), 2},
      {"the pool is renamed", site.file({site.listener("shop")}, {site.pool("shop", {"a", "b"}, 0)}), 0},
      {"the pool is another one", site.file({site.listener("shop")}, {site.pool("shop", {"c", "d"}, 2)}), 2},
      {"the listener moves to a pool that is new",
       site.file({site.listener("new")}, {site.pool("new", {"c", "d"}, 2), site.pool("web", {"a", "b"}, 0)}),
       2}};
  const auto& [what, text, new_one] = reloads[GENERATE(range<std::size_t>(0, 6))];
  INFO(what);
  SteadyClients clients(site.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(50)));
  const std::size_t before = site.backend(new_one).accepted();
  const Finished reloaded = site.reload(text);
  CAPTURE(reloaded.out, reloaded.err);
  CHECK(reloaded.status == 0);
  REQUIRE(clients.wait_for_more(scaled(50)));
  CHECK(eventually([&] { return site.backend(new_one).accepted() > before; }));
  REQUIRE(clients.wait_for_more(scaled(50)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("reloads that follow each other before a probe has ended cost no session") {
  Site site;
  SteadyClients clients(site.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(50)));
  CHECK(site.reload(site.file({site.listener("web")}, {site.pool("web", {"c"}, 2)})).status == 0);
  CHECK(site.reload(site.file({site.listener("shop")}, {site.pool("shop", {"d"}, 3)})).status == 0);
  CHECK(site.reload(site.file({site.listener("shop")}, {site.pool("shop", {"e"}, 3)})).status == 0);
  CHECK(eventually([&] { return site.backend(3).accepted() > 10; }));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}

TEST_CASE("who stands in is said by the reload and by status") {
  Site site;
  site.hold_probes(true);
  const Finished reloaded = site.reload(site.file({site.listener("web")}, {site.pool("web", {"c", "d"}, 2)}));
  CHECK_THAT(reloaded.err,
             Contains("pool web has no eligible backend until first probes pass: web/a, web/b stand in"));
  const json backends = site.status().at("pools").at(0).at("backends");
  REQUIRE(backends.size() == 4);
  CHECK(backends.at(2).at("name") == "a");
  CHECK(backends.at(2).at("removed") == true);
  CHECK(backends.at(2).at("reason") == "removed; stands in until a new backend has a verdict");
  // Its sessions are its own by every name, whichever pool they are for.
  Stream session = Stream::connect(site.address());
  REQUIRE(session.echoes("x"));
  const json listed = json::parse(site.cli({"sessions", "-o", "json"}).out).at("sessions");
  REQUIRE(listed.size() == 1);
  CHECK(listed.at(0).at("pool") == "web");
  const std::string key = "web/" + listed.at(0).at("backend").get<std::string>();
  CHECK((key == "web/a" || key == "web/b"));
  CHECK_THAT(site.cli({"kill", "--backend", key}).out, Contains("1 session"));
  CHECK(session.recv_to_end().ending == Ending::Reset);
  site.hold_probes(false);
  CHECK(eventually([&] { return site.status().at("pools").at(0).at("backends").size() == 2; }));
}

TEST_CASE("the sessions of a stand-in of another pool are listed and ended by its own name") {
  Site site;
  site.hold_probes(true);
  REQUIRE(site.reload(site.file({site.listener("shop")},
                                {site.pool("shop", {"c"}, 2), site.pool("web", {"a", "b"}, 0)}))
              .status == 0);
  Stream session = Stream::connect(site.address());
  REQUIRE(session.echoes("x"));
  const json listed = json::parse(site.cli({"sessions", "-o", "json"}).out).at("sessions");
  REQUIRE(listed.size() == 1);
  CHECK(listed.at(0).at("pool") == "web");
  CHECK(json::parse(site.cli({"sessions", "--pool", "web", "-o", "json"}).out).at("sessions").size() == 1);
  CHECK_THAT(site.cli({"kill", "--pool", "web"}).out, Contains("1 session"));
  CHECK(session.recv_to_end().ending == Ending::Reset);
}

TEST_CASE("an upgrade in the middle of a reload's first probes costs no session") {
  Site site;
  SteadyClients clients(site.address(), 3);
  REQUIRE(clients.wait_for_more(scaled(50)));
  site.hold_probes(true);
  REQUIRE(site.reload(site.file({site.listener("web")}, {site.pool("web", {"c", "d"}, 2)})).status == 0);
  const Finished upgraded = site.upgrade();
  CAPTURE(upgraded.err);
  CHECK(upgraded.status == 0);
  CHECK_THAT(upgraded.err, Contains("web/a, web/b stand in"));
  REQUIRE(clients.wait_for_more(scaled(50)));
  // And once more: whoever stands in is handed on by one who has only inherited it.
  CHECK(site.upgrade().status == 0);
  REQUIRE(clients.wait_for_more(scaled(50)));
  const json backends = site.status().at("pools").at(0).at("backends");
  REQUIRE(backends.size() == 4);
  CHECK(backends.at(2).at("name") == "a");
  CHECK(backends.at(2).at("removed") == true);
  site.hold_probes(false);
  CHECK(eventually([&] { return site.backend(2).accepted() > 0; }));
  CHECK(eventually([&] { return site.status().at("pools").at(0).at("backends").size() == 2; }));
  REQUIRE(clients.wait_for_more(scaled(50)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
}
