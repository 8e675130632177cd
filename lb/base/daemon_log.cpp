// The daemon's own log: what a line of it is, and who writes it.
#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "lb/base/daemon_log.h"
#include "lb/base/journal.h"
#include "lb/base/json_escape.h"
#include "lb/base/line_writer.h"
#include "lb/base/log.h"
#include "lb/base/syslog.h"

namespace weir {
namespace {

constexpr std::chrono::milliseconds kFlushPatience{1'000};
/// A syslog daemon that takes nothing is waited for, as a pipe's reader is.
constexpr std::chrono::milliseconds kSyslogPause{1'000};

Severity severity_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::err:
    case spdlog::level::critical:
      return Severity::Error;
    case spdlog::level::warn:
      return Severity::Warning;
    case spdlog::level::trace:
    case spdlog::level::debug:
      return Severity::Debug;
    default:
      return Severity::Info;
  }
}

std::string_view color_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::info:
      return "\x1b[32m";
    case spdlog::level::warn:
      return "\x1b[33m\x1b[1m";
    case spdlog::level::err:
    case spdlog::level::critical:
      return "\x1b[31m\x1b[1m";
    default:
      return "";
  }
}

std::string_view name_of(spdlog::level::level_enum level) {
  const auto name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

/// Of a line of another process's log, by its second word or its second value.
Severity severity_in(std::string_view line) {
  const auto head = line.substr(0, 80);
  const auto says = [&](std::string_view level) {
    return head.find(fmt::format("Z {} ", level)) != std::string_view::npos ||
           head.find(fmt::format("\"level\":\"{}\"", level)) != std::string_view::npos;
  };
  for (const auto level : {spdlog::level::err, spdlog::level::warn, spdlog::level::debug})
    if (says(name_of(level))) return severity_of(level);
  return Severity::Info;
}

/// Whether stderr goes to the journal itself: systemd.exec(5).
bool stderr_is_the_journals() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
         fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

/// The journal's own stream is one.
bool stderr_is_a_socket() {
  struct stat status {};
  return ::fstat(STDERR_FILENO, &status) == 0 && S_ISSOCK(status.st_mode);
}

/// Where lines of the log go, which says what is around them.
enum class Outlet : std::uint8_t {
  Stderr,
  PrefixedStderr,  ///< lines with a priority, as the journal's stream takes them
  Journal,         ///< entries with fields
  Syslog
};

using Fields = std::initializer_list<LogField>;

/// One way to write the log. What it has made of a message is one line, its newline included, or one entry
/// for the journal.
class Style {
 public:
  Style(const DaemonLogStyle& wanted, Outlet outlet)
      : json_(wanted.format == LogFormat::Json),
        outlet_(outlet),
        colored_(outlet == Outlet::Stderr && !json_ && ::isatty(STDERR_FILENO) == 1 &&
                 std::getenv("NO_COLOR") == nullptr) {}

  std::string line(spdlog::level::level_enum level, std::chrono::system_clock::time_point time,
                   std::string_view message, Fields fields = {}) const {
    const auto name = name_of(level);
    if (json_) {
      std::string out =
          fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"message\":", format_time(time), name);
      append_json_string(out, message);
      return around(out + "}", severity_of(level), time, fields);
    }
    // These have time and level of their own.
    if (outlet_ == Outlet::Syslog || outlet_ == Outlet::Journal)
      return around(message, severity_of(level), time, fields);
    const std::string_view color = colored_ ? color_of(level) : "";
    return around(
        fmt::format("{} {}{}{} {}", format_time(time), color, name, color.empty() ? "" : "\x1b[m", message),
        severity_of(level), time, fields);
  }
  std::string relayed(std::string_view line) const {
    return around(line, severity_in(line), std::chrono::system_clock::now(), {});
  }

 private:
  std::string around(std::string_view text, Severity severity, std::chrono::system_clock::time_point time,
                     Fields fields) const {
    switch (outlet_) {
      case Outlet::Syslog:
        return syslog_message(severity, time, "daemon", text) + "\n";
      case Outlet::Journal:
        return journal_entry(severity, text, fields);
      case Outlet::PrefixedStderr:
        return fmt::format("<{}>{}\n", static_cast<int>(severity), text);
      case Outlet::Stderr:
        break;
    }
    return fmt::format("{}\n", text);
  }

  const bool json_;
  const Outlet outlet_;
  const bool colored_;
};

/// Each line is a message; of the journal's each entry is.
std::uint64_t send_all(SyslogSocket& socket, std::string_view messages, std::string_view mark) {
  std::uint64_t lost = 0;
  while (!messages.empty()) {
    const auto end = std::min(messages.find(mark), messages.size() - mark.size());
    // The last newline is only the mark's.
    const auto message = messages.substr(0, end + mark.size() - 1);
    int error = socket.send(message);
    while (error == EAGAIN) {
      socket.wait(kSyslogPause);
      error = socket.send(message);
    }
    lost += error != 0 ? 1 : 0;
    messages.remove_prefix(end + mark.size());
  }
  return lost;
}

/// A style and the thread that writes in it.
struct Output {
  /// An error only of a syslog daemon that is not there.
  static Result<std::unique_ptr<Output>> open(const DaemonLogStyle& wanted,
                                              const char* journal_socket = kJournalSocket) {
    if (const auto path = syslog_path(wanted.target); !path.empty()) {
      auto opened = SyslogSocket::open(path);
      if (!opened) return tl::unexpected(opened.error());
      return make(wanted, Outlet::Syslog, std::make_shared<SyslogSocket>(std::move(*opened)));
    }
    if (!stderr_is_the_journals()) return make(wanted, Outlet::Stderr, nullptr);
    if (stderr_is_a_socket())
      if (auto opened = SyslogSocket::open(journal_socket))
        return make(wanted, Outlet::Journal, std::make_shared<SyslogSocket>(std::move(*opened)));
    return make(wanted, Outlet::PrefixedStderr, nullptr);
  }
  Output(DaemonLogStyle given, const Style& how, LineWriter::Outlet outlet)
      : wanted(std::move(given)), style(how), writer(std::move(outlet)) {}

  const DaemonLogStyle wanted;
  const Style style;
  LineWriter writer;

 private:
  /// `socket`: null for stderr.
  static std::unique_ptr<Output> make(const DaemonLogStyle& wanted, Outlet to,
                                      std::shared_ptr<SyslogSocket> socket) {
    const Style style(wanted, to);
    const std::string_view mark = to == Outlet::Journal ? "\n\n" : "\n";
    LineWriter::Outlet outlet{[socket = std::move(socket), mark](std::string_view lines) -> std::uint64_t {
                                if (socket) return send_all(*socket, lines, mark);
                                write_lines(STDERR_FILENO, lines);
                                return 0;
                              },
                              [style](std::uint64_t lost) {
                                return style.line(spdlog::level::warn, std::chrono::system_clock::now(),
                                                  lost_lines_text(lost));
                              }};
    return std::make_unique<Output>(wanted, style, std::move(outlet));
  }
};

/// Its lock is for whoever replaces the output, and never held over a system call on it.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LineSink(std::unique_ptr<Output> output) : output_(std::move(output)) {}

  void flush_lines() { output_->writer.flush(kFlushPatience); }
  void relay(std::string_view lines) {
    const std::lock_guard lock(mutex_);
    while (!lines.empty()) {
      const auto end = std::min(lines.find('\n'), lines.size());
      output_->writer.put(output_->style.relayed(lines.substr(0, end)));
      lines.remove_prefix(std::min(end + 1, lines.size()));
    }
  }
  void put(spdlog::level::level_enum level, std::string_view message, Fields fields) {
    const std::lock_guard lock(mutex_);
    output_->writer.put(output_->style.line(level, std::chrono::system_clock::now(), message, fields));
  }
  DaemonLogStyle wanted() {
    const std::lock_guard lock(mutex_);
    return output_->wanted;
  }
  void replace(std::unique_ptr<Output> output) {
    // So that two outputs to one place keep their order, if anybody takes it.
    output_->writer.flush(kReplacePatience);
    const std::lock_guard lock(mutex_);
    output_ = std::move(output);
  }

 private:
  static constexpr std::chrono::milliseconds kReplacePatience{50};

  void sink_it_(const spdlog::details::log_msg& message) override {
    output_->writer.put(output_->style.line(
        message.level, std::chrono::time_point_cast<std::chrono::system_clock::duration>(message.time),
        {message.payload.data(), message.payload.size()}));
  }
  void flush_() override {}

  std::unique_ptr<Output> output_;
};

std::shared_ptr<LineSink> line_sink;

}  // namespace

spdlog::logger& daemon_log() {
  return *spdlog::default_logger_raw();
}

void init_daemon_log(spdlog::level::level_enum level) {
  line_sink = std::make_shared<LineSink>(Output::open({}).value());
  auto logger = std::make_shared<spdlog::logger>("weir", line_sink);
  logger->set_level(level);
  spdlog::set_default_logger(std::move(logger));
}

struct NextDaemonLog::Made {
  std::unique_ptr<Output> output;
};

NextDaemonLog::NextDaemonLog(std::unique_ptr<Made> made) : made_(std::move(made)) {}
NextDaemonLog::NextDaemonLog(NextDaemonLog&&) noexcept = default;
NextDaemonLog& NextDaemonLog::operator=(NextDaemonLog&&) noexcept = default;
NextDaemonLog::~NextDaemonLog() = default;

Result<NextDaemonLog> NextDaemonLog::open(const DaemonLogStyle& style) {
  auto output = Output::open(style);
  if (!output) return tl::unexpected(output.error());
  return NextDaemonLog(std::make_unique<Made>(Made{std::move(*output)}));
}

void NextDaemonLog::take() && {
  if (line_sink) line_sink->replace(std::move(made_->output));
}

void relay_to_daemon_log(std::string_view lines) {
  if (line_sink) line_sink->relay(lines);
}

void log_with_fields(spdlog::level::level_enum level, std::string_view message,
                     std::initializer_list<LogField> fields) {
  if (line_sink && daemon_log().should_log(level))
    line_sink->put(level, message, fields);
  else
    daemon_log().log(level, "{}", message);
}

void look_at_stderr_again(const char* journal_socket) {
  if (!line_sink) return;
  if (auto output = Output::open(line_sink->wanted(), journal_socket)) line_sink->replace(std::move(*output));
}

void flush_daemon_log() {
  if (line_sink) line_sink->flush_lines();
}

}  // namespace weir
