// A whole checkpoint directory from the goldens: the tiny Llama's weights with a tokenizer and a ChatML template. Needs
// no library of ours, so tests of every layer and of the program can use it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace nla {

inline constexpr int64_t kTinyCheckpointWidth = 64;
inline constexpr int64_t kTinyCheckpointBlocks = 3;
inline constexpr int64_t kTinyCheckpointPositions = 512;

inline void WriteTinyCheckpoint(const std::filesystem::path& directory) {
  const std::filesystem::path golden = std::filesystem::path(NLA_SOURCE_DIR) / "tests/model/golden";
  std::filesystem::create_directories(directory);
  for (const char* name : {"tiny_llama/config.json", "tiny_llama/model.safetensors", "tiny_tokenizer/tokenizer.json",
                           "tiny_tokenizer/tokenizer_config.json"}) {
    const std::filesystem::path source = golden / name;
    std::filesystem::copy_file(source, directory / source.filename());
  }
}

}  // namespace nla
