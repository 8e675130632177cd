// What a stall of the process, or of the machine, costs.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "tests/support/operated.h"

using namespace weir::test;
using namespace std::chrono_literals;

TEST_CASE("bytes that came while Weir was stopped keep their sessions from ending as idle") {
  SimpleConfig config;
  config.pool = "idle_timeout = \"2s\"";
  Operated weir(std::vector<FakeBackendOptions>(1), config);
  std::vector<Stream> clients;
  for (int i = 0; i < 600; ++i) clients.push_back(weir.connect());
  for (Stream& client : clients) REQUIRE(client.echoes("a"));
  weir.process().signal(SIGSTOP);
  std::this_thread::sleep_for(2500ms);
  for (Stream& client : clients) client.send_all("b");
  weir.process().signal(SIGCONT);
  std::size_t served = 0;
  for (Stream& client : clients) served += client.recv_some() == "b" ? 1U : 0U;
  CHECK(served == clients.size());
}

TEST_CASE("a backend that accepts and ends at once costs no client anything, however its end is heard") {
  FakeBackendOptions gone = scripted([](Stream&) {});
  Operated weir({gone, lettered(1)[0]});
  std::string letters;
  for (int round = 0; round < 100; ++round) {
    std::vector<Stream> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(weir.connect());
    for (Stream& client : clients) letters += client.recv_some();
  }
  CHECK(letters == std::string(400, 'a'));
}
