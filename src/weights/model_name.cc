// Only the path is looked at, not what it leads to.
#include "weights/model_name.h"

#include <string_view>

namespace nla {

std::string ModelName(const std::filesystem::path& directory) {
  if (directory.empty()) return "";  // has no absolute path
  constexpr std::string_view kRepository = "models--";
  const std::filesystem::path path = std::filesystem::absolute(directory / "").lexically_normal().parent_path();
  const std::string repository = path.parent_path().parent_path().filename().string();
  if (path.parent_path().filename() != "snapshots" || !repository.starts_with(kRepository)) {
    return path.filename().string();
  }
  std::string name = repository.substr(kRepository.size());
  if (const size_t owner = name.find("--"); owner != std::string::npos) name.replace(owner, 2, "/");
  return name;
}

}  // namespace nla
