#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace weir::test {

/// A fresh directory with a short path (unix sockets allow 107 bytes), removed with all it holds at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

void write_file(const std::string& path, std::string_view text);
/// Whoever reads it meanwhile gets what was there before, or all of `text`.
void replace_file(const std::string& path, std::string_view text);
std::string read_file(const std::string& path);  ///< "" when there is none

}  // namespace weir::test
