// Writing a side of a pair as a whole checkpoint, which transformers and the reference's readers load: adapters merged
// into their base's weights, a reconstructor cut to blocks 0..K (docs/formats/checkpoint.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "nla/pair.h"
#include "nla/role_checkpoint.h"

namespace nla {

struct ExportOptions {
  std::optional<DType> store = {};       // of the written weights; empty: every tensor keeps its own
  uint64_t shard_bytes = 5'000'000'000;  // weights above this go into several files
  bool megatron = false;                 // of a reconstructor: add the d×d lm_head that Megatron's converter wants
  bool replace = false;                  // lose what is at the output
};

// What was written.
struct ExportFacts {
  Role role = Role::kActor;
  bool merged = false;  // adapters were merged; else the weights were whole already
  int64_t blocks = 0;
  int64_t tensors = 0;
  int64_t files = 0;  // of weights
  uint64_t weight_bytes = 0;
};

// One side. Merging is W + scale · B A in fp32, rounded once to the stored type. Works row by row: memory does not grow
// with the model. The directory appears whole or not at all. Errors: all that OpenRole finds, a value that the stored
// type cannot hold.
ExportFacts ExportRole(const RoleSource& source, const std::filesystem::path& out, const ExportOptions& options);

struct PairExportFacts {
  ExportFacts actor, critic;
};

// Both sides, with a pair.yaml that names the same base model.
PairExportFacts ExportPair(const PairLocation& pair, const std::filesystem::path& out, const ExportOptions& options);

}  // namespace nla
