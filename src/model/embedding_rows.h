// Input embeddings of a few ids straight from a checkpoint's file, for work that needs no decoder.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "model/spec.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"

namespace nla {

// The factor of input embeddings, rounded to the compute dtype as transformers does.
double EmbeddingScale(const ModelSpec& spec, at::ScalarType compute);

// What Decoder::Embed gives, fp32 [T, D]. Of the table the rows of `ids` alone are read. Errors name the checkpoint: a
// table that is missing or of another shape, an id that it has no row for.
at::Tensor EmbeddingRows(const Checkpoint& checkpoint, std::span<const TokenId> ids, at::ScalarType compute);

}  // namespace nla
