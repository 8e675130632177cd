#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lb/base/address.h"

namespace weir {

/// The file of a listening unix socket, known by device, inode and time of birth (file systems give numbers
/// anew at once): what another has put in its place is not ours. Move-only; removes the file when it goes, if
/// it is ours to remove.
class SocketPath {
 public:
  /// No file, as of a TCP address.
  SocketPath() = default;
  /// The file that is there now; one that is not there is lost().
  explicit SocketPath(const Address& address);
  SocketPath(SocketPath&& other) noexcept;
  SocketPath& operator=(SocketPath&& other) noexcept;
  ~SocketPath() { remove(); }

  /// Whether this object removes the file. At first it does.
  void set_owned(bool owned) { owned_ = owned; }
  /// Whether it is there no more, or another one in its place: whoever comes by its name does not come here.
  bool lost() const { return !path_.empty() && (!identity_ || look() != identity_); }
  /// Now, if it is ours and still the same.
  void remove();

 private:
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t born_seconds = 0;  ///< 0 where the file system does not know
    std::uint32_t born_nanoseconds = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  /// Nothing when no socket is there.
  std::optional<Identity> look() const;

  std::string path_;
  std::optional<Identity> identity_;
  bool owned_ = true;
};

}  // namespace weir
