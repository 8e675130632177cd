#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <map>
#include <type_traits>

#include "bench/load/options.h"
#include "bench/load/size.h"
#include "bench/load/wire.h"
#include "lb/base/duration.h"

namespace weir::load {

namespace {

/// What the command line holds as text until it is known to be well formed.
struct Texts {
  std::string target;
  std::vector<std::string> listen;
  std::string mode = "echo";
  std::string direction = "down";
  int pin = -1;
};

template <class Set>
CLI::Option* add_duration(CLI::App& app, const char* name, const char* help, Set set) {
  return app
      .add_option_function<std::string>(
          name,
          [name, set](const std::string& text) {
            const auto parsed = parse_duration(text);
            if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
            set(Nanos{parsed->count()} * kMillisecond);
          },
          help)
      ->type_name("DURATION");
}

Address read_address(const char* option, const std::string& text) {
  const auto address = parse_address(text);
  if (!address) throw CLI::ValidationError(option, address.error().message);
  return *address;
}

template <class T>
CLI::Option* add_size(CLI::App& app, const char* name, T& value, const char* help) {
  return app
      .add_option_function<std::string>(
          name,
          [name, &value](const std::string& text) {
            const auto parsed = parse_size(text);
            if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
            if constexpr (std::is_floating_point_v<T>) {
              value = *parsed;
            } else {
              value = static_cast<std::uint64_t>(*parsed);
            }
          },
          help)
      ->type_name("SIZE");
}

void add_output(CLI::App& app, OutputOptions& output, Texts& texts) {
  app.add_flag("--json", output.json, "JSON on stdout; everything else goes to stderr");
  app.add_flag("--quiet", output.quiet, "no progress, and no table beside the JSON");
  app.add_flag("--allow-errors", output.allow_errors, "exit 0 even when there were errors");
  app.add_option("--pin", texts.pin, "run on this CPU only");
}

void add_client(CLI::App& app, ClientOptions& client, Texts& texts) {
  app.add_option("--target", texts.target, "ip:port, [v6]:port or unix:/path")->required();
  app.add_option("--sources", client.dial.sources,
                 "spread over so many of 127.0.0.2 to 127.0.0.65 (1: not bound)")
      ->check(CLI::Range(1U, Dialer::kMaxSources));
  app.add_flag("--reset", client.dial.reset_on_close, "close with a reset: leaves no TIME_WAIT");
  add_duration(app, "--timeout", "for a connect, an answer, or a stalled stream (5s)",
               [&client](Nanos span) { client.timeout = span; });
  add_duration(app, "--duration", "of the measured part (10s, unless a count ends the run)",
               [&client](Nanos span) { client.schedule.duration = span; });
  add_output(app, client.output, texts);
}

void add_schedule(CLI::App& app, ScheduleOptions& schedule, const char* what) {
  app.add_option_function<std::uint64_t>(
         "--count", [&schedule](std::uint64_t n) { schedule.count = n; },
         fmt::format("exactly so many {}", what))
      ->check(CLI::PositiveNumber);
  app.add_option("--rate", schedule.rate_per_second,
                 fmt::format("{} a second, whatever the answers do (open loop; latency counts from the "
                             "intended start). Without: each follows the last, flat out",
                             what))
      ->check(CLI::PositiveNumber);
}

void add_preface(CLI::App& app, Preface& preface, const char* help) {
  static const std::map<std::string, Preface> kNames = {
      {"none", Preface::None}, {"proxy", Preface::Proxy}, {"hello", Preface::Hello}};
  app.add_option("--preface", preface, help)->transform(CLI::CheckedTransformer(kNames));
}

void finish(ClientOptions& client, const Texts& texts, bool ends_by_itself) {
  client.target = read_address("--target", texts.target);
  if (!client.schedule.duration && !client.schedule.count && !ends_by_itself)
    client.schedule.duration = 10 * kSecond;
  if (client.dial.sources > 1 && client.target.family() != AF_INET)
    throw CLI::ValidationError("--sources", "needs an IPv4 target on loopback");
}

void prepare_process(int pin) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (pin < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(pin), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0)
    throw CLI::ValidationError("--pin", fmt::format("no CPU {} for this process", pin));
}

using Action = std::function<int()>;

void add_churn(CLI::App& root, Action& action, ClientOptions& client, Texts& texts, ChurnOptions& options) {
  CLI::App& app = *root.add_subcommand("churn", "short connections: connect, one request and answer, close");
  add_client(app, client, texts);
  add_schedule(app, client.schedule, "connections");
  app.add_option("--concurrency", options.concurrency, "connections at once, at most")
      ->check(CLI::Range(1U, 100'000U));
  add_size(app, "--request-bytes", options.shape.request_bytes, "64");
  add_size(app, "--answer-bytes", options.shape.answer_bytes,
           "64; other than the request's: of a server in mode answer with the same sizes");
  add_preface(app, options.preface, "before the request: a PROXY v2 header, or a ClientHello");
  app.add_flag("--server-closes", options.shape.until_end, "wait for the server's FIN (serve --close-after)");
  app.callback([&] {
    finish(client, texts, false);
    action = [&] { return run_churn(client, options); };
  });
}

void add_get(CLI::App& root, Action& action, ClientOptions& client, Texts& texts, GetOptions& options) {
  CLI::App& app = *root.add_subcommand("get", "HTTP GETs, a connection for each: who answers how many");
  add_client(app, client, texts);
  add_schedule(app, client.schedule, "requests");
  app.add_option("--concurrency", options.concurrency, "connections at once, at most")
      ->check(CLI::Range(1U, 100'000U));
  app.add_option("--path", options.path, "/");
  app.add_flag("--ask-again", options.ask_again,
               "once more on a new connection when one ends before its answer begins; counted apart");
  app.add_flag("--line", options.line,
               "one line that stays instead of a table: sessions, failed, who answered");
  app.callback([&] {
    finish(client, texts, options.line);
    action = [&] { return run_get(client, options); };
  });
}

void add_round_trips(CLI::App& root, Action& action, ClientOptions& client, Texts& texts,
                     RoundTripOptions& options) {
  CLI::App& app = *root.add_subcommand("rr", "round trips on sessions that stay (serve --mode echo)");
  add_client(app, client, texts);
  add_schedule(app, client.schedule, "round trips");
  app.add_option("--sessions", options.sessions, "1")->check(CLI::Range(1U, 100'000U));
  add_size(app, "--bytes", options.message_bytes, "of a message (64)");
  app.callback([&] {
    finish(client, texts, false);
    action = [&] { return run_round_trips(client, options); };
  });
}

void add_bulk(CLI::App& root, Action& action, ClientOptions& client, Texts& texts, BulkOptions& options) {
  CLI::App& app = *root.add_subcommand(
      "bulk", "long streams: down from serve --mode source, up to --mode sink, both with --mode echo");
  add_client(app, client, texts);
  app.add_option("--streams", options.streams, "1")->check(CLI::Range(1U, 100'000U));
  app.add_option("--direction", texts.direction, "down, up or both")
      ->check(CLI::IsMember({"down", "up", "both"}));
  add_size(app, "--bytes", options.bytes, "for each stream and direction, then its end");
  add_size(
      app, "--rate", options.rate_bytes_per_second,
      "bytes/s in all, each direction, moved in even chunks by this side (a slow reader, downward: to pace "
      "the sender use serve --rate)");
  add_size(app, "--chunk", options.chunk_bytes, "of a paced transfer (64Ki)");
  CLI::Option* verify = app.add_flag("--verify", options.verify, "compare every byte received");
  app.add_flag("--truncate", options.truncate, "discard in the kernel what is received (MSG_TRUNC)")
      ->excludes(verify);
  app.callback([&] {
    finish(client, texts, options.bytes.has_value());
    if (texts.direction == "up") options.direction = Direction::Up;
    if (texts.direction == "both") options.direction = Direction::Both;
    action = [&] { return run_bulk(client, options); };
  });
}

void add_idle(CLI::App& root, Action& action, ClientOptions& client, Texts& texts, IdleOptions& options) {
  CLI::App& app = *root.add_subcommand(
      "idle",
      "open sessions, say \"holding N\", hold them for --duration or until a line on stdin or SIGTERM");
  add_client(app, client, texts);
  app.add_option("--sessions", options.sessions, "100")->check(CLI::Range(1U, 100'000U));
  app.add_flag("--exchange", options.exchange,
               "one byte there and back first, so that a backend is connected");
  app.callback([&] {
    finish(client, texts, true);
    action = [&] { return run_idle(client, options); };
  });
}

void read_serve(ServeOptions& options, const Texts& texts) {
  static constexpr std::pair<std::string_view, ServeMode> kModes[] = {
      {"echo", ServeMode::Echo}, {"source", ServeMode::Source}, {"sink", ServeMode::Sink},
      {"http", ServeMode::Http}, {"letter", ServeMode::Letter}, {"answer", ServeMode::Answer}};
  for (const auto& [name, mode] : kModes)
    if (name == texts.mode) options.mode = mode;
  if (options.mode == ServeMode::Letter && options.greeting.empty())
    throw CLI::ValidationError("--greeting", "mode letter needs one");
  for (const std::string& text : texts.listen) options.listen.push_back(read_address("--listen", text));
}

void add_serve(CLI::App& root, Action& action, Texts& texts, ServeOptions& options) {
  CLI::App& app = *root.add_subcommand("serve", "a test server, until SIGINT or SIGTERM");
  app.add_option("--listen", texts.listen, "ip:port, [v6]:port or unix:/path; may be repeated")->required();
  app.add_option("--mode", texts.mode, "echo, source, sink, http, letter (greeting, then echo), answer")
      ->check(CLI::IsMember({"echo", "source", "sink", "http", "letter", "answer"}));
  app.add_option("--name", options.name, "http: what it answers (default: the address it was reached at)");
  add_preface(app, options.preface, "what stands before the request and is not answered: none, proxy, hello");
  app.add_option("--greeting", options.greeting, "letter: sent on accept");
  add_size(app, "--bytes", options.bytes, "source: so many, then FIN (default: for ever)");
  add_size(app, "--rate", options.rate_bytes_per_second,
           "source: bytes/s for each connection, in even chunks");
  add_size(app, "--chunk", options.chunk_bytes, "of a paced source (64Ki)");
  add_size(app, "--close-after", options.close_after,
           "echo, sink, answer: FIN when so many received bytes are answered");
  add_size(app, "--request-bytes", options.request_bytes, "answer: of a request (64)");
  add_size(app, "--answer-bytes", options.answer_bytes, "answer: of an answer (64)");
  CLI::Option* verify = app.add_flag("--verify", options.verify, "sink: compare every byte received");
  app.add_flag("--truncate", options.truncate, "sink: discard in the kernel (MSG_TRUNC)")->excludes(verify);
  add_output(app, options.output, texts);
  app.callback([&] {
    read_serve(options, texts);
    action = [&] { return run_serve(options); };
  });
}

void add_wire(CLI::App& root, Action& action, Texts& texts, WireOptions& options) {
  CLI::App& app = *root.add_subcommand(
      "wire", "a wire between two network namespaces, until SIGINT or SIGTERM: a tun device in each");
  app.add_option("--near", options.near, "the file of one, as /run/netns/NAME")->required();
  app.add_option("--far", options.far, "of the other")->required();
  app.add_option("--device", options.device, "wire0")->check([](const std::string& name) {
    return !name.empty() && name.size() < IFNAMSIZ ? "" : "a device's name has 1 to 15 characters";
  });
  add_duration(app, "--delay", "of a round trip (0s)", [&options](Nanos span) { options.delay = span; });
  app.add_option("--pin", texts.pin, "run on this CPU only");
  app.callback([&] { action = [&] { return run_wire(options); }; });
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("weir-bench: load and test servers for a TCP load balancer");
  app.require_subcommand(1);
  Texts texts;
  ClientOptions client;
  ChurnOptions churn;
  GetOptions get;
  RoundTripOptions round_trips;
  BulkOptions bulk;
  IdleOptions idle;
  ServeOptions serve;
  WireOptions wire;
  Action action;
  add_serve(app, action, texts, serve);
  add_churn(app, action, client, texts, churn);
  add_get(app, action, client, texts, get);
  add_round_trips(app, action, client, texts, round_trips);
  add_bulk(app, action, client, texts, bulk);
  add_idle(app, action, client, texts, idle);
  add_wire(app, action, texts, wire);
  try {
    app.parse(argc, argv);
    prepare_process(texts.pin);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return action();
}

}  // namespace weir::load
