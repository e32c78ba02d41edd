// The files of a checkpoint directory beside its weights: text side and config.json, for a directory made from another.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace nla {

// Copies the files that tokenizing, chatting and generating need, as far as they are there.
void CopyTextFiles(const std::filesystem::path& from, const std::filesystem::path& to);

void WriteConfig(const nlohmann::json& config, const std::filesystem::path& directory);

}  // namespace nla
