// Copying and cutting of config.json and tokenizer files.
#include "nla/checkpoint_files.h"

#include "base/file.h"

namespace nla {
namespace {

constexpr const char* kTextFiles[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
};

}  // namespace

void CopyTextFiles(const fs::path& from, const fs::path& to) {
  for (const char* name : kTextFiles) {
    if (fs::exists(from / name)) WriteFileAtomically(to / name, ReadFile(from / name));
  }
}

nlohmann::json ConfigOfBlocks(nlohmann::json config, int64_t blocks) {
  nlohmann::json& text = config.contains("text_config") ? config["text_config"] : config;
  text["num_hidden_layers"] = blocks;
  for (const char* name : {"layer_types", "no_rope_layers", "sliding_window_pattern"}) {
    const auto list = text.find(name);
    if (list == text.end() || !list->is_array() || list->size() <= static_cast<size_t>(blocks)) continue;
    list->erase(list->begin() + blocks, list->end());
  }
  return config;
}

void WriteConfig(const nlohmann::json& config, const fs::path& directory) {
  WriteFileAtomically(directory / "config.json", config.dump(2) + "\n");
}

}  // namespace nla
