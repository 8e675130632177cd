#include "lb/daemon/takeover.h"

#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "lb/base/journal.h"
#include "lb/base/log.h"

namespace weir {

using Json = nlohmann::ordered_json;

Result<Fd> take_admin_socket(std::optional<Inheritance>& inheritance, const AdminConfig& wanted,
                             AdminApi::Level level) {
  if (!inheritance) return AdminApi::bind(wanted, level);
  const bool all = level == AdminApi::Level::All;
  Fd inherited = std::move(all ? inheritance->admin : inheritance->read_only_admin);
  const std::string& path = all ? wanted.socket : wanted.read_only_socket;
  if (!inherited || (all ? inheritance->admin_path : inheritance->read_only_admin_path) != path)
    return AdminApi::bind(wanted, level);
  ::chmod(path.c_str(), all ? wanted.mode : wanted.read_only_mode);
  return inherited;
}

Takeover::Takeover(Loop& loop, Fd channel, Fd standard_error,
                   std::function<void(std::optional<Predecessor>)> on_free)
    : loop_(loop),
      on_free_(std::move(on_free)),
      standard_error_(std::move(standard_error)),
      patience_(loop, [this] {
        daemon_log().warn("upgrade: the old process does not step back; its sessions are out of sight");
        free(std::nullopt);
      }) {
  auto created = UpgradeChannel::create(loop_, std::move(channel),
                                        [this](const std::optional<std::string>& line) { on_word(line); });
  if (created)
    channel_ = std::move(*created);
  else
    alone_ = true;
}

void Takeover::serving(const std::vector<std::string>& unused) {
  serving_ = true;
  if (standard_error_) {
    flush_daemon_log();
    ::dup2(standard_error_.get(), STDERR_FILENO);
    standard_error_.reset();
    look_at_stderr_again();
  }
  if (alone_) return free(std::nullopt);
  channel_->say(
      Json({{"serving", true}, {"unused", unused}}).dump(-1, ' ', false, Json::error_handler_t::replace));
  patience_.start(kPatience);
}

void Takeover::on_word(const std::optional<std::string>& line) {
  if (!line) {
    alone_ = true;
    if (serving_) free(std::nullopt);
    return;
  }
  const auto word = Json::parse(*line, nullptr, false);
  if (!word.is_object() || !word.contains("free")) return;
  Predecessor predecessor{word.value("pid", 0), word.value("socket", "")};
  free(predecessor.socket.empty() ? std::nullopt : std::optional(std::move(predecessor)));
}

void Takeover::free(std::optional<Predecessor> predecessor) {
  patience_.stop();
  if (const auto on_free = std::exchange(on_free_, nullptr)) on_free(std::move(predecessor));
}

}  // namespace weir
