// config.json as the metadata of a GGUF file: the way back of gguf_config.h.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "weights/gguf_family.h"
#include "weights/gguf_rope.h"
#include "weights/gguf_writer.h"

namespace nla {

struct GgufModel {
  const GgufFamily* family = nullptr;
  ModelSizes sizes;
  bool tied_head = false;
  std::vector<GgufPair> metadata;   // "llama.block_count" …
  std::vector<float> rope_factors;  // Llama 3's; empty for other scalings
  std::optional<int64_t> bos, pad;  // what config.json says; the tokenizer's word goes first
  std::vector<int64_t> ends;        // eos_token_id, one or many
};

// `where` names the file in errors. A family that is not in the table, or a setting that GGUF has no place for, is an
// error.
GgufModel DescribeModel(const nlohmann::json& config, const std::string& where);

}  // namespace nla
