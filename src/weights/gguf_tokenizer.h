// The tokenizer in a GGUF file as Hugging Face writes it: tokenizer.json and tokenizer_config.json.
#pragma once

#include <nlohmann/json.hpp>

#include "weights/gguf.h"

namespace nla {

// Byte-level BPE only, with a pre-tokeniser that tokenizer.ggml.pre names; any other is an error that names it.
nlohmann::ordered_json TokenizerJson(const GgufFile& file);
nlohmann::ordered_json TokenizerConfigJson(const GgufFile& file);

}  // namespace nla
