#include "tests/support/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "tests/support/paths.h"
#include "tests/support/seccomp.h"
#include "tests/support/temp_dir.h"

namespace weir::test {
namespace {

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

/// The read end is the terminal's master; what is written arrives as it is. `plain`: keys are handled as a
/// shell's terminal does.
Pipe make_terminal(std::uint16_t columns, bool plain) {
  int master = -1, slave = -1;
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 24;
  termios raw{};
  ::cfmakeraw(&raw);
  if (::openpty(&master, &slave, nullptr, plain ? nullptr : &raw, &size) != 0)
    throw std::system_error(errno, std::generic_category(), "openpty");
  for (const int fd : {master, slave}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return {Fd(master), Fd(slave)};
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool replaced = std::any_of(added.begin(), added.end(), [&](const auto& pair) {
      return text.substr(0, text.find('=')) == pair.first;
    });
    if (!replaced) result.emplace_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// Between fork and exec in a program with threads: async-signal-safe calls only.
[[noreturn]] void become(char* const* argv, char* const* environment, const ProcessOptions& options,
                         const char* directory, int out, int err) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (options.keyboard) {
    ::setsid();
    ::ioctl(out, TIOCSCTTY, 0);
    ::dup2(out, STDIN_FILENO);
  }
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (options.descriptor_limit) {
    const rlimit limit{*options.descriptor_limit, *options.descriptor_limit};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (*directory != '\0' && ::chdir(directory) != 0) ::_exit(126);
  if (options.user) {
    if (::setgid(*options.user) != 0 || ::setuid(*options.user) != 0) ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of user clears it
  }
  if (options.refuse_splice != 0 && !refuse_system_call(SYS_splice, options.refuse_splice)) ::_exit(126);
  ::execvpe(argv[0], argv, environment);
  ::_exit(127);
}

/// What the program of another user has to read: this checkout may lie where only its owner can go.
class ForOthers {
 public:
  ForOthers() { std::filesystem::permissions(dir_.path(), std::filesystem::perms(0755)); }

  std::string directory() const { return dir_.path().string(); }
  /// A program of this build, or any other file, where everybody can go.
  std::string reach(const std::string& path) {
    const std::string there = dir_.file(std::filesystem::path(path).filename().string());
    if (!std::filesystem::exists(there)) std::filesystem::copy_file(path, there);
    return there;
  }
  void reach_program(std::string& program) {
    if (program.starts_with(binary_path("").string())) program = reach(program);
  }
  void reach_suppressions(std::vector<std::string>& environment) {
    constexpr std::string_view kKey = "suppressions=";
    for (std::string& entry : environment) {
      const auto key = entry.find(kKey);
      if (!entry.starts_with("TSAN_OPTIONS=") || key == std::string::npos) continue;
      const auto begin = key + kKey.size(), end = std::min(entry.find_first_of(" :", begin), entry.size());
      entry.replace(begin, end - begin, reach(entry.substr(begin, end - begin)));
    }
  }

 private:
  TempDir dir_;
};

}  // namespace

OutputCollector::OutputCollector(Fd read_end)
    : read_end_(std::move(read_end)), stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { collect(); }) {}

OutputCollector::~OutputCollector() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void OutputCollector::collect() {
  std::array<char, 65536> buffer{};
  while (true) {
    std::array<pollfd, 2> watched{{{read_end_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents == 0) break;
    if (held_) {
      if (watched[1].revents != 0) break;
      std::this_thread::sleep_for(milliseconds(1));
      continue;
    }
    const ssize_t got = ::read(read_end_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
    const std::lock_guard lock(mutex_);
    text_ += piece;
    lines_ += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
    grown_.notify_all();
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  grown_.notify_all();
}

void OutputCollector::hold(bool held) {
  held_ = held;
}

std::string OutputCollector::text() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

std::size_t OutputCollector::line_count() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

bool OutputCollector::wait_for(std::string_view substring, milliseconds deadline) const {
  std::unique_lock lock(mutex_);
  const auto found = [&] { return text_.find(substring) != std::string::npos; };
  grown_.wait_for(lock, deadline, [&] { return ended_ || found(); });
  return found();
}

void OutputCollector::wait_for_end(milliseconds deadline) const {
  std::unique_lock lock(mutex_);
  grown_.wait_for(lock, deadline, [&] { return ended_; });
}

Process::Process(std::vector<std::string> argv, const ProcessOptions& options) {
  Pipe out =
      options.terminal_columns > 0 ? make_terminal(options.terminal_columns, options.keyboard) : make_pipe();
  Pipe err = make_pipe();
  std::vector<std::string> environment = environment_with(options.environment);
  std::string directory = options.directory;
  if (options.user) {
    static ForOthers for_others;
    for_others.reach_program(argv.front());
    for_others.reach_suppressions(environment);
    if (directory.empty()) directory = for_others.directory();
  }
  const std::vector<char*> argv_pointers = pointers(argv);
  const std::vector<char*> environment_pointers = pointers(environment);
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    become(argv_pointers.data(), environment_pointers.data(), options, directory.c_str(), out.write_end.get(),
           err.write_end.get());
  }
  pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (options.terminal_columns > 0) terminal_ = Fd(::fcntl(out.read_end.get(), F_DUPFD_CLOEXEC, 0));
  out_ = std::make_unique<OutputCollector>(
      options.broken_stdout ? Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)) : std::move(out.read_end));
  err_ = std::make_unique<OutputCollector>(std::move(err.read_end));
}

Process::~Process() {
  if (running()) {
    signal(SIGKILL);
    wait();
  }
}

bool Process::running() {
  return !wait(milliseconds(0)).has_value();
}

void Process::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

std::optional<int> Process::wait(milliseconds deadline) {
  if (status_) return status_;
  pollfd watched{pidfd_.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&watched, 1, static_cast<int>(deadline.count()));
  } while (ready < 0 && errno == EINTR);
  int raw = 0;
  if (ready <= 0 || ::waitpid(pid_, &raw, 0) != pid_) return std::nullopt;
  status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  // The pipes close with the process, unless it has left children behind.
  out_->wait_for_end(milliseconds(1000));
  err_->wait_for_end(milliseconds(1000));
  return status_;
}

std::string Process::proc_path(std::string_view entry) const {
  return fmt::format("/proc/{}/{}", pid_, entry);
}

void Process::type(std::string_view keys) const {
  if (::write(terminal_.get(), keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
    throw std::system_error(errno, std::generic_category(), "type");
}

bool Process::terminal_is_plain() const {
  termios now{};
  ::tcgetattr(terminal_.get(), &now);
  return (now.c_lflag & ICANON) != 0 && (now.c_lflag & ECHO) != 0;
}

void Process::stall_err(bool stalled) {
  err_->hold(stalled);
  if (!stalled) return;
  const Fd err(::open(proc_path("fd/2").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  while (::write(err.get(), "\n", 1) == 1) {
  }
}

double Process::cpu_seconds() const {
  // Field 2 is the name in parentheses, which may hold spaces; utime and stime are fields 14 and 15.
  const std::string stat = read_file(proc_path("stat"));
  std::istringstream rest(stat.substr(stat.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::uint64_t Process::voluntary_switches() const {
  constexpr std::string_view kKey = "voluntary_ctxt_switches:";
  std::uint64_t total = 0;
  for (const auto& task : std::filesystem::directory_iterator(proc_path("task"))) {
    std::istringstream lines(read_file(task.path() / "status"));
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(kKey)) total += std::stoull(line.substr(kKey.size()));
  }
  return total;
}

std::size_t Process::threads() const {
  const std::filesystem::directory_iterator tasks(proc_path("task"));
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

std::size_t Process::resident_bytes() const {
  std::istringstream statm(read_file(proc_path("statm")));
  std::size_t size = 0;
  std::size_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t Process::descriptors(std::string_view kind) const {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(proc_path("fd"))) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (!gone && target.starts_with(kind)) ++count;
  }
  return count;
}

Finished run_program(std::vector<std::string> argv, const ProcessOptions& options, milliseconds deadline) {
  const std::string name = argv.front();
  Process process(std::move(argv), options);
  const auto status = process.wait(deadline);
  if (!status) throw std::runtime_error(fmt::format("{} did not end; it said: {}", name, process.err()));
  return {*status, process.out(), process.err()};
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

bool have_program(std::string_view program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/bin:/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + std::string(program)).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace weir::test
