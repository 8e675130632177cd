#include "lb/daemon/start_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "lb/base/log.h"

namespace weir {

Result<std::unique_ptr<StartOutput>> StartOutput::create(Loop& loop) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail_errno("cannot make a pipe for the new process's output", errno);
  std::unique_ptr<StartOutput> output(new StartOutput(loop));
  output->own_end_ = Fd(ends[0]);
  output->child_end_ = Fd(ends[1]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);  // of this end alone
  if (auto watched = loop.watch(ends[0], *output, events::kReadable); !watched)
    return tl::unexpected(watched.error());
  return output;
}

StartOutput::~StartOutput() {
  if (own_end_) hang_up();
}

void StartOutput::hang_up() {
  if (!line_.empty()) relay_to_daemon_log(line_ + "\n");
  line_.clear();
  loop_.unwatch(own_end_.get());
  own_end_.reset();
}

void StartOutput::on_events(std::uint32_t) {
  if (own_end_ && !read_on()) hang_up();
}

bool StartOutput::read_on() {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = ::read(own_end_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(size));
    kept_ += text;
    if (kept_.size() > kMostKept) kept_.erase(0, kept_.size() - kMostKept);
    line_ += text;
    // A line without an end is passed on in parts.
    const auto whole = line_.size() > kMostKept ? line_.size() : line_.rfind('\n') + 1;
    if (whole > 0) relay_to_daemon_log(std::string_view(line_).substr(0, whole));
    line_.erase(0, whole);
  }
}

std::string StartOutput::text() {
  if (own_end_) static_cast<void>(read_on());
  std::string_view text = kept_;
  if (kept_.size() == kMostKept) text.remove_prefix(text.find('\n') + 1);  // the first line is cut
  return std::string(text);
}

}  // namespace weir
