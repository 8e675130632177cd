// Everything at once for a while: operators who say and unsay, backends that die, are stopped or cut off,
// descriptors that run short, reloads, upgrades, and clients, some of them slow, who check every byte. What a
// client loses must be somebody's deed; and a stop, a cut and a shortage that pass excuse nothing.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>

#include "tests/support/backend_process.h"
#include "tests/support/private_network.h"
#include "tests/support/upgradable.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// "a" to "d" are threads of the test; "e" and "f" are processes. "f" never dies and is never taken out, so
/// that somebody is there.
constexpr std::size_t kThreads = 4;
constexpr std::size_t kMortal = kThreads + 1;
constexpr std::string_view kGreeting = "ready ";
constexpr char kNobody = 0;
/// What a deed may still do after the command has answered.
constexpr milliseconds kAftermath{500};

/// Sessions of a backend that may end badly, from one moment to another, and because of what. A deed without
/// a backend excuses nothing.
struct Deed {
  std::string what;
  char backend;
  Clock::time_point begin;
  Clock::time_point end;
};

struct Loss {
  std::string what;
  char backend;  ///< kNobody: it had not greeted yet
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
      if (deed.begin <= loss.end && deed.end >= loss.begin && deed.backend != kNobody &&
          (loss.backend == kNobody || deed.backend == loss.backend))
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

std::vector<FakeBackendOptions> greeting() {
  std::vector<FakeBackendOptions> backends(kThreads);
  for (std::size_t i = 0; i < kThreads; ++i)
    backends[i].greeting = fmt::format("{}{}", kGreeting, static_cast<char>('a' + i));
  backends[1].receive_buffer = backends[1].send_buffer = 4096;
  return backends;
}

std::size_t descriptors_of(pid_t pid) {
  const std::filesystem::directory_iterator all(fmt::format("/proc/{}/fd", pid));
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

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
  explicit Soak(unsigned seed) : seed_(seed) {
    if (PrivateNetwork::possible()) network_.emplace();
    e_.emplace('e');
    f_.emplace('f');
    weir_.emplace(greeting(), soaked());
    serving_ = weir_->rig().process().pid();
    Dice dice(seed);
    reload(dice);
  }

  void run(milliseconds length) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) threads.emplace_back([this, i] { be_client(seed_ * 100 + i); });
    for (unsigned i = 0; i < 3; ++i)
      threads.emplace_back([this, i] { operate(seed_ * 100 + 10 + i, i == 0); });
    threads.emplace_back([this] { flap(seed_ * 100 + 20); });
    threads.emplace_back([this] { hinder(seed_ * 100 + 21); });
    std::this_thread::sleep_for(length);
    stopping_ = true;
    for (std::thread& thread : threads) thread.join();
  }

  const Journal& journal() const { return journal_; }
  std::size_t sessions() const { return sessions_; }
  Upgradable& weir() { return *weir_; }

 private:
  std::string address(std::size_t index) {
    if (index < kThreads) return weir_->rig().backend(index).address();
    return (index == kThreads ? e_ : f_)->address();
  }

  void be_client(unsigned seed) {
    Dice dice(seed);
    for (std::uint64_t number = 0; !stopping_; ++number) {
      Loss loss{"", kNobody, Clock::now(), {}, false};
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
    const bool slow = dice.one_in(8);
    Stream stream = Stream::connect(weir_->address(), {.receive_buffer = slow ? 4096 : 0});
    loss.backend = stream.recv_exact(kGreeting.size() + 1).back();
    const BytePattern pattern(seed);
    const std::string all = pattern.bytes(4 * 30'000);
    std::size_t sent = 0, taken = 0;
    const auto take = [&] {
      loss.corrupt = true;
      if (take_back(stream, sent - taken, loss) != all.substr(taken, sent - taken))
        throw StreamError("other bytes came back");
      loss.corrupt = false;
      taken = sent;
    };
    for (std::size_t pieces = 1 + dice.below(4); pieces > 0; --pieces) {
      const std::size_t size = 1 + dice.below(dice.one_in(4) ? 1'000 : 30'000);
      send(dice, stream, std::string_view(all).substr(sent, size));
      sent += size;
      if (!slow) take();
      std::this_thread::sleep_for(dice.up_to(slow ? 400ms : 60ms));
    }
    take();
    stream.half_close();
    const Received rest = stream.recv_to_end();
    loss.corrupt = !rest.data.empty();
    if (loss.corrupt) throw StreamError("bytes beyond what was sent");
    if (rest.ending != Ending::Eof) throw StreamError("no clean end");
  }

  /// At once, or, of what is short, in slices.
  static void send(Dice& dice, Stream& stream, std::string_view piece) {
    if (piece.size() > 1'000) return stream.send_all(piece);
    while (!piece.empty()) {
      const std::string_view slice = piece.substr(0, 1 + dice.below(100));
      stream.send_all(slice);
      piece.remove_prefix(slice.size());
      std::this_thread::sleep_for(dice.up_to(3ms));
    }
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

  /// Backends die and come back.
  void flap(unsigned seed) {
    Dice dice(seed);
    while (!stopping_) {
      const std::size_t index = dice.below(kMortal);
      if (index == kThreads) {
        const std::lock_guard lock(e_is_there_);
        const auto deed = journal_.begin("kill -9 of a backend", 'e');
        e_->kill();
        std::this_thread::sleep_for(dice.up_to(600ms));
        e_->start();
        journal_.end(deed);
      } else {
        FakeBackend& backend = weir_->rig().backend(index);
        const bool resets = dice.one_in(2);
        // One that only stops to listen costs those it has not accepted.
        const auto deed = journal_.begin(resets ? "resets of a backend" : "a backend that stops to listen",
                                         static_cast<char>('a' + index));
        backend.stop_listening();
        if (resets) backend.reset_all();
        std::this_thread::sleep_for(dice.up_to(600ms));
        backend.listen_again();
        journal_.end(deed);
      }
      std::this_thread::sleep_for(dice.up_to(500ms));
    }
  }

  /// What passes, and excuses nothing.
  void hinder(unsigned seed) {
    Dice dice(seed);
    while (!stopping_) {
      std::this_thread::sleep_for(dice.up_to(600ms));
      switch (dice.below(network_ ? 4 : 3)) {
        case 0: {
          const std::lock_guard lock(e_is_there_);
          stop_for_a_while(dice, *e_);
          break;
        }
        case 1:
          stop_for_a_while(dice, *f_);
          break;
        case 2:
          take_descriptors(dice);
          break;
        default:
          journal_.end(journal_.begin("packet filter", kNobody));
          network_->cut_port(dice.one_in(2) ? f_->port() : weir_->rig().backend(dice.below(kThreads)).port());
          std::this_thread::sleep_for(dice.up_to(1s));
          network_->mend();
          break;
      }
    }
  }

  void stop_for_a_while(Dice& dice, const BackendProcess& backend) {
    journal_.end(journal_.begin("SIGSTOP of a backend", kNobody));
    backend.stop();
    std::this_thread::sleep_for(dice.up_to(1500ms));
    backend.go_on();
  }

  /// The daemon may open only a few more than it has open.
  void take_descriptors(Dice& dice) {
    const std::lock_guard lock(upgrading_);
    journal_.end(journal_.begin("descriptors short", kNobody));
    const pid_t pid = serving_;
    rlimit before{};
    if (::prlimit(pid, RLIMIT_NOFILE, nullptr, &before) != 0) return;
    const rlimit few{descriptors_of(pid) + dice.below(8), before.rlim_max};
    ::prlimit(pid, RLIMIT_NOFILE, &few, nullptr);
    std::this_thread::sleep_for(dice.up_to(700ms));
    ::prlimit(pid, RLIMIT_NOFILE, &before, nullptr);
  }

  void operate(unsigned seed, bool upgrades) {
    Dice dice(seed);
    while (!stopping_) {
      std::this_thread::sleep_for(dice.up_to(150ms));
      if (upgrades && dice.one_in(25)) {
        upgrade();
        continue;
      }
      const std::size_t index = dice.below(kMortal);
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
          say({"add", "web", fmt::format("extra-{}", letter), address(index)});
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
  void say(std::vector<std::string> arguments) {
    // A sanitized daemon beside all of this may be slow; one that hangs is so for longer. (Of a drain it says
    // another thing.)
    if (arguments[0] != "drain") arguments.insert(arguments.end(), {"--timeout", "60s"});
    const Finished done = weir_->cli(arguments);
    if (done.status == 0 || done.status == 1 || done.status == 3 || done.status == 4) return;
    journal_.complain(
        fmt::format("weir {}: status {}: {}", fmt::join(arguments, " "), done.status, done.err));
  }

  void reload(Dice& dice) {
    const std::lock_guard lock(file_);
    SimpleConfig config = weir_->rig().config();
    config.backends.push_back({"e", e_->address()});
    config.backends.push_back({"f", f_->address()});
    config.pool += fmt::format("\nidle_timeout = \"{}m\"", 5 + dice.below(5));
    // An upgrade may read it at any time.
    replace_file(weir_->rig().weir().config_file(), config.toml());
    say({"reload"});
  }

  void upgrade() {
    const std::lock_guard lock(upgrading_);
    try {
      serving_ = weir_->upgrade();
    } catch (const std::exception& error) {
      journal_.complain(error.what());
    }
  }

  const unsigned seed_;
  std::optional<PrivateNetwork> network_;  // where there may be one, around all that follows
  std::optional<BackendProcess> e_, f_;
  std::optional<Upgradable> weir_;
  Journal journal_;
  std::mutex e_is_there_;
  std::mutex upgrading_;
  std::atomic<pid_t> serving_{0};
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
                                        loss.backend == kNobody ? "none" : std::string(1, loss.backend)));
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
