// Changing the configuration file under a running Weir.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;
using Catch::Contains;
using nlohmann::json;

namespace {

SimpleConfig with_workers(int workers) {
  SimpleConfig config;
  config.workers = workers;
  return config;
}

/// A further pool and listener, as further tables of the file.
std::string more_tables(const std::string& name, const std::string& bind, const std::string& backend) {
  return fmt::format(
      "[[listener]]\nname = \"{0}\"\nbind = \"{1}\"\npool = \"{0}\"\n[[pool]]\nname = \"{0}\"\n"
      "[pool.health]\nprobe = \"none\"\n[[pool.backend]]\nname = \"z\"\naddress = \"{2}\"\n",
      name, bind, backend);
}

Finished reload_with(Operated& weir, const std::string& toml) {
  write_file(weir.weir().config_file(), toml);
  return weir.cli({"reload"});
}

/// Sessions as fast as they go from two clients, each with data to be checked, until it is stopped.
class Traffic {
 public:
  explicit Traffic(const std::string& address) {
    for (std::size_t i = 0; i < 2; ++i) {
      threads_.emplace_back([this, i, address] {
        for (std::size_t n = 0; !stop_; ++n) one(address, i, n);
      });
    }
  }
  ~Traffic() { stop(); }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::size_t good() const { return good_; }
  std::string first_failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  void one(const std::string& address, std::size_t client, std::size_t n) {
    ConnectOptions options;
    options.source = client_source(client * 30 + n % 30);
    try {
      const std::string data = BytePattern(n).bytes(1 + n % 5000);
      Stream stream = Stream::connect(address, options);
      stream.send_all(data);
      stream.half_close();
      const Received received = stream.recv_to_end();
      if (received.ending != Ending::Eof) throw StreamError("it did not end clean");
      if (received.data.substr(1) != data) throw StreamError("its bytes are not exact");
      ++good_;
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      if (failure_.empty()) failure_ = error.what();
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<std::size_t> good_{0};
  mutable std::mutex mutex_;
  std::string failure_;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("sessions of a backend that a reload removes go on and it stays in view") {
  Operated weir(lettered(2), with_workers(GENERATE(1, 2)));
  HeldSession held = hold_session(weir);
  REQUIRE(held.letter == 'a');
  weir.config.backends.erase(weir.config.backends.begin());
  const Finished reloaded = weir.reload();
  CHECK(reloaded.status == 0);
  CHECK_THAT(reloaded.out, Contains("- web/a (1 session goes on)"));
  CHECK(weir.backend_status("a").at("removed") == true);
  CHECK(weir.letters(4) == "bbbb");
  CHECK(held.stream.echoes(BytePattern(3).bytes(100'000)));
  held.stream.half_close();
  CHECK(held.stream.recv_to_end().ending == Ending::Eof);
  CHECK(eventually([&] { return weir.backend_status("a").is_null(); }));
}

TEST_CASE("sessions, turns and counters outlive a reload that touches something else") {
  Operated weir(lettered(3), with_workers(2));
  HeldSession held = hold_session(weir);
  CHECK(weir.letters(3) == "bca");
  weir.config.global = "shutdown_grace = \"29s\"";
  REQUIRE(weir.reload().status == 0);
  CHECK(weir.letters(2) == "bc");
  CHECK(weir.backend_status("b").at("total") == 2);
  CHECK(held.stream.echoes("still here"));
}

TEST_CASE("a bad file changes nothing and its caller sees every fault") {
  Operated weir(lettered(2));
  std::string toml = weir.config.toml();
  toml.replace(toml.find("probe = \"none\""), 14, "probe = \"nune\"\nfall = 0");
  toml += "wieght = 3\n";
  const json before = weir.get("status");
  const Finished refused = reload_with(weir, toml);
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("nune") && Contains("fall") && Contains("weight") &&
                              Contains("nothing was changed") && Contains("weir.toml:"));
  CHECK(weir.get("status").at("generation") == before.at("generation"));
  CHECK_THAT(weir.log(), Contains("reload refused"));
  CHECK(reload_with(weir, "= nonsense").status == 1);
  std::filesystem::remove(weir.weir().config_file());
  CHECK(weir.cli({"reload"}).status == 1);
  CHECK(weir.letters(4) == "abab");
}

TEST_CASE("a bad file does not end a Weir that gets SIGHUP") {
  Operated weir(lettered(2));
  write_file(weir.weir().config_file(), "= nonsense");
  weir.process().signal(SIGHUP);
  CHECK(weir.says("reload refused"));
  CHECK(weir.letters(4) == "abab");
  weir.config.backends.pop_back();
  weir.write_config();
  weir.process().signal(SIGHUP);
  CHECK(weir.says("reload: - web/b"));
  CHECK(weir.letters(4) == "aaaa");
}

TEST_CASE("a reload that changes workers or the admin socket is refused and says so") {
  Operated weir(lettered(2));
  const std::string good = weir.config.toml();
  SimpleConfig other = weir.config;
  other.workers = 2;
  other.backends.pop_back();
  const Finished workers = reload_with(weir, other.toml());
  CHECK(workers.status == 1);
  CHECK_THAT(workers.err, Contains("workers") && Contains("restart"));
  other.workers = 1;
  other.admin = fmt::format("socket = \"{}\"", weir.dir().file("other.sock"));
  CHECK_THAT(reload_with(weir, other.toml()).err, Contains("admin.socket") && Contains("restart"));
  other.admin = weir.config.admin + "\nmode = \"0600\"";
  CHECK_THAT(reload_with(weir, other.toml()).err, Contains("admin.mode") && Contains("restart"));
  CHECK(weir.letters(2) == "ab");
  CHECK(reload_with(weir, good).status == 0);
}

TEST_CASE("a listener that cannot be bound refuses the whole reload") {
  Operated weir(lettered(2));
  FakeBackend holder;
  const FreePort fresh;
  SimpleConfig other = weir.config;
  other.backends.pop_back();
  const std::string fine = more_tables("fine", fresh.v4(), "127.0.0.1:9");
  const Finished refused =
      reload_with(weir, other.toml() + fine + more_tables("taken", holder.address(), "127.0.0.1:9"));
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Contains("listener taken") && Contains(holder.address()));
  CHECK(weir.letters(2) == "ab");
  CHECK_FALSE(connect_failure(fresh.v4()).empty());
  CHECK(reload_with(weir, other.toml() + fine).status == 0);
  CHECK(connect_failure(fresh.v4()).empty());
}

TEST_CASE("listeners come, go and change their pool with a reload") {
  Operated weir(lettered(2), with_workers(GENERATE(1, 2)));
  FakeBackend far(lettered(26)[25]);
  const FreePort port;
  const std::string extra = more_tables("far", port.v4(), far.address());
  REQUIRE(reload_with(weir, weir.config.toml() + extra).status == 0);
  CHECK(one_session(port.v4()) == 'z');
  Stream live = Stream::connect(port.v4());
  REQUIRE(live.recv_exact(1) == "z");
  std::string moved = extra;
  moved.replace(moved.find("pool = \"far\""), 12, "pool = \"web\"");
  REQUIRE(reload_with(weir, weir.config.toml() + moved).status == 0);
  const std::string now{one_session(port.v4()), one_session(port.v4())};
  CHECK((now == "ab" || now == "ba"));
  CHECK(live.echoes("still at z"));
  REQUIRE(reload_with(weir, weir.config.toml()).status == 0);
  CHECK(eventually([&] { return !connect_failure(port.v4()).empty(); }));
  CHECK(live.echoes("still at z"));
  CHECK(weir.get("status").at("listeners").size() == 1);
  CHECK(weir.letters(2).size() == 2);
}

TEST_CASE("a listener moves between one address and the wildcard on the same port under load") {
  Operated weir(lettered(2), with_workers(GENERATE(1, 2)));
  const std::string narrow = weir.config.bind;
  const std::string wide = "0.0.0.0" + narrow.substr(narrow.rfind(':'));
  HeldSession held = hold_session(weir);
  Traffic traffic(weir.address());
  for (int i = 0; i < 4; ++i) {
    weir.config.bind = i % 2 == 0 ? wide : narrow;
    const Finished reloaded = weir.reload();
    CAPTURE(reloaded.err);
    REQUIRE(reloaded.status == 0);
    const std::size_t good = traffic.good();
    CHECK(eventually([&] { return traffic.good() >= good + 20; }));
  }
  traffic.stop();
  CHECK(traffic.first_failure() == "");
  CHECK(held.stream.echoes("still here"));
}

TEST_CASE("two hundred reloads leave no descriptor, no memory and no process behind", "[release]") {
  Operated weir(lettered(3), with_workers(2));
  const FreePort port;
  const auto reload = [&](int i) {
    weir.config.backends[0].more = fmt::format("weight = {}", 1 + i % 5);
    std::string toml = weir.config.toml();
    if (i % 2 == 0) toml += more_tables("extra", port.v4(), "127.0.0.1:9");
    return reload_with(weir, toml).status;
  };
  for (int i = 0; i < 50; ++i) REQUIRE(reload(i) == 0);
  weir.letters(20);
  weir.weir().wait_for_access(20);
  REQUIRE(reload(1) == 0);
  const std::size_t descriptors = weir.process().descriptors();
  const std::size_t memory = weir.process().resident_bytes();
  const std::size_t threads = weir.process().threads();
  std::size_t failed = 0;
  for (int i = 0; i < 200; ++i)
    if (reload(i) != 0) ++failed;
  CHECK(failed == 0);
  // The connection of the last command may still be on its way out.
  CHECK(eventually([&] { return weir.process().descriptors() == descriptors; }));
  CHECK(weir.process().resident_bytes() < memory + (2U << 20));
  CHECK(weir.process().threads() == threads);
  CHECK(weir.letters(3).size() == 3);
}

TEST_CASE("sessions as fast as they go through reload after reload are all exact") {
  Operated weir(lettered(3), with_workers(2));
  Traffic traffic(weir.address());
  for (int i = 0; i < 10; ++i) {
    weir.config.backends[2].more = fmt::format("weight = {}", 1 + i % 2);
    weir.write_config();
    weir.process().signal(SIGHUP);
    std::this_thread::sleep_for(500ms);
  }
  traffic.stop();
  CHECK(traffic.first_failure() == "");
  CHECK(traffic.good() > 50);
  CHECK(weir.get("status").at("generation").get<int>() >= 10);
}

TEST_CASE("60 s of sessions as fast as they go with a reload every 3 s are all exact", "[long]") {
  Operated weir(lettered(3), with_workers(2));
  Traffic traffic(weir.address());
  for (int i = 0; i < 20; ++i) {
    if (i % 4 == 0)
      std::rotate(weir.config.backends.begin(), weir.config.backends.begin() + 1, weir.config.backends.end());
    weir.config.backends[0].more = fmt::format("weight = {}", 1 + i % 3);
    weir.write_config();
    weir.process().signal(SIGHUP);
    std::this_thread::sleep_for(3s);
  }
  traffic.stop();
  CHECK(traffic.first_failure() == "");
}
