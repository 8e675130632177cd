#include "lb/cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "lb/base/build.h"
#include "lb/cli/command_line_state.h"
#include "lb/cli/exit_status.h"
#include "lb/cli/offers.h"
#include "lb/cli/syntax.h"
#include "lb/cli/usage_complaint.h"

namespace weir {

int say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kExitDone;
}

std::string check_duration(const std::string& text) {
  const auto parsed = parse_duration(text);
  return parsed ? "" : parsed.error().message;
}

std::string check_given(const std::string& text) {
  return text.empty() ? "is empty; leave the option out, or say which" : "";
}

void add_remark(CLI::App* command, RemarkOptions& remark) {
  command
      ->add_option_function<std::string>(
          "--for", [&remark](const std::string& text) { remark.lasts = *parse_duration(text); },
          "it ends by itself after this long")
      ->check(check_duration)
      ->type_name("DURATION");
  command->add_option("--comment", remark.comment, "why, for those who look at the status")
      ->check(check_given)
      ->type_name("TEXT");
}

void add_filter(CLI::App* command, FilterOptions& filter) {
  command->add_option("--pool", filter.pool, "sessions of this pool")->check(check_given)->type_name("POOL");
  command->add_option("--backend", filter.backend, "of this backend; beside --pool its name is enough")
      ->check(check_given)
      ->type_name("POOL/BACKEND");
  command->add_option("--client", filter.client, "from this address or network (203.0.113.0/24)")
      ->check(check_given)
      ->type_name("NETWORK");
  command->add_flag("--denied", filter.denied, "whom the listener's rules would not let in now");
}

CommandLine::State::State(CLI::App& to, std::string own_version, LocalCommands own)
    : app(to), version(std::move(own_version)), local(std::move(own)) {
  app.set_help_flag("-h,--help", "what it does, and its options");
  file = kBuild.config_file;
  const std::string commit = kBuild.commit.empty() ? "" : fmt::format(" ({})", kBuild.commit);
  app.set_version_flag("-V,--version", "weir " + version + commit, "the version");
  app.formatter_fn(
      [](const CLI::App* one, const std::string&, CLI::AppFormatMode) { return help_text(*one); });
}

CLI::App* CommandLine::State::add(const std::string& name, const std::string& what,
                                  const std::string& examples, std::function<int()> act) {
  auto* command = app.add_subcommand(name, what);
  command->footer("Examples:\n" + examples);
  add_socket(command);
  add_output(command);
  // A drain's own --timeout is another thing.
  if (name != "drain") add_timeout(command);
  command->callback([this, act = std::move(act)] { chosen = act; });
  return command;
}

void CommandLine::State::add_timeout(CLI::App* command) {
  command
      ->add_option_function<std::string>(
          "--timeout", [this](const std::string& text) { common.patience = *parse_duration(text); },
          "how long the daemon may take to answer; then exit 5 (default: 15s, of an upgrade 75s)")
      ->check(check_duration)
      ->type_name("DURATION");
}

void CommandLine::State::add_socket(CLI::App* command) {
  command
      ->add_option(
          "--socket", common.socket,
          "the daemon's admin socket (default: WEIR_SOCKET, else /run/weir/weir.sock, or an ordinary "
          "user's own)")
      ->type_name("PATH");
}

void CommandLine::State::add_file(CLI::App* command) {
  command
      ->add_option("-c,--config", file,
                   fmt::format("the configuration file (default: {})", kBuild.config_file))
      ->type_name("FILE");
}

void CommandLine::State::add_output(CLI::App* command) {
  command
      ->add_option_function<std::string>(
          "-o,--output", [this](const std::string& format) { common.json = format == "json"; },
          "the form of the answer")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
}

CommandLine::CommandLine(CLI::App& app, std::string version, LocalCommands local)
    : state_(std::make_unique<State>(app, std::move(version), std::move(local))) {
  state_->add_local();
  state_->add_status();
  state_->add_top();
  state_->add_drain();
  state_->add_changes();
  state_->add_members();
  state_->add_sessions();
  state_->add_ends();
  state_->add_past_and_why();
  state_->add_process();
  state_->add_descriptions();
}

CommandLine::~CommandLine() = default;

std::string CommandLine::explain(const std::string& complaint,
                                 const std::vector<std::string>& arguments) const {
  return usage_complaint(state_->app, complaint, arguments);
}

int CommandLine::complete(const std::vector<std::string>& words) const {
  return say(offer_lines(offers_for(state_->app, words, ask_running)));
}

bool CommandLine::chosen() const {
  return state_->chosen != nullptr;
}

int CommandLine::run() const {
  return state_->chosen();
}

}  // namespace weir
