#include "lb/control/elder_search.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "lb/base/counted.h"
#include "lb/base/log.h"
#include "lb/control/admin_request.h"
#include "lb/net/socket_path.h"

namespace weir {

namespace {

/// "4711" is 4711; anything else than a process id, as it is written, is none.
std::optional<pid_t> parse_pid(std::string_view text) {
  pid_t pid = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, pid);
  const bool whole = error == std::errc() && last == end && pid > 0 && text.front() != '0';
  return whole ? std::optional(pid) : std::nullopt;
}

bool is_alive(pid_t pid) {
  return ::kill(pid, 0) == 0 || errno == EPERM;
}

/// The sockets of root or of this user at `admin_socket` and a process id.
std::vector<Predecessor> candidates(const std::string& admin_socket) {
  const std::filesystem::path path(admin_socket);
  const std::string prefix = path.filename().string() + ".";
  std::vector<Predecessor> out;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path.parent_path(), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    const auto pid = parse_pid(std::string_view(name).substr(prefix.size()));
    struct stat file {};
    if (!pid || ::lstat(entry->path().c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) continue;
    if (file.st_uid == 0 || file.st_uid == ::geteuid()) out.push_back({*pid, entry->path().string()});
  }
  if (error)
    daemon_log().warn("older processes of this Weir, if there are any, are out of sight: {}: {}",
                      weir::quoted(path.parent_path().string()), error.message());
  return out;
}

bool is_owned(const std::string& path) {
  struct stat file {};
  return ::lstat(path.c_str(), &file) == 0 && file.st_uid == ::geteuid();
}

/// Of an answer to GET /v1/version. A version that does not say whether it has been superseded is believed by
/// its name.
bool is_superseded_weir(const HttpResponse& answer) {
  // It is there, and has no place for one more caller.
  if (answer.status == 503) return true;
  const auto json = nlohmann::json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !json.is_object() || !json.contains("version")) return false;
  const auto superseded = json.find("superseded");
  return superseded == json.end() || (superseded->is_boolean() && superseded->get<bool>());
}

}  // namespace

struct ElderSearch::Question {
  Question(Loop& loop, Predecessor asked, const Address& address, std::function<void()> answered)
      : candidate(std::move(asked)),
        file(address),
        request(loop, [this, answered = std::move(answered)](const AdminRequest::Outcome& outcome) {
          hear(outcome);
          answered();
        }) {
    file.set_owned(false);
    request.expect(candidate.pid);
    request.send(candidate.socket, "GET", "/v1/version", "");
  }

  void hear(const AdminRequest::Outcome& outcome) {
    if (outcome) {
      is_elder = is_superseded_weir(*outcome);
    } else if (outcome.error() == AdminRequest::Failure::Late) {
      is_elder = true;
      daemon_log().warn("the older process {} does not answer at {}: it may have sessions", candidate.pid,
                        candidate.socket);
    } else if (outcome.error() == AdminRequest::Failure::Gone && is_owned(candidate.socket)) {
      file.set_owned(true);
      file.remove();
    }
  }

  const Predecessor candidate;
  SocketPath file;  ///< what it was before somebody was asked there
  bool is_elder = false;
  AdminRequest request;
};

ElderSearch::ElderSearch(Loop& loop) : loop_(loop) {}
ElderSearch::~ElderSearch() = default;

void ElderSearch::begin(const std::string& admin_socket, Done done) {
  done_ = std::move(done);
  waiting_ = 1;
  auto all = admin_socket.empty() ? std::vector<Predecessor>() : candidates(admin_socket);
  std::stable_partition(all.begin(), all.end(), [](const Predecessor& one) { return is_alive(one.pid); });
  if (all.size() > kMost) {
    daemon_log().warn("{} look like older processes of this Weir: {} are asked",
                      counted(all.size(), "socket"), kMost);
    all.resize(kMost);
  }
  for (Predecessor& candidate : all) {
    const auto address = Address::unix_path(candidate.socket);
    if (!address) continue;
    ++waiting_;
    questions_.push_back(
        std::make_unique<Question>(loop_, std::move(candidate), *address, [this] { on_answered(); }));
  }
  on_answered();
}

void ElderSearch::on_answered() {
  if (--waiting_ > 0) return;
  std::vector<Predecessor> found;
  for (const auto& question : questions_)
    if (question->is_elder) found.push_back(question->candidate);
  questions_.clear();
  std::exchange(done_, nullptr)(std::move(found));
}

}  // namespace weir
