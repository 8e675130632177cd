#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "tests/support/rig.h"

using namespace weir::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> weights(std::initializer_list<int> values) {
  std::vector<std::string> lines;
  for (const int value : values) lines.push_back(fmt::format("weight = {}", value));
  return lines;
}

SimpleConfig with_balance(std::string_view kind, int workers = 1, std::string_view more = "") {
  SimpleConfig config;
  config.workers = workers;
  config.pool = fmt::format("balance = \"{}\"\n{}", kind, more);
  return config;
}

/// Connects, takes the greeting and stays open.
struct Held {
  Stream stream;
  char letter;
};

Held hold(const Rig& rig, std::size_t n = 0) {
  ConnectOptions options;
  options.source = client_source(n);
  Stream stream = rig.connect(options);
  const char letter = stream.recv_exact(1).front();
  return {std::move(stream), letter};
}

std::string letters_of(const std::vector<Held>& held) {
  std::string result;
  for (const Held& one : held) result += one.letter;
  return result;
}

/// The backend of each of `count` clients 127.1.0.0, 127.1.0.1, ...
std::string map_of(const Rig& rig, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    ConnectOptions options;
    options.source = to_address(fmt::format("127.1.{}.{}:0", i / 250, 1 + i % 250));
    result += one_session(rig.address(), options);
  }
  return result;
}

}  // namespace

TEST_CASE("weights 5 1 1 give the smooth sequence") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(3), config, weights({5, 1, 1}));
  CHECK(rig.letters(14) == "aabacaaaabacaa");
}

TEST_CASE("equal weights give turns") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(4), config);
  CHECK(rig.letters(5) == "abcda");
}

TEST_CASE("weights 256 and 1 give the lighter one a single session of 257") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(2), config, weights({256, 1}));
  const std::string letters = rig.letters(257);
  CHECK(std::count(letters.begin(), letters.end(), 'b') == 1);
}

TEST_CASE("without the heaviest backend the others take turns") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(3), config, {"weight = 5\nadmin = \"disabled\"", "", ""});
  CHECK(rig.letters(6) == "bcbcbc");
}

TEST_CASE("round robin is exact over clients that come at the same time") {
  SimpleConfig config;
  config.workers = GENERATE(1, 2);
  Rig rig(lettered(3), config, weights({5, 1, 1}));
  std::vector<std::thread> clients;
  std::array<std::string, 4> letters;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    clients.emplace_back([&rig, &mine = letters[i]] { mine = rig.letters(35); });
  }
  for (std::thread& client : clients) client.join();
  const std::string all = letters[0] + letters[1] + letters[2] + letters[3];
  CHECK(std::count(all.begin(), all.end(), 'a') == 100);
  CHECK(std::count(all.begin(), all.end(), 'b') == 20);
  CHECK(std::count(all.begin(), all.end(), 'c') == 20);
}

TEST_CASE("least connections shares sessions one after another evenly") {
  Rig rig(lettered(2), with_balance("least_connections", GENERATE(1, 2)));
  std::string letters;
  for (std::size_t i = 0; i < 10; ++i) {
    letters += rig.letters(1);
    rig.weir().wait_for_access(i + 1);
  }
  CHECK(std::count(letters.begin(), letters.end(), 'a') == 5);
}

TEST_CASE("least connections shares sessions that stay evenly") {
  Rig rig(lettered(2), with_balance("least_connections", GENERATE(1, 2)));
  std::vector<Held> held;
  for (std::size_t i = 0; i < 10; ++i) held.push_back(hold(rig, i));
  const std::string letters = letters_of(held);
  CHECK(std::count(letters.begin(), letters.end(), 'a') == 5);
}

TEST_CASE("least connections follows the weights") {
  Rig rig(lettered(2), with_balance("least_connections", GENERATE(1, 2)), weights({3, 1}));
  std::vector<Held> held;
  for (std::size_t i = 0; i < 40; ++i) held.push_back(hold(rig, i));
  const std::string letters = letters_of(held);
  CHECK(std::count(letters.begin(), letters.end(), 'a') == 30);
}

TEST_CASE("least connections leaves a backend alone whose sessions stay") {
  Rig rig(lettered(2), with_balance("least_connections", GENERATE(1, 2)));
  // One session each; the one of "b" goes, the two of "a" stay.
  std::vector<Held> held;
  while (std::count_if(held.begin(), held.end(), [](const Held& one) { return one.letter == 'a'; }) < 2) {
    held.push_back(hold(rig, held.size()));
  }
  std::size_t ended = 0;
  std::erase_if(held, [&](const Held& one) { return one.letter == 'b' && ++ended > 0; });
  rig.weir().wait_for_access(ended);
  std::string letters;
  for (std::size_t i = 0; i < 10; ++i) {
    letters += rig.letters(1);
    rig.weir().wait_for_access(ended + i + 1);
  }
  CHECK(letters == "bbbbbbbbbb");
}

TEST_CASE("least connections counts sessions that are still connecting") {
  BlackHole hole;
  FakeBackend live(lettered(2)[1]);
  FreePort port;
  SimpleConfig config = with_balance("least_connections", 1, "connect_timeout = \"30s\"");
  config.bind = port.v4();
  config.backends = {{"a", hole.address()}, {"b", live.address()}};
  WeirDaemon weir(config);
  std::vector<Stream> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(Stream::connect(port.v4()));
  CHECK(eventually([&] { return live.accepted() == 5; }));
  std::this_thread::sleep_for(100ms);  // none may come later
  CHECK(live.accepted() == 5);
}

TEST_CASE("after sessions of every ending no count is left behind", "[alone]") {
  const int workers = GENERATE(1, 2);
  // "a" and "b" reset clients that ask for it; nobody listens on "c".
  const auto obey = [](Stream& stream) {
    if (stream.recv_exact(1, 60s) == "r") return stream.reset();
    static_cast<void>(stream.recv_to_end());
  };
  std::vector<FakeBackendOptions> backends = lettered(3);
  backends[0].script = obey;
  backends[1].script = obey;
  Rig rig(std::move(backends), with_balance("least_connections", workers, "idle_timeout = \"1s\""));
  rig.backend(2).stop_listening();
  const std::size_t each = scaled(250);
  std::vector<Held> idle;
  for (std::size_t i = 0; i < each / 5; ++i) idle.push_back(hold(rig, i));
  for (std::size_t i = 0; i < each; ++i) {
    Held backend_resets = hold(rig, i);
    backend_resets.stream.send_all("r");
    backend_resets.stream.recv_to_end();
    Held client_resets = hold(rig, i);
    client_resets.stream.reset();
    Held ends_well = hold(rig, i);
    ends_well.stream.send_all("e");
    ends_well.stream.half_close();
    ends_well.stream.recv_to_end();
  }
  for (Held& one : idle) CHECK(one.stream.recv_to_end().ending == Ending::Reset);
  std::map<std::string, std::size_t> endings;
  for (const AccessLine& line : rig.weir().wait_for_access(idle.size() + 3 * each)) ++endings[line["end"]];
  CHECK(endings["idle"] == idle.size());
  CHECK(endings["client_reset"] == each);
  CHECK(endings["backend_reset"] == each);
  CHECK(endings["done"] == each);
  std::vector<Held> held;
  for (std::size_t i = 0; i < 10; ++i) held.push_back(hold(rig, i));
  const std::string letters = letters_of(held);
  CHECK(std::count(letters.begin(), letters.end(), 'a') == 5);
  CHECK(std::count(letters.begin(), letters.end(), 'b') == 5);
}

TEST_CASE("source hash spreads addresses evenly") {
  Rig rig(lettered(5), with_balance("source_hash", 2));
  const std::string map = map_of(rig, scaled(2000));
  std::map<char, std::size_t> share;
  for (const char letter : map) ++share[letter];
  for (const auto& [letter, count] : share) {
    CAPTURE(letter);
    CHECK(count * 5 * 100 <= map.size() * (kSanitized ? 160 : 125));
  }
  CHECK(share.size() == 5);
}

TEST_CASE("source hash gives a client the same backend whatever its port and the worker") {
  Rig rig(lettered(5), with_balance("source_hash", 2));
  ConnectOptions options;
  options.source = to_address("127.9.8.7:0");
  const char first = one_session(rig.address(), options);
  for (int i = 0; i < 20; ++i) CHECK(one_session(rig.address(), options) == first);
}

TEST_CASE("source hash gives the same map after a restart and in another order of the file") {
  const SimpleConfig config = with_balance("source_hash", 2);
  Rig rig(lettered(5), config);
  const std::string map = map_of(rig, 300);
  rig.restart(config, {0, 1, 2, 3, 4});
  CHECK(map_of(rig, 300) == map);
  rig.restart(config, {3, 1, 4, 0, 2});
  CHECK(map_of(rig, 300) == map);
}

TEST_CASE("source hash moves only the clients of a backend that is taken away") {
  const SimpleConfig config = with_balance("source_hash", 2);
  Rig rig(lettered(5), config);
  const std::string before = map_of(rig, 300);
  rig.restart(config, {0, 1, 3, 4});
  const std::string after = map_of(rig, 300);
  std::size_t moved_needlessly = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 'c' && after[i] != before[i]) ++moved_needlessly;
  }
  CHECK(moved_needlessly == 0);
  CHECK(after.find('c') == std::string::npos);
  rig.restart(config, {0, 1, 2, 3, 4});
  CHECK(map_of(rig, 300) == before);
}

TEST_CASE("source hash goes on to another backend when the chosen one refuses and comes back to it") {
  Rig rig(lettered(3), with_balance("source_hash"));
  const char home = rig.letters(1).front();
  FakeBackend& chosen = rig.backend(static_cast<std::size_t>(home - 'a'));
  chosen.stop_listening();
  const char refuge = rig.letters(1).front();
  CHECK(refuge != home);
  CHECK(rig.letters(1).front() == refuge);
  chosen.listen_again();
  CHECK(eventually([&] { return rig.letters(1).front() == home; }));
}
