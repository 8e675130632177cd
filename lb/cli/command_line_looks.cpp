// The commands that ask and change nothing.
#include <CLI/CLI.hpp>

#include "lb/cli/command_line_state.h"
#include "lb/cli/exchange.h"
#include "lb/cli/exit_status.h"

namespace weir {

void CommandLine::State::add_status() {
  auto* command =
      add("status", "what is served by whom, and why not",
          "  weir status\n  weir status web/web1 -o json\n  weir status --watch\n  weir status --ready web",
          [this] {
            if (ready) return run_ready(common, targets);
            return run_status(common, targets, flag);
          });
  command
      ->add_option("target", targets,
                   "one, either part of which may be a glob; with --ready any number of listeners")
      ->type_name("POOL[/BACKEND]");
  command->add_flag("--ready", ready, "exit 0 when every listener can be served, else 1 and why; within 1s");
  command->add_flag("--watch", flag, "again every second, until q or Ctrl-C");
}

void CommandLine::State::add_top() {
  auto* command =
      add("top",
          "the same in place, with keys: sort, filter, drain, enable, weight, a backend's sessions; "
          "once where there is no terminal",
          "  weir top\n  weir top web", [this] { return run_top(common, target); });
  command->add_option("pool", target, "this pool only")->type_name("POOL");
}

void CommandLine::State::add_sessions() {
  auto* list = add("sessions", "the live sessions",
                   "  weir sessions --backend web/web1\n  weir sessions --client 203.0.113.0/24\n"
                   "  weir sessions --sort bytes --limit 10\n  weir sessions --by client",
                   [this] {
                     listing.by_client = flag;
                     return run_sessions(common, filter, listing);
                   });
  add_filter(list, filter);
  list->add_option("--sort", listing.sort, "those with the most bytes, age or idle time first")
      ->check(CLI::IsMember({"bytes", "age", "idle"}))
      ->type_name("bytes|age|idle");
  list->add_option("--limit", listing.limit, "so many at most")->check(CLI::Range(1, 10'000))->type_name("N");
  list->add_option_function<std::string>(
          "--by", [this](const std::string&) { flag = true; }, "count them by client, the most first")
      ->check(CLI::IsMember({"client"}))
      ->type_name("client");
}

int CommandLine::State::explain_client() {
  const bool of_listener = !caller.listener.empty();
  if (of_listener != second.empty()) {
    complain(of_listener ? "explain --listener NAME CLIENT_IP: one address is needed, and no pool"
                         : "explain POOL CLIENT_IP: both are needed");
    return kExitUsage;
  }
  return run_explain(common, of_listener ? "" : target, of_listener ? target : second, caller);
}

void CommandLine::State::add_past_and_why() {
  auto* past = add(
      "events", "what has happened: transitions, what operators said, reloads, own trouble",
      "  weir events --since 1h\n  weir events web/web1 --limit 20\n  weir events --follow -o json", [this] {
        const auto of = since.empty() ? std::nullopt : std::optional(*parse_duration(since));
        return follow ? run_follow(common, target, of) : run_events(common, target, of, listing.limit);
      });
  past->add_option("target", target, "of this one only")->type_name("POOL[/BACKEND]");
  past->add_option("--since", since, "of this long, until now")->check(check_duration)->type_name("DURATION");
  auto* following = past->add_flag("--follow", follow, "and what comes, one a line, until it is interrupted");
  past->add_option("--limit", listing.limit, "the last N (default: all that are kept)")
      ->check(CLI::Range(1, 10'000))
      ->type_name("N")
      ->excludes(following);
  auto* why = add(
      "explain", "whether a client would be let in, which backend it would get, and why",
      "  weir explain web 203.0.113.9\n  weir explain --listener public 203.0.113.9 --sni www.example.org",
      [this] { return explain_client(); });
  why->add_option("pool", target, "the pool; with --listener none is given")->required()->type_name("POOL");
  why->add_option("client", second, "the client's address")->type_name("CLIENT_IP");
  auto* at =
      why->add_option("--listener", caller.listener, "of a client that comes there")->type_name("NAME");
  why->add_option("--peer", caller.peer, "whom that address announces with a PROXY header")
      ->needs(at)
      ->type_name("IP");
  why->add_option("--sni", caller.sni, "which asks for that name")->needs(at)->type_name("NAME");
  why->add_option("--alpn", caller.alpn, "and offers these protocols, with commas between them")
      ->needs(at)
      ->type_name("PROTOCOL");
}

}  // namespace weir
