#include <sys/stat.h>

#include <map>

#include "health/tls_talk.h"

namespace weir {
namespace {

/// Cannot be run, and says why.
class NoProbe final : public Probe {
 public:
  NoProbe(std::string why, Done done) : why_(std::move(why)), done_(std::move(done)) {}

  void start() override { done_({Outcome::OwnTrouble, why_, false, true}); }
  void cancel() override {}
  void look_again() override {}
  bool connected() const override { return false; }

 private:
  const std::string why_;
  Done done_;
};

/// Contexts by their `ca_file`: to read a bundle takes longer than a handshake. Each is made anew when its
/// file has changed.
class TlsProbes final : public ProbeFactory {
 public:
  explicit TlsProbes(ProbeLoop& loop) : loop_(loop) {}

  std::unique_ptr<Probe> create(const ProbeInput& input, Probe::Done done) override {
    const std::string& file = input.config.ca_file;
    Known& known = known_[file];
    const Version version = version_of(file.empty() ? X509_get_default_cert_dir() : file);
    if (!known.context || known.version != version) {
      auto context = make_tls_context(file);
      if (!context) {
        known_.erase(file);
        return std::make_unique<NoProbe>(context.error(), std::move(done));
      }
      known = {version, std::move(*context)};
    }
    // A probe that runs has a share of its own in the context.
    return make_talk_probe(loop_, input, make_tls_talk(input.config, *known.context, std::time(nullptr)),
                           std::move(done));
  }

 private:
  /// Differs when a file has been changed or replaced, and when something in a directory has.
  struct Version {
    ino_t number = 0;
    off_t bytes = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;

    friend bool operator==(const Version&, const Version&) = default;
  };
  struct Known {
    Version version;
    TlsContext context;
  };

  static Version version_of(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return {};
    return {found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
  }

  ProbeLoop& loop_;
  std::map<std::string, Known> known_;
};

}  // namespace

std::unique_ptr<ProbeFactory> make_tls_probes(ProbeLoop& loop) {
  return std::make_unique<TlsProbes>(loop);
}

}  // namespace weir
