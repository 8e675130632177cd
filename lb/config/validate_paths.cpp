#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/config/draft.h"

namespace weir {
namespace {

enum class Kind { Missing, Directory, Other };

Kind kind_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return Kind::Missing;
  return S_ISDIR(status.st_mode) ? Kind::Directory : Kind::Other;
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// By the rights of the process as it is now, not those it was started with.
bool may(const std::string& path, int how) {
  return ::faccessat(AT_FDCWD, path.c_str(), how, AT_EACCESS) == 0;
}

/// What is wrong with the path of a file that Weir is to create, or "".
std::string path_problem(const std::string& path, bool directory_must_exist) {
  if (!path.starts_with('/')) return "must be an absolute path";
  if (path.find('\0') != std::string::npos) return "a path cannot hold a NUL character";
  if (path.ends_with('/') || kind_of(path) == Kind::Directory) return "is a directory: name a file in it";
  const std::string directory = directory_of(path);
  if (!directory_must_exist) return "";
  switch (kind_of(directory)) {
    case Kind::Missing:
      return fmt::format("the directory {} does not exist: create it first", shown(directory));
    case Kind::Other:
      return fmt::format("{} is not a directory", shown(directory));
    case Kind::Directory:
      return "";
  }
  return "";
}

std::string socket_problem(const std::string& path, bool directory_must_exist) {
  if (path.size() > kMaxUnixPath)
    return fmt::format("has {} bytes: the path of a unix socket has at most {}", path.size(), kMaxUnixPath);
  return path_problem(path, directory_must_exist);
}

/// The file is replaced as a whole, so its directory must be writable, and an old one must be readable.
std::string state_file_problem(const std::string& path) {
  std::string problem = path_problem(path, true);
  if (!problem.empty()) return problem;
  if (!may(directory_of(path), W_OK | X_OK))
    return fmt::format("the directory {} is not writable", shown(directory_of(path)));
  if (kind_of(path) == Kind::Other && !may(path, R_OK | W_OK)) return "cannot be read and written";
  return "";
}

}  // namespace

void validate_paths(Findings& findings, const Draft& draft) {
  const Config& config = *draft.config;
  const auto report = [&](Place place, std::string_view key, const std::string& path,
                          const std::string& problem) {
    if (!problem.empty()) findings.fault(place, value_fault(key, path, problem));
  };
  if (draft.admin_socket && !config.admin.socket.empty())
    report(draft.admin_socket, "admin.socket", config.admin.socket,
           socket_problem(config.admin.socket, true));
  const std::string& read_only = config.admin.read_only_socket;
  if (draft.read_only_socket && !read_only.empty()) {
    report(draft.read_only_socket, "admin.read_only_socket", read_only, socket_problem(read_only, true));
    if (read_only == config.admin.socket)
      report(draft.read_only_socket, "admin.read_only_socket", read_only, "is admin.socket already");
  }
  if (draft.state_file && !config.state_file.empty())
    report(draft.state_file, "state_file", config.state_file, state_file_problem(config.state_file));
  const std::string& access = config.log.access;
  if (draft.access && access != "off" && access != "stdout") {
    const std::string problem = access.starts_with('/') ? path_problem(access, true)
                                                        : "must be \"off\", \"stdout\" or an absolute path";
    report(draft.access, "log.access", access, problem);
  }
  for (std::size_t i = 0; i < draft.listeners.size(); ++i) {
    for (std::size_t j = 0; j < draft.listeners[i].bind.size(); ++j) {
      const Address& address = config.listeners[i].bind[j];
      if (address.has_file())
        report(draft.listeners[i].bind[j], "listener.bind", address.to_string(),
               path_problem(std::string(address.path()), true));
    }
  }
}

}  // namespace weir
