#include "lb/cli/offers.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "lb/base/duration.h"
#include "lb/cli/client.h"
#include "lb/cli/syntax.h"

namespace weir {
namespace {

/// Whoever presses a key waits no longer.
constexpr Millis kPatience{1'000};

/// What the words before the one being written mean.
struct Typed {
  std::vector<const CLI::Option*> given;
  const CLI::Option* pending = nullptr;  ///< the option whose value the next word is
  std::size_t operands = 0;
  bool only_operands = false;  ///< after "--"
  std::string socket, pool;
};

bool takes_value(const CLI::Option& option) {
  return !value_of(option).shown.empty();
}

bool has_flag(const CLI::Option& option, std::string_view flag) {
  const auto flags = flags_of(option);
  return std::ranges::find(flags, flag) != flags.end();
}

const CLI::Option* find_option(const CLI::App& command, std::string_view flag) {
  for (const auto* option : options_of(command))
    if (has_flag(*option, flag)) return option;
  return nullptr;
}

/// "--then" of "--then=close", "-o" of "-ojson".
std::string_view flag_in(std::string_view word) {
  return word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
}

void note_value(Typed& typed, const CLI::Option& option, std::string_view value) {
  if (has_flag(option, "--socket")) typed.socket = value;
  if (has_flag(option, "--pool")) typed.pool = value;
}

Typed read(const CLI::App& command, const std::vector<std::string>& words) {
  Typed typed;
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const std::string_view word = words[i];
    if (typed.pending != nullptr) {
      note_value(typed, *typed.pending, word);
      typed.pending = nullptr;
    } else if (word == "--" && !typed.only_operands) {
      typed.only_operands = true;
    } else if (typed.only_operands || word.size() < 2 || word[0] != '-') {
      ++typed.operands;
    } else if (const auto* option = find_option(command, flag_in(word)); option != nullptr) {
      typed.given.push_back(option);
      const std::size_t flag = flag_in(word).size();
      if (word.size() == flag && takes_value(*option)) typed.pending = option;
      if (word.size() > flag) note_value(typed, *option, word.substr(flag + (word[flag] == '=' ? 1 : 0)));
    }
  }
  return typed;
}

std::string state_of(const AnswerJson& backend) {
  const std::string admin = text(backend, "admin");
  return fmt::format("{}, {}", admin == "enabled" ? text(backend, "health") : admin,
                     text(backend, "address"));
}

void add_pools(const AnswerJson& status, Offers& offers) {
  for (const AnswerJson& pool : list(status, "pools"))
    offers.values.push_back({text(pool, "name"), text(pool, "balance")});
}

/// "POOL/BACKEND"; of one pool only, when it is named elsewhere, the name alone.
void add_backends(const AnswerJson& status, const std::string& only_pool, Offers& offers) {
  for (const AnswerJson& pool : list(status, "pools")) {
    const std::string name = text(pool, "name");
    if (!only_pool.empty() && name != only_pool) continue;
    const std::string prefix = only_pool.empty() ? name + "/" : "";
    for (const AnswerJson& backend : list(pool, "backends"))
      if (const std::string own = text(backend, "name"); !own.empty() && !flag(backend, "removed"))
        offers.values.push_back({prefix + own, state_of(backend)});
  }
}

void add_listeners(const AnswerJson& status, Offers& offers) {
  for (const AnswerJson& listener : list(status, "listeners"))
    offers.values.push_back({text(listener, "name"), "listener"});
}

Offers offers_of_value(const CLI::Option& option, const Typed& typed, const AskStatus& ask) {
  Offers offers;
  const ValueName value = value_of(option);
  for (const std::string& word : value.words) offers.values.push_back({word, ""});
  const bool ready =
      std::ranges::any_of(typed.given, [](const auto* one) { return has_flag(*one, "--ready"); });
  if (value.shown == "FILE" || value.shown == "PATH")
    offers.files = true;
  else if (value.shown == "POOL")
    add_pools(ask(typed.socket), offers);
  else if (value.shown == "POOL/BACKEND")
    add_backends(ask(typed.socket), option.get_positional() ? "" : typed.pool, offers);
  else if (value.shown == "LISTENER" || (value.shown == "POOL[/BACKEND]" && ready))
    add_listeners(ask(typed.socket), offers);
  else if (value.shown == "POOL[/BACKEND]") {
    const AnswerJson status = ask(typed.socket);
    add_pools(status, offers);
    add_backends(status, "", offers);
  }
  return offers;
}

Offers offers_of_options(const CLI::App& command, const std::vector<const CLI::Option*>& given) {
  Offers offers;
  for (const auto* option : options_of(command))
    if (std::ranges::find(given, option) == given.end())
      offers.values.push_back({flags_of(*option).back(), option->get_description()});
  return offers;
}

Offers offers_of_commands(const CLI::App& app) {
  Offers offers;
  for (const auto* command : shown_commands(app))
    offers.values.push_back({command->get_name(), command->get_description()});
  return offers;
}

}  // namespace

Offers offers_for(const CLI::App& app, const std::vector<std::string>& words, const AskStatus& ask) {
  const std::string word = words.empty() ? "" : words.back();
  if (words.size() < 2) return word.starts_with('-') ? offers_of_options(app, {}) : offers_of_commands(app);
  const auto named =
      app.get_subcommands([&](const CLI::App* one) { return one->get_name() == words.front(); });
  if (named.empty()) return {};
  const CLI::App* command = named.front();
  const Typed typed = read(*command, words);
  if (typed.pending != nullptr) return offers_of_value(*typed.pending, typed, ask);
  if (word.starts_with('-') && !typed.only_operands) {
    if (!word.starts_with("--") || word.find('=') == std::string::npos)
      return offers_of_options(*command, typed.given);
    const auto* option = find_option(*command, flag_in(word));
    if (option == nullptr || !takes_value(*option)) return {};
    Offers offers = offers_of_value(*option, typed, ask);
    for (Offer& offer : offers.values) offer.value = fmt::format("{}={}", flag_in(word), offer.value);
    return offers;
  }
  const auto operands = operands_of(*command);
  if (operands.empty()) return {};
  const bool more = typed.operands < operands.size() || repeats(*operands.back());
  return more ? offers_of_value(*operands[std::min(typed.operands, operands.size() - 1)], typed, ask)
              : Offers();
}

AnswerJson ask_running(const std::string& socket) {
  const auto reply = AdminClient(admin_socket(socket), kPatience).request("GET", {"status"});
  return parse_object(reply && reply->status == 200 ? reply->body : "");
}

std::string offer_lines(const Offers& offers) {
  std::string out = offers.files ? "files\n" : "values\n";
  for (const Offer& offer : offers.values)
    if (offer.value.find_first_of("\t\n") == std::string::npos && !offer.value.empty())
      out += fmt::format("{}\t{}\n", offer.value, offer.about);
  return out;
}

}  // namespace weir
