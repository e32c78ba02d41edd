// The name that a checkpoint directory goes by in sidecars.
#pragma once

#include <filesystem>
#include <string>

namespace nla {

// OWNER/NAME for a snapshot in the hub's cache (models--OWNER--NAME/snapshots/COMMIT), else the directory's own name.
std::string ModelName(const std::filesystem::path& directory);

}  // namespace nla
