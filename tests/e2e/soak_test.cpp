// Everything at once for a while: operators who say and unsay, backends that die, reloads, upgrades, and
// clients who check every byte. What a client loses must be somebody's deed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/support/upgradable.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kBackends = 6;
/// What a deed may still do after the command has answered.
constexpr milliseconds kAftermath{500};

/// Sessions of a backend that may end badly, from one moment to another, and because of what.
struct Deed {
  std::string what;
  char backend;
  Clock::time_point begin;
  Clock::time_point end;
};

struct Loss {
  std::string what;
  char backend;  ///< 0: it had not greeted yet
  Clock::time_point begin;
  Clock::time_point end;
  bool corrupt;
};

/// Who did what when. Thread-safe.
class Journal {
 public:
  std::size_t begin(std::string what, char backend) {
    const std::lock_guard lock(mutex_);
    deeds_.push_back({std::move(what), backend, Clock::now(), Clock::time_point::max()});
    return deeds_.size() - 1;
  }
  void end(std::size_t deed) {
    const std::lock_guard lock(mutex_);
    deeds_[deed].end = Clock::now() + kAftermath;
  }
  void lose(Loss loss) {
    const std::lock_guard lock(mutex_);
    losses_.push_back(std::move(loss));
  }
  void complain(std::string what) {
    const std::lock_guard lock(mutex_);
    complaints_.push_back(std::move(what));
  }

  // After the threads have ended.
  const std::vector<Loss>& losses() const { return losses_; }
  const std::vector<std::string>& complaints() const { return complaints_; }
  std::map<std::string, std::size_t> count_of_deeds() const {
    std::map<std::string, std::size_t> out;
    for (const Deed& deed : deeds_) ++out[deed.what];
    return out;
  }
  /// The deed that explains a loss; null: nobody's.
  const Deed* cause_of(const Loss& loss) const {
    if (loss.corrupt) return nullptr;
    for (const Deed& deed : deeds_)
      if (deed.begin <= loss.end && deed.end >= loss.begin &&
          (loss.backend == 0 || deed.backend == loss.backend))
        return &deed;
    return nullptr;
  }

 private:
  std::mutex mutex_;
  std::vector<Deed> deeds_;
  std::vector<Loss> losses_;
  std::vector<std::string> complaints_;
};

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return engine_() % limit; }
  bool one_in(std::size_t count) { return below(count) == 0; }
  milliseconds up_to(milliseconds most) {
    return milliseconds(static_cast<long>(below(static_cast<std::size_t>(most.count()) + 1)));
  }

 private:
  std::mt19937 engine_;
};

SimpleConfig soaked() {
  SimpleConfig config;
  config.workers = 2;
  config.log = "access = \"off\"";
  config.pool = "balance = \"least_connections\"\nconnect_attempts = 6";
  config.health =
      "probe = \"tcp\"\ninterval = \"100ms\"\nfast_interval = \"50ms\"\ntimeout = \"2s\"\nfall = 2";
  return config;
}

class Soak {
 public:
  explicit Soak(unsigned seed) : seed_(seed), weir_(lettered(kBackends), soaked()) {}

  void run(milliseconds length) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) threads.emplace_back([this, i] { be_client(seed_ * 100 + i); });
    for (unsigned i = 0; i < 3; ++i)
      threads.emplace_back([this, i] { operate(seed_ * 100 + 10 + i, i == 0); });
    threads.emplace_back([this] { flap(seed_ * 100 + 20); });
    std::this_thread::sleep_for(length);
    stopping_ = true;
    for (std::thread& thread : threads) thread.join();
  }

  const Journal& journal() const { return journal_; }
  std::size_t sessions() const { return sessions_; }
  Upgradable& weir() { return weir_; }

 private:
  FakeBackend& backend(std::size_t index) { return weir_.rig().backend(index); }

  void be_client(unsigned seed) {
    Dice dice(seed);
    for (std::uint64_t number = 0; !stopping_; ++number) {
      Loss loss{"", 0, Clock::now(), {}, false};
      try {
        one_session(dice, seed * 1'000'000ULL + number, loss);
        ++sessions_;
        continue;
      } catch (const StreamError& error) {
        loss.what = error.what();
      }
      loss.end = Clock::now();
      journal_.lose(std::move(loss));
    }
  }

  void one_session(Dice& dice, std::uint64_t seed, Loss& loss) {
    Stream stream = Stream::connect(weir_.address());
    loss.backend = stream.recv_exact(1)[0];
    const BytePattern pattern(seed);
    std::size_t sent = 0;
    const std::string all = pattern.bytes(4 * 30'000);
    for (std::size_t pieces = 1 + dice.below(4); pieces > 0; --pieces) {
      const std::string piece = all.substr(sent, 1 + dice.below(30'000));
      sent += piece.size();
      stream.send_all(piece);
      loss.corrupt = true;
      if (take_back(stream, piece.size(), loss) != piece) throw StreamError("other bytes came back");
      loss.corrupt = false;
      std::this_thread::sleep_for(dice.up_to(60ms));
    }
    stream.half_close();
    const Received rest = stream.recv_to_end();
    loss.corrupt = !rest.data.empty();
    if (loss.corrupt) throw StreamError("bytes beyond what was sent");
    if (rest.ending != Ending::Eof) throw StreamError("no clean end");
  }

  /// What comes back; a connection that breaks meanwhile has not corrupted anything.
  static std::string take_back(Stream& stream, std::size_t size, Loss& loss) {
    try {
      return stream.recv_exact(size);
    } catch (const StreamError&) {
      loss.corrupt = false;
      throw;
    }
  }

  /// Backends die and come back; the last one never does.
  void flap(unsigned seed) {
    Dice dice(seed);
    while (!stopping_) {
      const std::size_t index = dice.below(kBackends - 1);
      const auto deed = journal_.begin("death of a backend", static_cast<char>('a' + index));
      backend(index).stop_listening();
      if (dice.one_in(2)) backend(index).reset_all();
      std::this_thread::sleep_for(dice.up_to(600ms));
      backend(index).listen_again();
      journal_.end(deed);
      std::this_thread::sleep_for(dice.up_to(500ms));
    }
  }

  void operate(unsigned seed, bool upgrades) {
    Dice dice(seed);
    while (!stopping_) {
      std::this_thread::sleep_for(dice.up_to(150ms));
      if (upgrades && dice.one_in(25)) {
        upgrade();
        continue;
      }
      // The last one is never taken out, so that somebody is there.
      const std::size_t index = dice.below(kBackends - 1);
      const auto letter = static_cast<char>('a' + index);
      const std::string name = fmt::format("web/{}", letter);
      switch (dice.below(10)) {
        case 0:
          say({"drain", name, "--comment", "soak"});
          break;
        case 1:
          say({"disable", name, "--for", "1s"});
          break;
        case 2:
          say({"weight", name, std::to_string(1 + dice.below(9))});
          break;
        case 3: {
          const auto deed = journal_.begin("kill", letter);
          say({"kill", "--backend", name});
          journal_.end(deed);
          break;
        }
        case 4: {
          const auto deed = journal_.begin("drain --then close", letter);
          say({"drain", name, "--timeout", "200ms", "--then", "close"});
          journal_.end(deed);
          break;
        }
        case 5:
          say({"add", "web", fmt::format("extra-{}", letter), backend(index).address()});
          break;
        case 6:
          say({"remove", fmt::format("web/extra-{}", letter)});
          break;
        case 7:
          reload(dice);
          break;
        case 8:
          say({"status"});
          say({"sessions", "--sort", "age"});
          say({"events"});
          break;
        default:
          say({"enable", "web/*"});
          break;
      }
    }
  }

  /// Done, refused in the state of things, unknown by now, or sessions were left: everything else is a fault.
  void say(const std::vector<std::string>& arguments) {
    const Finished done = weir_.cli(arguments);
    if (done.status == 0 || done.status == 1 || done.status == 3 || done.status == 4) return;
    journal_.complain(
        fmt::format("weir {}: status {}: {}", fmt::join(arguments, " "), done.status, done.err));
  }

  void reload(Dice& dice) {
    const std::lock_guard lock(file_);
    SimpleConfig config = weir_.rig().config();
    config.pool += fmt::format("\nidle_timeout = \"{}m\"", 5 + dice.below(5));
    write_file(weir_.rig().weir().config_file(), config.toml());
    say({"reload"});
  }

  void upgrade() {
    try {
      weir_.upgrade();
    } catch (const std::exception& error) {
      journal_.complain(error.what());
    }
  }

  const unsigned seed_;
  Upgradable weir_;
  Journal journal_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> sessions_{0};
  std::mutex file_;
};

/// As long as somebody wants it.
milliseconds wanted_length() {
  const char* const seconds = std::getenv("WEIR_SOAK_SECONDS");
  return seconds != nullptr ? std::chrono::seconds(std::atol(seconds)) : 80s;
}

unsigned wanted_seed() {
  const char* const seed = std::getenv("WEIR_SOAK_SEED");
  return seed != nullptr ? static_cast<unsigned>(std::atol(seed)) : std::random_device()() % 10'000;
}

}  // namespace

TEST_CASE("whatever operators and dying backends do at once, each session that is lost is somebody's deed") {
  const unsigned seed = wanted_seed();
  CAPTURE(seed);
  Soak soak(seed);
  soak.run(wanted_length());
  const Journal& journal = soak.journal();
  std::map<std::string, std::size_t> causes;
  std::vector<std::string> unexplained;
  for (const Loss& loss : journal.losses()) {
    const Deed* const deed = journal.cause_of(loss);
    if (deed != nullptr)
      ++causes[deed->what];
    else
      unexplained.push_back(fmt::format("{}{} (backend {})", loss.corrupt ? "CORRUPT: " : "", loss.what,
                                        loss.backend == 0 ? "none" : std::string(1, loss.backend)));
  }
  std::string report = fmt::format("{} sessions, {} lost", soak.sessions(), journal.losses().size());
  for (const auto& [what, count] : causes) report += fmt::format("; {} by {}", count, what);
  for (const auto& [what, count] : journal.count_of_deeds()) report += fmt::format("; {} x {}", count, what);
  WARN(report);
  CHECK(unexplained == std::vector<std::string>());
  CHECK(journal.complaints() == std::vector<std::string>());
  CHECK(soak.sessions() > 100);
  CHECK(eventually([&] {
    const auto status = soak.weir().get("status");
    return status.at("sessions").at("active") == 0;
  }));
}
