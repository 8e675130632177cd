#include "lb/control/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "lb/base/fd.h"
#include "lb/base/file.h"
#include "lb/base/log.h"
#include "lb/base/own_sockets.h"
#include "lb/control/operator_words.h"

namespace weir {

namespace {

using Json = nlohmann::ordered_json;

/// First in the file, so that a damaged one is still known as ours.
constexpr std::string_view kMark = "{\"weir_state\":";
constexpr std::string_view kKey = "\"weir_state\"";
constexpr int kVersion = 1;
constexpr std::size_t kMostBytes = 16u << 20;
/// Of the year 9999, the last that format_time can say.
constexpr std::uint64_t kLastMillisecond = 253'402'300'799'999;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// With those above it that are missing. errno says why not.
bool make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return true;
  const auto above = directory_of(path);
  return errno == ENOENT && above != path && make_directory(above, 0700) && make_directory(path, mode);
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

constexpr std::string_view kOverrideKeys[] = {"pool",       "backend", "admin",       "admin_since_ms",
                                              "admin_word", "weight",  "weight_word", "file"};

/// What stays in the file though this version makes nothing of it.
struct Unknown {
  Json root = Json::object();      ///< members of the whole
  Json fields = Json::object();    ///< "pool/backend" → members of an override that is understood
  Json overrides = Json::array();  ///< those that are not

  Unknown() = default;
  explicit Unknown(const std::string& text) {
    if (text.empty()) return;
    const auto json = Json::parse(text);
    root = json.at("root");
    fields = json.at("fields");
    overrides = json.at("overrides");
  }
  std::string to_text() const {
    if (root.empty() && fields.empty() && overrides.empty()) return "";
    return text_of(Json{{"root", root}, {"fields", fields}, {"overrides", overrides}});
  }
};

std::optional<Admin> parse_admin(std::string_view text) {
  for (const auto admin : {Admin::Enabled, Admin::Drained, Admin::Disabled})
    if (to_string(admin) == text) return admin;
  return std::nullopt;
}

/// What was said along with a word. That it is about this very word is known by its value and its time: a
/// Weir that knows nothing of it leaves it where it is when it writes another word.
template <class T>
Json about(const Word<T>& word, Json value) {
  Json out{{"value", std::move(value)}, {"since_ms", word.since.time_since_epoch().count()}, {"by", word.by}};
  if (!word.comment.empty()) out["comment"] = word.comment;
  if (word.until) out["until_ms"] = word.until->time_since_epoch().count();
  return out;
}

std::optional<SystemTime> parse_time(const Json& json) {
  if (!json.is_number_unsigned() || json.get<std::uint64_t>() > kLastMillisecond) return std::nullopt;
  return SystemTime(std::chrono::milliseconds(json.get<std::uint64_t>()));
}

/// `since`: nothing where the word itself has none.
template <class T>
void read_about(const Json& json, const Json& value, std::optional<SystemTime> since, Word<T>& word) {
  if (!json.is_object() || json.value("value", Json()) != value) return;
  const auto said = parse_time(json.value("since_ms", Json()));
  if (!said || (since && *since != *said)) return;
  const auto text = [&](const char* key) {
    const auto found = json.value(key, Json());
    const std::string out = found.is_string() ? found.get<std::string>() : "";
    return is_comment(out) ? out : "";
  };
  word.since = *said;
  word.by = text("by");
  word.comment = text("comment");
  word.until = parse_time(json.value("until_ms", Json()));
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
    const auto value = parse_admin(text(item, "admin").value_or(""));
    const auto since = parse_time(item.value("admin_since_ms", Json(0u)));
    if (!value || !since) return std::nullopt;
    out.admin = Word<Admin>{.value = *value, .since = *since};
    read_about(item.value("admin_word", Json()), item["admin"], since, *out.admin);
  }
  if (item.contains("weight")) {
    const auto value = weight(item, "weight");
    if (!value) return std::nullopt;
    out.weight = Word<std::uint32_t>{.value = *value};
    read_about(item.value("weight_word", Json()), item["weight"], std::nullopt, *out.weight);
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
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    return fail(fmt::format("{} is not a regular file", path));
  auto text = read_file(path, kMostBytes, Millis(0));
  if (!text)
    return tl::unexpected(Error{fmt::format("{} {}", path, text.error().message), text.error().code});
  return text;
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

Result<ParsedState> parse_state(std::string_view text) {
  auto root = Json::parse(text, nullptr, false);
  if (root.is_discarded() || !root.is_object()) return fail("it is not complete JSON");
  const auto version = root.find("weir_state");
  if (version == root.end() || !version->is_number_unsigned()) return fail("it has no version");
  ParsedState out;
  if (*version != kVersion)
    out.complaints.push_back(fmt::format("it is of version {}, not {}: what is new there stays as it is",
                                         version->dump(), kVersion));
  auto list = root.value("overrides", Json::array());
  if (!list.is_array()) return fail("\"overrides\" is no list");
  Unknown unknown;
  for (auto& item : list) {
    const bool named = item.is_object() && item.contains("pool") && item["pool"].is_string() &&
                       item.contains("backend") && item["backend"].is_string();
    const std::string name =
        named ? item["pool"].get<std::string>() + "/" + item["backend"].get<std::string>() : "";
    const auto said = named ? parse_override(item) : std::nullopt;
    if (!said) {
      out.complaints.push_back(
          named ? fmt::format("the override of {} makes no sense to this Weir and stays as it is",
                              weir::quoted(name))
                : "an override names no pool and backend, and stays as it is");
      unknown.overrides.push_back(std::move(item));
      continue;
    }
    out.overrides[{item["pool"].get<std::string>(), item["backend"].get<std::string>()}] = *said;
    for (const auto key : kOverrideKeys) item.erase(key);
    if (item.empty()) continue;
    out.complaints.push_back(fmt::format("the override of {} has {}, which stays as it is",
                                         weir::quoted(name), weir::quoted(item.begin().key())));
    unknown.fields[name] = std::move(item);
  }
  root.erase("overrides");
  if (*version == kVersion) root.erase("weir_state");
  for (const auto& [key, value] : root.items())
    if (key != "weir_state")
      out.complaints.push_back(
          fmt::format("{} means nothing to this Weir and stays as it is", weir::quoted(key)));
  unknown.root = std::move(root);
  out.unknown = unknown.to_text();
  return out;
}

std::string format_state(const Overrides& overrides, const std::string& unknown_text) {
  const Unknown unknown(unknown_text);
  Json list = Json::array();
  for (const auto& [key, said] : overrides) {
    Json item{{"pool", key.first}, {"backend", key.second}};
    if (said.admin) {
      item["admin"] = to_string(said.admin->value);
      item["admin_since_ms"] = said.admin->since.time_since_epoch().count();
      item["admin_word"] = about(*said.admin, item["admin"]);
    }
    if (said.weight) {
      item["weight"] = said.weight->value;
      item["weight_word"] = about(*said.weight, item["weight"]);
    }
    item["file"] = {
        {"admin", to_string(said.file_admin)}, {"weight", said.file_weight}, {"address", said.file_address}};
    if (const auto more = unknown.fields.find(key.first + "/" + key.second); more != unknown.fields.end())
      item.update(*more);
    list.push_back(std::move(item));
  }
  // What has been said since of the same backend stands in its place.
  for (const auto& item : unknown.overrides) {
    const bool named = item.is_object() && item.contains("pool") && item.contains("backend");
    if (!named || !item["pool"].is_string() || !item["backend"].is_string() ||
        !overrides.contains({item["pool"].get<std::string>(), item["backend"].get<std::string>()}))
      list.push_back(item);
  }
  Json rest = unknown.root;
  const Json version = rest.value("weir_state", Json(kVersion));
  rest.erase("weir_state");
  std::string more;
  for (const auto& [key, value] : rest.items())
    more += fmt::format(",{}:{}", text_of(Json(key)), text_of(value));
  return fmt::format("{}{}{},\"overrides\":{}}}\n", kMark, version.dump(), more,
                     list.dump(2, ' ', false, Json::error_handler_t::replace));
}

Result<std::string> StateFile::read() const {
  if (off()) return "";
  auto text = read_all(path_);
  if (!text && text.error().code == ENOENT) return "";
  // Cut in the middle of the mark, or with the mark somewhere: ours, however it has been formatted since.
  if (text && text->find(kKey) == std::string::npos && !kMark.starts_with(*text))
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
  auto state = parse_state(*text);
  if (state) {
    on_disk_ = state->overrides;
    unknown_ = std::move(state->unknown);
    for (std::string& complaint : state->complaints) complaint = path_ + ": " + complaint;
    return Loaded{std::move(state->overrides), std::move(state->complaints)};
  }
  const auto path = real_path(path_);
  const auto aside = fmt::format("{}.bad-{}", path, std::time(nullptr));
  if (::rename(path.c_str(), aside.c_str()) != 0) return fail_errno(path, errno);
  return Loaded{{},
                {fmt::format("{} is damaged: {}; kept as {}, what operators said before is forgotten", path_,
                             state.error().message, aside)}};
}

Result<void> StateFile::save(const Overrides& overrides, const std::function<bool()>& wanted) {
  if (off() || on_disk_ == overrides) return {};
  // Nothing to be remembered, and nothing there.
  if (overrides.empty() && ::access(path_.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  on_disk_.reset();
  const auto path = real_path(path_);
  // Another process's is not ours to write into, nor to take away.
  const auto temporary = fmt::format("{}.tmp-{}", path, ::getpid());
  if (auto written = write_synced(temporary, format_state(overrides, unknown_)); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (wanted != nullptr && !wanted()) {
    ::unlink(temporary.c_str());
    return {};
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(path, errno);
  const auto directory = directory_of(path);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno(directory, errno);
  on_disk_ = overrides;
  return {};
}

Result<void> StateFile::check_writable(bool create_directory) const {
  if (off()) return {};
  const auto directory = directory_of(real_path(path_));
  if (create_directory && !make_directory(directory, 0750)) return fail_errno(directory, errno);
  if (::access(directory.c_str(), W_OK | X_OK) != 0) return fail_errno(directory, errno);
  if (::access(path_.c_str(), W_OK) != 0 && errno != ENOENT) return fail_errno(path_, errno);
  return {};
}

}  // namespace weir
