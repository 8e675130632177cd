#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/fake_dns.h"
#include "tests/support/private_names.h"
#include "tests/support/rig.h"
#include "tests/support/steady_clients.h"
#include "tests/support/upgradable.h"
#include "tests/support/whole_file.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// What the file says at one moment: one pool in use, and one beside it that the listener can move to.
struct Shape {
  std::string pool = "web";
  std::string other = "spare";
  std::string prefix = "w";  ///< of the names of the backends in use
  std::size_t first = 0;     ///< of their addresses
  bool by_name = false;      ///< addresses as host names
  int weight = 1;

  /// The changes that an operator makes, one after the other.
  void change(std::size_t step) {
    switch (step % 6) {
      case 0:
        first = (first + 2) % 4;
        break;  // all backends are replaced
      case 1:
        prefix = prefix == "w" ? "v" : "w";
        break;  // all are renamed
      case 2:
        pool = fmt::format("web{}", step);
        break;  // the pool is renamed
      case 3:
        std::swap(pool, other);
        first = (first + 2) % 4;
        break;  // the listener moves
      case 4:
        by_name = !by_name;
        break;  // all addresses are written anew
      case 5:
        weight = weight == 1 ? 3 : 1;
        break;
    }
  }
};

/// Weir under steady clients, four backends, and probes that take their time.
class UnderLoad {
 public:
  UnderLoad() {
    // At every address of 127.0.0.0/8, so that names can move.
    for (int i = 0; i < 4; ++i)
      backends_.push_back(std::make_unique<FakeBackend>(FakeBackendOptions{.address = kEveryAddress}));
    move_names(0);
    base_.workers = 2;
    // One file, which both processes append to: a pipe would let their lines run into each other.
    base_.log = fmt::format("access = \"{}\"", log_file());
    base_.state_file = dir_.file("state.json");
    base_.health = fmt::format(
        "probe = \"expect\"\nexpect = \"well\"\nport = {}\ninterval = \"500ms\"\ntimeout = \"3s\"",
        probed_.port());
    weir_ = std::make_unique<Upgradable>(echoing(2), base_);
    serving_ = weir_->rig().process().pid();
    base_.admin = fmt::format("socket = \"{}\"", weir_->socket());
  }

  const std::string& address() const { return weir_->address(); }
  std::string log_file() const { return dir_.file("access.log"); }
  Process& first_process() { return weir_->rig().process(); }

  /// Changes the file, sends a SIGHUP, and waits until the new backends serve.
  void reload(std::size_t step) {
    shape_.change(step);
    move_names(step);
    CAPTURE(step, shape_.pool, shape_.prefix, shape_.first);
    write_file(weir_->rig().weir().config_file(), file());
    ::kill(serving_, SIGHUP);
    if (eventually([&] { return serves_as_written(); })) return;
    const std::string log = first_process().err();
    FAIL("what the file says is not so: "
         << weir_->get("status").dump() << "\n"
         << log.substr(log.size() - std::min<std::size_t>(log.size(), 3'000)));
  }
  void drain_or_enable() {
    if (!std::exchange(drained_, drained_.empty() ? shape_.pool + "/" + shape_.prefix + "0" : "").empty()) {
      weir_->cli({"enable", "*/*"});
      return;
    }
    // The first backend to be up serves before the other one has a verdict, and is not taken out until then.
    Finished done;
    CHECK(eventually([&] {
      done = weir_->cli({"drain", drained_});
      return done.status == 0 || done.err.find("is the last eligible backend") == std::string::npos;
    }));
    CAPTURE(done.err);
    CHECK(done.status == 0);
  }
  void upgrade() { serving_ = weir_->upgrade(); }

 private:
  std::string name(std::size_t index) const { return fmt::format("{}{}", shape_.prefix, index); }
  std::string address_of(std::size_t index) const {
    const auto port = backends_[(shape_.first + index) % 4]->port();
    if (!shape_.by_name) return fmt::format("127.0.0.1:{}", port);
    return names_ ? fmt::format("w{}.test:{}", index, port) : fmt::format("localhost:{}", port);
  }
  /// Every record says something else each time. At one step of those that use names the server knows
  /// nothing.
  void move_names(std::size_t step) {
    if (!dns_) return;
    const auto ip = [&](std::size_t i) { return fmt::format("127.0.0.{}", 2 + (step + i) % 7); };
    for (std::size_t i = 0; i < 2; ++i)
      dns_->set(fmt::format("w{}.test", i),
                {.addresses = {ip(i)}, .ttl = 1, .rcode = step % 12 == 7 ? kServFail : 0});
  }
  std::string file() const {
    PoolText used{shape_.pool, {}}, other{shape_.other, {}};
    for (std::size_t i = 0; i < 2; ++i) {
      used.backends.push_back({name(i), address_of(i), fmt::format("weight = {}", shape_.weight)});
      const auto port = backends_[(shape_.first + 2 + i) % 4]->port();
      other.backends.push_back({fmt::format("o{}", i), fmt::format("127.0.0.1:{}", port)});
    }
    return whole_file(base_, {{"web", address(), shape_.pool}}, {used, other});
  }
  /// The status is that of the file, and a backend of the file has had a session since.
  bool serves_as_written() {
    const auto status = weir_->get("status");
    if (status.at("listeners").at(0).at("pool") != shape_.pool) return false;
    for (const auto& pool : status.at("pools")) {
      if (pool.at("name") != shape_.pool) continue;
      std::size_t right = 0;
      std::uint64_t total = 0;
      for (const auto& backend : pool.at("backends")) {
        if (backend.value("removed", false)) continue;
        for (std::size_t i = 0; i < 2; ++i)
          if (backend.at("name") == name(i) && backend.at("address") == address_of(i) &&
              backend.at("configured_weight") == shape_.weight)
            ++right;
        if (backend.at("health") == "up") total += backend.at("total").get<std::uint64_t>();
      }
      return right == 2 && total > 0;
    }
    return false;
  }

  static constexpr int kServFail = 2;
  static constexpr const char* kEveryAddress = "0.0.0.0:0";

  static FakeBackendOptions answering_probes() {
    FakeBackendOptions options = scripted([](Stream& stream) {
      std::this_thread::sleep_for(200ms);
      stream.send_all("well");
    });
    options.address = kEveryAddress;
    return options;
  }

  // First of all: the rest lives in that network.
  std::unique_ptr<PrivateNames> names_ =
      PrivateNames::possible() ? std::make_unique<PrivateNames>() : nullptr;
  std::unique_ptr<FakeDns> dns_ = names_ != nullptr ? std::make_unique<FakeDns>(std::uint16_t{53}) : nullptr;
  TempDir dir_;
  FakeBackend probed_{answering_probes()};
  std::vector<std::unique_ptr<FakeBackend>> backends_;
  SimpleConfig base_;
  Shape shape_;
  std::string drained_;
  std::unique_ptr<Upgradable> weir_;
  pid_t serving_ = 0;
};

void check_log(const UnderLoad& weir, const SteadyClients& clients) {
  std::size_t expected = 0;
  for (const auto& [client, count] : clients.sources()) expected += static_cast<std::size_t>(count);
  std::vector<AccessLine> lines;
  CHECK(eventually([&] {
    lines = parse_access_log(read_file(weir.log_file()));
    return lines.size() >= expected;
  }));
  std::map<std::string, int> logged;
  std::map<std::string, int> ends;
  for (const AccessLine& line : lines) {
    ++logged[line["client"]];
    ++ends[line["end"]];
  }
  CHECK(logged == clients.sources());
  CHECK(ends == std::map<std::string, int>{{"done", static_cast<int>(expected)}});
}

/// At least so many, however slow the machine: each kind of change comes several times.
constexpr std::size_t kReloads = 6;

/// A reload, a drain or an enable in turn, every half second, and upgrades, one each 20 s and one at least;
/// new sessions as fast as they go all the while. Every reload leaves nothing as it was before.
void change_everything_under_load(milliseconds length) {
  UnderLoad weir;
  SteadyClients clients(weir.address(), 4);
  const auto begin = Clock::now();
  std::size_t reloads = 0;
  auto next_upgrade = std::min<milliseconds>(length / 2, 10s);
  for (auto next_change = 500ms; since(begin) < length || reloads < kReloads; next_change += 500ms) {
    REQUIRE(clients.wait_for_more(1));
    std::this_thread::sleep_until(begin + next_change);
    weir.reload(reloads++);
    weir.drain_or_enable();
    if (since(begin) < next_upgrade) continue;
    weir.upgrade();
    next_upgrade += 20s;
  }
  REQUIRE(clients.wait_for_more(10));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
  CHECK(clients.sessions() > 100);
  CHECK(weir.first_process().wait() == 0);
  check_log(weir, clients);
}

/// As long as somebody wants it.
milliseconds wanted_length(milliseconds usual) {
  const char* const seconds = std::getenv("WEIR_ZERO_LOSS_SECONDS");
  return seconds != nullptr ? std::chrono::seconds(std::atol(seconds)) : usual;
}

}  // namespace

TEST_CASE("sessions that end while Weir starts children are disposed of, and nothing else is touched") {
  // Until its exec a child holds the sockets of all sessions: they outlive their close by that long.
  SimpleConfig config;
  config.workers = 2;
  config.health = "probe = \"exec\"\ncommand = [\"/bin/true\"]\ninterval = \"20ms\"";
  Rig rig(echoing(3), config);
  REQUIRE(eventually([&] { return connect_failure(rig.address()).empty(); }));
  SteadyClients clients(rig.address(), 4);
  REQUIRE(clients.wait_for_more(scaled(3'000), patient(60s)));
  clients.stop();
  CHECK(clients.failures() == std::vector<std::string>());
  CHECK(rig.process().running());
}

TEST_CASE("reloads that change everything, drains and an upgrade in 10 s of new sessions lose nobody",
          "[alone]") {
  change_everything_under_load(10s);
}

TEST_CASE("reloads that change everything, drains and upgrades in 60 s of new sessions lose nobody",
          "[long]") {
  change_everything_under_load(wanted_length(60s));
}
