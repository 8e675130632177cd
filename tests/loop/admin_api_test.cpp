#include "lb/control/admin_api.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "lb/base/log.h"
#include "lb/net/socket.h"
#include "tests/support/temp_dir.h"
#include "tests/support/timing.h"
#include "tests/unit/control/registry_fixture.h"

using namespace weir;
using namespace weir::test;
using Json = nlohmann::json;

namespace {

constexpr int kPatienceSeconds = 20;

/// One session on web1, one on web2; killing takes the lease away.
class FakeWorkers final : public Workers {
 public:
  std::vector<SessionInfo> infos;
  std::vector<Lease> leases;
  bool stuck = false;  ///< nobody says how long sessions have been idle

  void count_by_client(const SessionFilter& filter, Counted done) override {
    std::vector<ClientSessions> out;
    for (std::size_t i = 0; i < infos.size(); ++i)
      if (leases[i] && filter.matches(infos[i].id, infos[i].pool, leases[i].get(), infos[i].client))
        out.push_back({infos[i].client.ip_to_string(), i + 1, 10, 20});
    done(out);
  }
  void count_limited(LimitedCounted done) override { done({{{"web", "203.0.113.9"}, 2}}); }
  void list_sessions(const SessionFilter& filter, SessionOrder, std::size_t limit, Listed done) override {
    std::vector<SessionInfo> out;
    for (std::size_t i = 0; i < infos.size(); ++i)
      if (leases[i] && filter.matches(infos[i].id, infos[i].pool, leases[i].get(), infos[i].client))
        out.push_back(infos[i]);
    const auto found = out.size();
    out.resize(std::min(limit, found));
    done(out, found);
  }
  void longest_idle(Idled done) override {
    std::unordered_map<BackendId, Millis> out;
    for (std::size_t i = 0; i < infos.size(); ++i)
      if (leases[i]) out[leases[i].get()->id] = infos[i].idle;
    if (!stuck) done(out);
  }
  void kill_sessions(const SessionFilter& filter, std::uint64_t limit, End, Killed done) override {
    std::uint64_t killed = 0;
    for (std::size_t i = 0; i < infos.size() && killed < limit; ++i) {
      if (!leases[i] || !filter.matches(infos[i].id, infos[i].pool, leases[i].get(), infos[i].client))
        continue;
      leases[i].release();
      ++killed;
    }
    done(killed);
  }
};

class FakeSteps final : public ReloadSteps {
 public:
  bool refuse = false;
  int commits = 0;
  Result<std::unique_ptr<PreparedReload>> prepare(std::shared_ptr<const Config>) override {
    if (refuse) return fail("listener front: 0.0.0.0:80: Address already in use");
    return std::make_unique<Prepared>(commits);
  }

 private:
  class Prepared final : public PreparedReload {
   public:
    explicit Prepared(int& commits) : commits_(commits) {}
    void commit() && override { ++commits_; }

   private:
    int& commits_;
  };
};

struct HttpReply {
  int status = 0;
  Json json;
  std::string raw;
};

/// The admin API on a control loop of its own, with one worker that adopts at once or when it is told to.
class Api {
 public:
  Api() {
    daemon_log().set_level(spdlog::level::off);
    const auto first = Fixture::three();
    first->state_file = state.path();
    registry.apply(first);
    for (const auto* name : {"web1", "web2", "web3"})
      registry.set_health(
          {{.id = find(name).id(), .life = find(name).life, .health = Health::Up, .reason = "probe passed"}});
    next = Fixture::three();
    add_session(1, "web1", "203.0.113.9");
    add_session(2, "web2", "198.51.100.1");
    AdminConfig config;
    config.socket = socket;
    config.socket_given = true;
    config.mode = 0640;
    auto fd = AdminApi::bind(config);
    REQUIRE(fd);
    REQUIRE(api->serve(std::move(*fd), socket));
    thread = std::thread([this] { loop->run(); });
  }
  ~Api() {
    loop->post([this] {
      api.reset();
      loop->stop();
    });
    thread.join();
  }

  /// Runs on the control loop and waits.
  template <class Task>
  auto on_loop(Task task) {
    std::packaged_task<decltype(task())()> packaged(std::move(task));
    auto result = packaged.get_future();
    loop->post([&packaged] { packaged(); });
    return result.get();
  }
  const Backend& find(const std::string& name) { return *registry.table()->find("web")->find(name); }

  Fd connect() const {
    auto started = start_connect(Address::unix_path(socket).value());
    REQUIRE(started);
    const int flags = ::fcntl(started->fd.get(), F_GETFL);
    ::fcntl(started->fd.get(), F_SETFL, flags & ~O_NONBLOCK);
    timeval limit{kPatienceSeconds, 0};
    ::setsockopt(started->fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return std::move(started->fd);
  }
  static HttpReply read_reply(const Fd& fd) {
    HttpReply out;
    char buffer[4096];
    for (;;) {
      const auto got = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (got <= 0) break;
      out.raw.append(buffer, static_cast<std::size_t>(got));
    }
    if (out.raw.size() > 12) out.status = std::atoi(out.raw.c_str() + 9);
    if (const auto body = out.raw.find("\r\n\r\n"); body != std::string::npos)
      out.json = Json::parse(out.raw.substr(body + 4), nullptr, false);
    return out;
  }
  static void send_all(const Fd& fd, std::string_view text) {
    while (!text.empty()) {
      const auto put = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (put <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
  }
  Fd send(const std::string& method, const std::string& target, const std::string& body = "") const {
    Fd fd = connect();
    send_all(fd, method + " " + target + " HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body);
    return fd;
  }
  HttpReply ask(const std::string& method, const std::string& target, const std::string& body = "") const {
    return read_reply(send(method, target, body));
  }

  TempDir dir;
  std::string socket = dir.file("weir.sock");
  std::unique_ptr<Loop> loop = Loop::create().value();
  Adoption adoption{1};
  bool adopt_at_once = true;
  Registry registry{1, [this](auto table) {
                      if (adopt_at_once) adoption.adopted(0, table->generation);
                    }};
  FakeWorkers workers;
  StateKeeper state{*loop, dir.file("state.json")};
  FakeSteps steps;
  std::shared_ptr<Config> next;
  std::vector<Fault> faults;
  Background background{*loop};
  Events events;
  LoadResult loaded() const {
    auto config = std::make_shared<Config>(*next);
    config->state_file = dir.file("state.json");
    return {.config = std::move(config), .faults = {}, .warnings = {}};
  }
  Reload reload{
      {.registry = registry,
       .steps = steps,
       .state = state,
       .background = background,
       .events = events,
       .load =
           [this] {
             if (!faults.empty()) return LoadResult{.config = nullptr, .faults = faults, .warnings = {}};
             return loaded();
           },
       .parse =
           [this](std::string_view text, const std::string&) {
             if (text.starts_with("bad"))
               return LoadResult{.config = nullptr, .faults = {{3, 7, "weight is 0"}}, .warnings = {}};
             return loaded();
           }}};
  Rebalancing rebalancing{*loop, workers};
  std::atomic<int> logs_reopened{0};
  std::unique_ptr<AdminApi> api =
      std::make_unique<AdminApi>(AdminParts{.loop = *loop,
                                            .registry = registry,
                                            .workers = workers,
                                            .adoption = adoption,
                                            .state = state,
                                            .rebalancing = rebalancing,
                                            .reload = reload,
                                            .events = events,
                                            .facts =
                                                [this] {
                                                  ProcessFacts facts;
                                                  facts.version = "0.1.0";
                                                  facts.workers = 1;
                                                  facts.max_sessions = 8000;
                                                  facts.unsaved = state.problem();
                                                  return facts;
                                                },
                                            .reopen_logs =
                                                [this](const std::function<void()>& done) {
                                                  ++logs_reopened;
                                                  done();
                                                },
                                            .patience = Millis(200)});
  std::thread thread;

 private:
  void add_session(std::uint64_t number, const std::string& backend_name, const std::string& client) {
    SessionInfo info;
    info.id = {1, number};
    info.pool = "web";
    info.backend = backend_name;
    info.client = ClientAddress::parse_ip(client).value();
    info.state = "relaying";
    info.idle = Millis(1500);
    workers.infos.push_back(info);
    workers.leases.push_back(Lease::take(find(backend_name).load));
  }
};

}  // namespace

TEST_CASE("status says of each backend how long its sessions have been idle, and does not wait for it") {
  Api api;
  const auto of_web1 = [&] { return api.ask("GET", "/v1/status/web/web1").json["pools"][0]["backends"][0]; };
  CHECK(of_web1()["longest_idle_seconds"] == 1.5);
  api.workers.stuck = true;
  CHECK(of_web1()["longest_idle_seconds"].is_null());
  CHECK(of_web1()["name"] == "web1");
}

TEST_CASE("status has the fields that are promised") {
  Api api;
  const auto reply = api.ask("GET", "/v1/status");
  REQUIRE(reply.status == 200);
  CHECK(reply.json["version"] == "0.1.0");
  CHECK(reply.json["sessions"]["max"] == 8000);
  CHECK(reply.json["listeners"][0]["bind"][0] == "0.0.0.0:8080");
  const auto& backend = reply.json["pools"][0]["backends"][0];
  for (const auto* field :
       {"name", "address", "weight", "configured_weight", "backup", "admin", "health", "eligible", "reason",
        "since", "active", "total", "connect_failures", "bytes_to_backend", "bytes_to_client"})
    CHECK(backend.contains(field));
  CHECK(backend["active"] == 1);
  CHECK(api.ask("GET", "/v1/status/web/web%32").json["pools"][0]["backends"].size() == 1);
  CHECK(api.ask("GET", "/v1/status/nope").status == 404);
}

TEST_CASE("a drain is answered only when every worker works by it") {
  Api api;
  api.on_loop([&] { api.adopt_at_once = false; });
  const Fd waiting = api.send("POST", "/v1/backends/web/web1/drain");
  // The daemon still serves others while that answer is held back.
  const auto generation = [&] {
    return api.ask("GET", "/v1/status").json["generation"].get<std::uint64_t>();
  };
  const auto before = api.on_loop([&] { return api.adoption.everywhere(); });
  REQUIRE(eventually([&] { return !(generation() == before); }));
  CHECK(::recv(waiting.get(), std::string(1, ' ').data(), 1, MSG_PEEK | MSG_DONTWAIT) < 0);
  api.on_loop([&] { api.adoption.adopted(0, api.registry.table()->generation); });
  const auto reply = Api::read_reply(waiting);
  CHECK(reply.status == 200);
  CHECK(reply.json["changed"] ==
        Json::parse(R"([{"backend":"web/web1","admin":"drained","weight":1,"sessions":1}])"));
}

TEST_CASE("an override is in the state file before it is answered for") {
  Api api;
  CHECK(api.ask("POST", "/v1/backends/web/web1/weight", R"({"weight": 9})").json["changed"][0]["weight"] ==
        9);
  CHECK(StateFile(api.state.path()).load()->overrides.at({"web", "web1"}).weight->value == 9);
  CHECK(api.ask("POST", "/v1/backends/web/web1/weight?weight=default").status == 200);
  CHECK(StateFile(api.state.path()).load()->overrides.empty());
}

TEST_CASE("an override that cannot be saved says that it will not survive") {
  Api api;
  api.on_loop([&] { api.state.move_to(api.dir.file("missing/state.json"), false); });
  const auto reply = api.ask("POST", "/v1/backends/web/web1/drain");
  CHECK(reply.status == 200);
  CHECK(reply.json["warnings"].size() == 1);
}

TEST_CASE("what is wrong with a request is named") {
  Api api;
  const auto code = [&](const std::string& method, const std::string& target, const std::string& body = "") {
    const auto reply = api.ask(method, target, body);
    return std::to_string(reply.status) + " " + reply.json["error"].value("code", "");
  };
  CHECK(code("POST", "/v1/backends/web/nope/drain") == "404 unknown");
  CHECK(code("POST", "/v1/backends/web/web*/drain") == "409 refused");
  CHECK(code("POST", "/v1/backends/web/web1/weight", R"({"weight": 0})") == "400 usage");
  CHECK(code("POST", "/v1/backends/web/web1/weight") == "400 usage");
  CHECK(code("POST", "/v1/backends/web/web1/weight?weight=3&weight=4") == "400 usage");
  CHECK(code("POST", "/v1/backends/web/web1/drain", R"({"then": "close"})") == "400 usage");
  CHECK(code("POST", "/v1/backends/web/web1/drain", R"({"froce": true})") == "400 usage");
  CHECK(code("POST", "/v1/backends/web/web1/drain", "[1, 2") == "400 usage");
  CHECK(code("POST", "/v1/backends/web/web1/fly") == "400 usage");
  CHECK(code("POST", "/v1/sessions/kill") == "400 usage");
  CHECK(code("GET", "/v1/sessions?backend=web1") == "400 usage");
  CHECK(code("GET", "/v1/sessions?client=10.0.0.0%2F33") == "400 usage");
  CHECK(code("GET", "/v1/sessions?pool=nope") == "404 unknown");
  CHECK(code("GET", "/v1/explain?pool=web") == "400 usage");
  CHECK(code("GET", "/v2/status") == "404 no_such_request");
  CHECK(code("DELETE", "/v1/status") == "404 no_such_request");
  CHECK(code("POST", "/v1/upgrade") == "409 refused");  // these parts have no upgrade
}

TEST_CASE("what is given and empty means nobody or is refused, and never everybody") {
  Api api;
  const auto kill = [&](const std::string& body) { return api.ask("POST", "/v1/sessions/kill", body); };
  CHECK(kill(R"({"ids": []})").json["killed"] == 0);
  CHECK(kill(R"({"ids": [], "pool": "web"})").json["killed"] == 0);
  CHECK(kill(R"({"ids": "", "pool": "web"})").json["killed"] == 0);
  CHECK(api.ask("GET", "/v1/sessions?ids=").json["sessions"].empty());
  for (const std::string_view body :
       {R"({"pool": ""})", R"({"pool": "", "client": "10.0.0.0/8"})", R"({"pool": "web", "client": ""})",
        R"({"pool": "web", "backend": ""})", R"({"backend": "web/"})", R"({"backend": "/web1"})",
        R"({"ids": [""], "pool": "web"})"}) {
    INFO(body);
    CHECK(kill(std::string(body)).status == 400);
  }
  CHECK(api.ask("POST", "/v1/backends/web/web1/weight", R"({"weight": ""})").status == 400);
  CHECK(api.ask("POST", "/v1/backends/web/web1/drain", R"({"then": "close", "timeout_ms": ""})").status ==
        400);
  CHECK(api.ask("GET", "/v1/sessions").json["sessions"].size() == 2);
}

TEST_CASE("sessions are listed and killed by any part of what is known of them") {
  Api api;
  CHECK(api.ask("GET", "/v1/sessions").json["sessions"].size() == 2);
  CHECK(api.ask("GET", "/v1/sessions?limit=1").json["left_out"] == 1);
  CHECK(api.ask("GET", "/v1/sessions?client=203.0.113.0%2F24").json["sessions"][0]["id"] == "1-1");
  CHECK(api.ask("GET", "/v1/sessions?backend=web%2Fweb2").json["sessions"][0]["id"] == "1-2");
  CHECK(api.ask("POST", "/v1/sessions/kill", R"({"ids": ["1-2", "1-ff"]})").json["killed"] == 1);
  CHECK(api.ask("POST", "/v1/sessions/kill", R"({"pool": "web"})").json["killed"] == 1);
  CHECK(api.ask("GET", "/v1/sessions").json["sessions"].empty());
}

TEST_CASE("a drain with then=close closes what is left by itself, unless it is taken back") {
  Api api;
  SECTION("closed") {
    api.ask("POST", "/v1/backends/web/web1/drain?then=close&timeout_ms=20");
    REQUIRE(
        eventually([&] { return !(api.on_loop([&] { return api.workers.leases[0].get() != nullptr; })); }));
    CHECK(api.on_loop([&] { return api.workers.leases[1].get() != nullptr; }));
  }
  SECTION("taken back") {
    api.ask("POST", "/v1/backends/web/web1/drain?then=close&timeout_ms=300");
    api.ask("POST", "/v1/backends/web/web1/enable");
    api.ask("POST", "/v1/backends/web/web2/drain?then=close&timeout_ms=301");
    REQUIRE(
        eventually([&] { return !(api.on_loop([&] { return api.workers.leases[1].get() != nullptr; })); }));
    CHECK(api.on_loop([&] { return api.workers.leases[0].get() != nullptr; }));
  }
}

TEST_CASE("members come and go") {
  Api api;
  CHECK(api.ask("POST", "/v1/pools/web/backends", R"({"name":"[::1]:80","address":"[::1]:80","weight":2})")
            .status == 200);
  CHECK(api.ask("GET", "/v1/status/web/%5B::1%5D:80").json["pools"][0]["backends"][0]["added"] == true);
  CHECK(api.ask("DELETE", "/v1/backends/web/%5B%3A%3A1%5D%3A80").json["changed"][0]["removed"] == true);
  CHECK(api.ask("GET", "/v1/explain?pool=web&client=2001:db8::1").json["excluded"].is_array());
}

TEST_CASE("a reload is all or nothing, and its faults reach the caller") {
  Api api;
  SECTION("a good one") {
    api.on_loop([&] { api.next->pools[0].backends.pop_back(); });
    const auto reply = api.ask("POST", "/v1/reload");
    CHECK(reply.status == 200);
    CHECK(reply.json["changes"] == Json::parse(R"(["- web/web3"])"));
    CHECK(api.on_loop([&] { return api.steps.commits; }) == 1);
  }
  SECTION("a bad file") {
    api.on_loop([&] { api.faults = {{3, 7, "weight is 0"}, {9, 1, "no such key"}}; });
    const auto reply = api.ask("POST", "/v1/reload");
    CHECK(reply.status == 422);
    CHECK(reply.json["error"]["faults"].size() == 2);
    CHECK(api.on_loop([&] { return api.steps.commits; }) == 0);
  }
  SECTION("an address that cannot be had") {
    api.on_loop([&] { api.steps.refuse = true; });
    api.on_loop([&] { api.next->pools[0].backends.pop_back(); });
    CHECK(api.ask("POST", "/v1/reload").status == 409);
    CHECK(api.ask("GET", "/v1/status/web/web3").status == 200);
  }
  SECTION("what takes a restart") {
    api.on_loop([&] { api.next->workers = 7; });
    CHECK(api.ask("POST", "/v1/reload").json["error"]["message"].get<std::string>().find("workers") == 0);
    CHECK(api.on_loop([&] { return api.steps.commits; }) == 0);
  }
}

TEST_CASE("a rehearsal of a reload says what it would change and changes nothing") {
  Api api;
  const auto generation = [&] { return api.on_loop([&] { return api.registry.table()->generation; }); };
  const auto before = generation();
  SECTION("nothing") {
    const auto reply = api.ask("POST", "/v1/diff?file=w.toml", "same");
    CHECK(reply.status == 200);
    CHECK(reply.json["accepted"] == true);
    CHECK(reply.json["changes"].empty());
    CHECK(reply.json["notes"].empty());
  }
  SECTION("a backend less, and an address that may or may not be had") {
    api.on_loop([&] {
      api.next->pools[0].backends.pop_back();
      api.next->listeners[0].bind = {Address::parse_ip_port("127.0.0.1:9").value()};
    });
    const auto reply = api.ask("POST", "/v1/diff", std::string(1'000'000, '#'));
    CHECK(reply.json["changes"] ==
          Json::parse(R"(["- web/web3", "~ listener front bind 0.0.0.0:8080→127.0.0.1:9"])"));
    REQUIRE(reply.json["notes"].size() == 1);
    CHECK(reply.json["notes"][0].get<std::string>().find("127.0.0.1:9") != std::string::npos);
  }
  SECTION("faults, with their places") {
    const auto reply = api.ask("POST", "/v1/diff?file=w.toml", "bad");
    CHECK(reply.json["accepted"] == false);
    CHECK(reply.json["faults"] ==
          Json::parse(R"([{"file": "w.toml", "line": 3, "column": 7, "message": "weight is 0"}])"));
  }
  SECTION("what takes a restart") {
    api.on_loop([&] { api.next->workers = 7; });
    const auto reply = api.ask("POST", "/v1/diff", "x");
    CHECK(reply.json["accepted"] == false);
    CHECK(reply.json["refusal"].get<std::string>().find("workers") == 0);
  }
  CHECK(generation() == before);
  CHECK(api.on_loop([&] { return api.steps.commits; }) == 0);
  CHECK(api.ask("GET", "/v1/status/web/web3").status == 200);
}

TEST_CASE("a change that no worker confirms is answered all the same, and says that it was made") {
  Api api;
  api.on_loop([&] { api.adopt_at_once = false; });
  const auto reply = api.ask("POST", "/v1/backends/web/web1/drain");
  CHECK(reply.status == 504);
  CHECK_THAT(reply.json["error"]["message"].get<std::string>(),
             Catch::Contains("the change was made, but not every worker has confirmed it within 200ms"));
  CHECK(api.ask("GET", "/v1/status/web/web1").json["pools"][0]["backends"][0]["admin"] == "drained");
  // A worker that comes to after all finds nobody waiting.
  api.on_loop([&] { api.adoption.adopted(0, api.registry.table()->generation); });
  api.on_loop([&] { api.adopt_at_once = true; });
  CHECK(api.ask("POST", "/v1/backends/web/web1/enable").status == 200);
}

TEST_CASE("a planned closing is in the status until it is called off") {
  Api api;
  REQUIRE(api.ask("POST", "/v1/backends/web/web1/drain", R"({"then":"close","timeout_ms":60000})").status ==
          200);
  const auto backend = [&] { return api.ask("GET", "/v1/status/web/web1").json["pools"][0]["backends"][0]; };
  const auto seen = backend();
  REQUIRE(seen.contains("closes_at"));
  CHECK(seen["closes_at"].get<std::string>() > seen["since"].get<std::string>());
  REQUIRE(api.ask("POST", "/v1/backends/web/web1/enable").status == 200);
  CHECK_FALSE(backend().contains("closes_at"));
}

TEST_CASE("logs are reopened when asked to") {
  Api api;
  CHECK(api.ask("POST", "/v1/logs/reopen").status == 200);
  CHECK(api.logs_reopened == 1);
}

TEST_CASE(
    "the socket has its mode from birth, a live one is refused, a stale one replaced, and none is left "
    "behind") {
  std::string path;
  {
    Api api;
    path = api.socket;
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0640);
    AdminConfig again;
    again.socket = path;
    again.socket_given = true;
    const auto refused = AdminApi::bind(again);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find(path) != std::string::npos);
    api.on_loop([&] { api.api.reset(); });
    CHECK(::access(path.c_str(), F_OK) != 0);
  }
}

TEST_CASE("garbage, huge requests and a crowd of idle callers do no harm") {
  Api api;
  std::vector<Fd> idle;
  for (int i = 0; i < 60; ++i) idle.push_back(api.connect());
  const Fd line = api.connect();
  Api::send_all(line, std::string(1 << 20, 'x'));
  const Fd nuls = api.connect();
  Api::send_all(nuls, std::string("GET /v1/\0status\0 HTTP/1.1\r\n\r\n", 30));
  CHECK(api.ask("POST", "/v1/backends/web/web1/drain", std::string(65 * 1024, ' ')).status == 413);
  CHECK(api.ask("POST", "/v1/backends/web/%00%ff%0a/drain").status == 404);
  CHECK(api.ask("POST", "/v1/pools/web/backends", "{\"name\":\"\xff\",\"address\":\"10.0.0.1:1\"}").status ==
        400);
  CHECK(api.ask("GET", "/v1/status").status == 200);
}
