#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/syslog.h"
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

/// Whether somebody listens there is found out when it is opened.
std::string syslog_problem(const std::string& target) {
  const std::string path = target.substr(kSyslog.size());
  if (path.empty()) return "";
  return path.starts_with('/') ? socket_problem(path, true)
                               : "must be \"syslog:\" for /dev/log, or \"syslog:/path\" of another socket";
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
  if (draft.access && access != "off" && access != "stdout")
    report(draft.access, "log.access", access,
           access.starts_with('/')       ? path_problem(access, true)
           : access.starts_with(kSyslog) ? syslog_problem(access)
                                         : "must be \"off\", \"stdout\", an absolute path or \"syslog:\"");
  const std::string& daemon = config.log.daemon;
  if (draft.daemon_log && daemon != "stderr")
    report(draft.daemon_log, "log.daemon", daemon,
           daemon.starts_with(kSyslog) ? syslog_problem(daemon) : "must be \"stderr\" or \"syslog:\"");
  for (std::size_t i = 0; i < draft.web_bind.size(); ++i)
    if (const Address& address = config.web.bind[i]; address.has_file())
      report(draft.web_bind[i], "web.bind", address.to_string(),
             path_problem(std::string(address.path()), true));
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
