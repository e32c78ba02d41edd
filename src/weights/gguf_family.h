// The families of models that GGUF files are converted from and to, as data: their names on both sides and every tensor
// with its two names, its shape, and what is done to its values on the way. One table; both directions read it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

struct ModelSizes {
  int64_t blocks = 0, hidden = 0, inner = 0, heads = 0, kv_heads = 0, head_width = 0, vocabulary = 0;
};

// How a tensor of a GGUF file differs from the checkpoint's.
enum class Twist {
  kSame,
  kPairedQueries,  // the rows of each query head are pairs (i, i + half) there, two halves in the checkpoint
  kPairedKeys,     // the same for key heads
  kOneAdded,       // the file holds the checkpoint's values plus 1 (Gemma's norms)
};

enum class Extent { kNone, kHidden, kInner, kQueries, kKeys, kHead };

// A tensor that every block has: "blk.N." and "model.layers.N." go before the names.
struct TensorRule {
  std::string_view gguf, checkpoint;
  Extent rows;
  Extent columns = Extent::kNone;  // none for a vector
  Twist twist = Twist::kSame;
};

struct GgufFamily {
  std::string_view architecture;                  // general.architecture
  std::string_view model_type;                    // config.json, as written
  std::span<const std::string_view> model_types;  // config.json, as read: families that compute the same
  std::string_view class_name;                    // config.json: architectures
  std::span<const TensorRule> block;
  Twist final_norm = Twist::kSame;
};

std::span<const GgufFamily> GgufFamilies();

struct TensorPair {
  std::string gguf, checkpoint;
  std::vector<int64_t> shape;
  Twist twist = Twist::kSame;
};
// Every tensor of a model, in forward order; the vocabulary projection only where it is not the embedding table.
std::vector<TensorPair> TensorPairs(const GgufFamily& family, const ModelSizes& sizes, bool tied_head);

// Heads whose rows are paired; 0 for the other twists.
int64_t PairedHeads(Twist twist, const ModelSizes& sizes);

}  // namespace nla
