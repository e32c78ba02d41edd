// Copying of tokenizer files, writing of config.json. Cutting a config to blocks is model/spec.h's.
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

void WriteConfig(const nlohmann::json& config, const fs::path& directory) {
  WriteFileAtomically(directory / "config.json", config.dump(2) + "\n");
}

}  // namespace nla
