#include "lb/net/process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "lb/base/fd.h"
#include "lb/net/loop.h"
#include "lb/net/signals.h"
#include "lb/net/timer.h"
#include "tests/support/timing.h"

using namespace weir;

namespace {

std::unique_ptr<Loop> make_loop() {
  auto loop = Loop::create();
  REQUIRE(loop);
  return std::move(*loop);
}

SpawnOptions shell(std::string script) {
  return {.command = {"/bin/sh", "-c", std::move(script)}, .environment = {"WEIR_X=1"}, .descriptors = {}};
}

/// The exit of one child, waited for on `loop`.
ChildProcess::Exit run_child(Loop& loop, const SpawnOptions& options) {
  ChildProcess::Exit exit{-1, -1};
  auto child = ChildProcess::spawn(loop, options, [&](ChildProcess::Exit seen) {
    exit = seen;
    loop.stop();
  });
  REQUIRE(child);
  loop.run();
  // Reaped: nobody is left to wait for.
  REQUIRE(::waitpid((*child)->pid(), nullptr, WNOHANG) == -1);
  return exit;
}

}  // namespace

TEST_CASE("a child's exit status is told and the child is reaped") {
  const auto loop = make_loop();
  const auto exit = run_child(*loop, shell("test $WEIR_X = 1 && test -z \"$HOME\" && exit 7"));
  REQUIRE(exit.status == 7);
  REQUIRE(exit.signal == 0);
}

TEST_CASE("a child gets the descriptors it was given") {
  const auto loop = make_loop();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  SpawnOptions options = shell("echo hello >&5");
  options.descriptors = {{5, write_end.get()}};
  REQUIRE(run_child(*loop, options).status == 0);
  write_end.reset();
  char text[16] = {};
  REQUIRE(::read(read_end.get(), text, sizeof text) == 6);
  REQUIRE(std::string(text) == "hello\n");
}

TEST_CASE("kill reaches what the child has started, when it has a process group of its own") {
  const auto loop = make_loop();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  SpawnOptions options = shell("sleep 1000 & wait");
  options.own_process_group = true;
  options.descriptors = {{1, write_end.get()}};
  ChildProcess::Exit exit;
  auto child = ChildProcess::spawn(*loop, options, [&](ChildProcess::Exit seen) {
    exit = seen;
    loop->stop();
  });
  REQUIRE(child);
  write_end.reset();
  (*child)->kill(SIGKILL);
  loop->run();
  REQUIRE(exit.signal == SIGKILL);
  // EOF: the grandchild, which held the other end, is dead too.
  char byte;
  REQUIRE(::read(read_end.get(), &byte, 1) == 0);
  (*child)->kill(SIGKILL);  // of one that has exited: a no-op
}

TEST_CASE("a command that does not exist is an error with its name") {
  const auto loop = make_loop();
  const auto child =
      ChildProcess::spawn(*loop, {.command = {"/nonexistent/probe"}, .environment = {}, .descriptors = {}},
                          [](ChildProcess::Exit) { FAIL("it never ran"); });
  REQUIRE_FALSE(child);
  REQUIRE(child.error().message.find("/nonexistent/probe") != std::string::npos);
}

TEST_CASE("a ChildProcess may be destroyed in its own callback, or before its child has exited") {
  const auto loop = make_loop();
  std::unique_ptr<ChildProcess> own;
  auto spawned = ChildProcess::spawn(*loop, shell("exit 0"), [&](ChildProcess::Exit) {
    own.reset();
    loop->stop();
  });
  REQUIRE(spawned);
  own = std::move(*spawned);
  auto orphan =
      ChildProcess::spawn(*loop, shell("exit 0"), [](ChildProcess::Exit) { FAIL("nobody listens"); });
  REQUIRE(orphan);
  const int pid = (*orphan)->pid();
  orphan->reset();
  loop->run();
  REQUIRE_FALSE(own);
  // The orphan is reaped unseen.
  Timer again(*loop, [&] {
    if (::waitpid(pid, nullptr, WNOHANG | WNOWAIT) == -1 && errno == ECHILD) return loop->stop();
    again.start(Millis(1));
  });
  again.start(Millis(1));
  loop->run();
}

TEST_CASE("a loop can be destroyed while a child that nobody owns any more still runs") {
  auto loop = make_loop();
  auto child = ChildProcess::spawn(*loop, shell("exec sleep 1000"),
                                   [](ChildProcess::Exit) { FAIL("nobody listens"); });
  REQUIRE(child);
  const int pid = (*child)->pid();
  child->reset();
  loop.reset();
  REQUIRE(::kill(pid, SIGKILL) == 0);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
}

TEST_CASE("a signal calls its watch, each time, and comes to nothing once the watch is gone") {
  block_signals({SIGUSR2});
  const auto loop = make_loop();
  int seen = 0;
  {
    SignalWatch watch(*loop, SIGUSR2, [&] {
      if (++seen < 3)
        ::raise(SIGUSR2);
      else
        loop->stop();
    });
    ::raise(SIGUSR2);
    loop->run();
  }
  ::raise(SIGUSR2);  // its default action would end the process
  REQUIRE(seen == 3);
}
