#include "data/input_bytes.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/fail.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "data/scratch_file.h"

namespace nla {

InputBytes MapFile(const std::filesystem::path& path) {
  auto map = std::make_shared<const MappedFile>(MappedFile::Open(path));
  return {.bytes = map->bytes(), .keeper = map, .name = path.string()};
}

InputBytes SpoolStandardInput() {
  const std::string name = "standard input";
  auto spool = std::make_shared<ScratchFile>(std::filesystem::temp_directory_path());
  std::vector<std::byte> buffer(size_t{1} << 20);
  while (true) {
    const ssize_t count = read(STDIN_FILENO, buffer.data(), buffer.size());
    ThrowIfInterrupted();
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) FailErrno(name, "cannot be read");
    if (count == 0) break;
    spool->Append({buffer.data(), static_cast<size_t>(count)});
  }
  const auto bytes = spool->Map();
  if (bytes.empty()) Fail({.where = name, .what = "is empty", .wanted = "activations as .jsonl or .npy"});
  return {.bytes = bytes, .keeper = spool, .name = name};
}

}  // namespace nla
