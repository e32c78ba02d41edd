// Loading one side of a pair for use: an AV or AR directory, whole or as adapters over its base model, with every fact
// of the sidecar checked against the live tokenizer and weights (formats.md section 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <string>

#include "model/language_model.h"
#include "nla/sidecar.h"

namespace nla {

struct RoleSource {
  std::filesystem::path directory;  // with nla_meta.yaml
  std::filesystem::path base;       // whole base model; needed where the directory holds adapters alone
  at::ScalarType compute = at::kFloat;
  std::string base_hash = {};  // of the base's weights, where the caller knows it; empty: computed where it is needed
  // The base's decoder in this compute dtype, where the caller has it loaded as far as the role needs it: adapters then
  // lie over its memory. Borrowed while loading.
  const Decoder* loaded_base = nullptr;
  // An AV's: decode with weights packed so. They are kept in no other form unless they lie over `loaded_base`, where
  // PackBeside is asked.
  std::optional<packed::Format> packing = {};
};

// Packs a decoder that keeps its plain weights too. In fp32 that is a second copy of the model, which is not made of
// large ones (2 GB): they go on unpacked.
void PackBeside(Decoder& decoder, packed::Format format);

struct RoleWeights {
  ModelSidecar sidecar;
  Checkpoint checkpoint;  // the whole weights: the role's own, or its base's
};

// Checks role, width, K against the number of blocks, the base model's hash, and the adapters' and value head's own
// hash. Loads no tensor.
RoleWeights OpenRole(const RoleSource& source, Role role);

struct RoleCheckpoint {
  ModelSidecar sidecar;
  Tokenizer tokenizer;
  ChatFormat chat;
  Decoder decoder;        // an AR's: blocks 0..K, no head
  at::Tensor value_head;  // AR: fp32 [D, D]; undefined for an AV
};

// Checks what OpenRole checks, and the tokenizer's hash and size.
RoleCheckpoint LoadRole(const RoleSource& source, Role role);

struct ValueHead {
  SafetensorsFile file;
  TensorView view;  // into `file`
};

// Looks where value heads are kept: `weight` (or `value_head.weight`) of value_head.safetensors, else
// `value_head.weight` among whole weights. nullopt when there is none.
std::optional<ValueHead> FindValueHead(const std::filesystem::path& directory);
// As fp32 [D, D]; an error when there is none or its shape is another.
at::Tensor LoadValueHead(const std::filesystem::path& directory, int64_t d_model);

// HashOfTensors of what training put into a role's directory: the adapters or the whole weights, and the value head.
std::string TrainedWeightsHash(const std::filesystem::path& directory);

}  // namespace nla
