#include "lb/control/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "lb/base/fd.h"
#include "lb/base/log.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

/// First in the file, so that a damaged one is still known as ours.
constexpr std::string_view kMark = "{\"weir_state\":";
constexpr int kVersion = 1;
constexpr std::size_t kMostBytes = 16u << 20;
/// Of the year 9999, the last that format_time can say.
constexpr std::uint64_t kLastMillisecond = 253'402'300'799'999;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::optional<Admin> parse_admin(std::string_view text) {
  for (const auto admin : {Admin::Enabled, Admin::Drained, Admin::Disabled})
    if (to_string(admin) == text) return admin;
  return std::nullopt;
}

/// Nothing when a field is missing or not what it should be.
std::optional<Override> parse_override(const Json& item) {
  const auto text = [](const Json& in, const char* key) -> std::optional<std::string> {
    if (!in.is_object() || !in.contains(key) || !in[key].is_string()) return std::nullopt;
    return in[key].get<std::string>();
  };
  const auto weight = [](const Json& in, const char* key) -> std::optional<std::uint32_t> {
    if (!in.is_object() || !in.contains(key) || !in[key].is_number_unsigned()) return std::nullopt;
    const auto value = in[key].get<std::uint64_t>();
    return value >= 1 && value <= 256 ? std::optional(static_cast<std::uint32_t>(value)) : std::nullopt;
  };
  Override out;
  if (item.contains("admin")) {
    out.admin = parse_admin(text(item, "admin").value_or(""));
    if (!out.admin) return std::nullopt;
    const auto since = item.value("admin_since_ms", Json(0u));
    if (!since.is_number_unsigned() || since.get<std::uint64_t>() > kLastMillisecond) return std::nullopt;
    out.admin_since += std::chrono::milliseconds(since.get<std::uint64_t>());
  }
  if (item.contains("weight")) {
    out.weight = weight(item, "weight");
    if (!out.weight) return std::nullopt;
  }
  const auto file = item.value("file", Json());
  const auto file_admin = parse_admin(text(file, "admin").value_or(""));
  const auto file_weight = weight(file, "weight");
  const auto file_address = text(file, "address");
  if (!file_admin || !file_weight || !file_address) return std::nullopt;
  out.file_admin = *file_admin;
  out.file_weight = *file_weight;
  out.file_address = *file_address;
  return out;
}

Result<std::string> read_all(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(path, errno);
  if (!S_ISREG(info.st_mode)) return fail(fmt::format("{} is not a regular file", path));
  std::string text;
  char buffer[65536];
  for (;;) {
    const auto got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(path, errno);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kMostBytes) return fail(fmt::format("{} is over {} bytes", path, kMostBytes));
  }
}

Result<void> write_synced(const std::string& path, std::string_view text) {
  ::unlink(path.c_str());  // left by a crash
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return fail_errno(path, errno);
  while (!text.empty()) {
    const auto put = ::write(fd.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(path, errno);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(fd.get()) != 0) return fail_errno(path, errno);
  return {};
}

}  // namespace

std::string format_state(const Overrides& overrides) {
  Json list = Json::array();
  for (const auto& [key, said] : overrides) {
    Json item{{"pool", key.first}, {"backend", key.second}};
    if (said.admin) {
      item["admin"] = to_string(*said.admin);
      item["admin_since_ms"] = said.admin_since.time_since_epoch().count();
    }
    if (said.weight) item["weight"] = *said.weight;
    item["file"] = {
        {"admin", to_string(said.file_admin)}, {"weight", said.file_weight}, {"address", said.file_address}};
    list.push_back(std::move(item));
  }
  const auto body = list.dump(2, ' ', false, Json::error_handler_t::replace);
  return fmt::format("{}{},\"overrides\":{}}}\n", kMark, kVersion, body);
}

Result<Overrides> parse_state(std::string_view text) {
  const auto root = Json::parse(text, nullptr, false);
  if (root.is_discarded() || !root.is_object()) return fail("it is not complete JSON");
  const auto version = root.find("weir_state");
  if (version == root.end() || *version != kVersion)
    return fail(fmt::format("its version is not {}", kVersion));
  const auto list = root.find("overrides");
  if (list == root.end() || !list->is_array()) return fail("it has no list \"overrides\"");
  Overrides out;
  for (const auto& item : *list) {
    if (!item.is_object() || !item.contains("pool") || !item["pool"].is_string() ||
        !item.contains("backend") || !item["backend"].is_string())
      return fail("an override names no pool and backend");
    const std::pair key{item["pool"].get<std::string>(), item["backend"].get<std::string>()};
    const auto said = parse_override(item);
    if (!said)
      return fail(
          fmt::format("the override of {} makes no sense", weir::quoted(key.first + "/" + key.second)));
    out[key] = *said;
  }
  return out;
}

Result<std::string> StateFile::read() const {
  if (off()) return "";
  auto text = read_all(path_);
  if (!text && text.error().code == ENOENT) return "";
  if (text && !text->starts_with(kMark) && !kMark.starts_with(*text))
    return fail(
        fmt::format("{} is not a state file of Weir; it is left alone, name another as state_file", path_));
  return text;
}

Result<void> StateFile::check_own() const {
  const auto text = read();
  if (!text) return tl::unexpected(text.error());
  return {};
}

Result<StateFile::Loaded> StateFile::load() {
  const auto text = read();
  if (!text) return tl::unexpected(text.error());
  if (text->empty()) return Loaded{};
  auto overrides = parse_state(*text);
  if (overrides) {
    on_disk_ = *overrides;
    return Loaded{std::move(*overrides), ""};
  }
  const auto aside = fmt::format("{}.bad-{}", path_, std::time(nullptr));
  if (::rename(path_.c_str(), aside.c_str()) != 0) return fail_errno(path_, errno);
  return Loaded{{},
                fmt::format("{} is damaged: {}; kept as {}, what operators said before is forgotten", path_,
                            overrides.error().message, aside)};
}

Result<void> StateFile::save(const Overrides& overrides) {
  if (off() || on_disk_ == overrides) return {};
  on_disk_.reset();
  const auto temporary = path_ + ".tmp";
  if (auto written = write_synced(temporary, format_state(overrides)); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (::rename(temporary.c_str(), path_.c_str()) != 0) return fail_errno(path_, errno);
  const auto directory = directory_of(path_);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno(directory, errno);
  on_disk_ = overrides;
  return {};
}

Result<void> StateFile::check_writable(bool create_directory) const {
  if (off()) return {};
  const auto directory = directory_of(path_);
  if (create_directory && ::mkdir(directory.c_str(), 0750) != 0 && errno != EEXIST)
    return fail_errno(directory, errno);
  if (::access(directory.c_str(), W_OK | X_OK) != 0) return fail_errno(directory, errno);
  if (::access(path_.c_str(), W_OK) != 0 && errno != ENOENT) return fail_errno(path_, errno);
  return {};
}

}  // namespace weir
