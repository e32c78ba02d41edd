// A file's bytes in memory-mapped form, whether it is a file of its own, standard input (spooled to a nameless file on
// disk), or a part of an archive. Internal to this folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace nla {

struct InputBytes {
  std::span<const std::byte> bytes;
  // Keeps `bytes` alive. Shared and nameless because parts of one file (members of an archive) outlive each other in
  // any order, and the keeper is a map or a scratch file.
  std::shared_ptr<const void> keeper;
  std::string name;  // for errors
};

InputBytes MapFile(const std::filesystem::path& path);
// Reads standard input to its end into a scratch file in the folder for temporary files.
InputBytes SpoolStandardInput();

}  // namespace nla
