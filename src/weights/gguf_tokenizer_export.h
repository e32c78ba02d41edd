// The tokenizer of a checkpoint directory as the metadata of a GGUF file: the way back of gguf_tokenizer.h.
#pragma once

#include <filesystem>
#include <vector>

#include "weights/gguf_metadata.h"
#include "weights/gguf_writer.h"

namespace nla {

// Reads tokenizer.json, tokenizer_config.json and chat_template.jinja. A tokenizer that a GGUF file cannot say exactly
// (an unknown pre-tokeniser, merges that no scores give) is an error. The token list is as long as the vocabulary of
// the model: ids without a token become unused ones.
std::vector<GgufPair> TokenizerMetadata(const std::filesystem::path& directory, const GgufModel& model);

}  // namespace nla
