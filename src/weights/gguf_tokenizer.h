// The tokenizer in a GGUF file as Hugging Face writes it: tokenizer.json and tokenizer_config.json.
#pragma once

#include <nlohmann/json.hpp>

#include "weights/gguf.h"

namespace nla {

// Byte-level BPE with a pre-tokeniser that tokenizer.ggml.pre names, or SentencePiece's BPE with scores and byte
// fallback; any other is an error that names it.
nlohmann::ordered_json TokenizerJson(const GgufFile& file);
nlohmann::ordered_json TokenizerConfigJson(const GgufFile& file);

}  // namespace nla
