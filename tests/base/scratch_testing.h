// A directory of its own for a test, removed at the end.
#pragma once

#include <filesystem>
#include <string>

namespace nla {

class ScratchDirectory {
 public:
  ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  // Names of everything inside, sorted: what a test of leftovers compares.
  std::string Listing() const;

 private:
  std::filesystem::path path_;
};

}  // namespace nla
