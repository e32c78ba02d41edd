// What a model is, as data: widths, heads, norms, rope, which blocks see how far. Parsed from config.json by one
// function a family (families.cc). Weights and forward passes are decoder.h's.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace nla {

// The seven linears of a block, in forward order; an index into LinearNames().
enum Linear { kQ, kK, kV, kO, kGate, kUp, kDown, kLinearsPerBlock };

// The norms that a block may have. kPostAttentionNorm and kPostFeedForwardNorm stand at the end of a half block, before
// the residual addition ("sandwich").
enum BlockNorm {
  kInputNorm,
  kQueryNorm,
  kKeyNorm,
  kPostAttentionNorm,
  kFeedForwardNorm,
  kPostFeedForwardNorm,
  kNormsPerBlock
};

// How positions become angles: position · theta^(−2i/d), the frequencies divided by `factor`, all of them ("linear") or
// as `bands` says ("llama3").
struct RopeSpec {
  // A frequency that turns fewer than `low` times over `positions` is divided whole, one that turns more than `high`
  // times not at all, those between in proportion.
  struct Bands {
    double low = 1;
    double high = 4;
    int64_t positions = 8192;
  };
  double theta = 10000;
  double factor = 1;
  std::optional<Bands> bands;
};

enum class Activation { kSilu, kGeluTanh };

// What differs from block to block.
struct BlockSpec {
  int64_t window = 0;  // tokens that a row sees, itself among them; 0: all before it
  size_t rope = 0;     // index into ModelSpec::ropes
};

struct ModelSpec {
  std::string model_type;
  int64_t vocab_size = 0;
  int64_t d_model = 0;
  int64_t n_blocks = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t d_head = 0;
  int64_t d_ff = 0;
  int64_t max_positions = 0;
  double norm_eps = 0;
  double norm_offset = 0;      // norms multiply by offset + weight
  double embedding_scale = 1;  // of input embeddings, rounded to the compute dtype
  double attention_scale = 0;  // of query · key
  Activation activation = Activation::kSilu;
  std::array<bool, kLinearsPerBlock> biases = {};
  bool query_key_norms = false;  // of every head's query and key, before rope
  bool sandwich_norms = false;
  bool tied_head = false;  // the vocabulary projection is the embedding table
  std::vector<RopeSpec> ropes;
  std::vector<BlockSpec> blocks;  // n_blocks of them
  // What may stand in a checkpoint for "model." and "lm_head." of tensor names, in the order of search.
  std::vector<std::string> body_prefixes = {"model."};
  std::vector<std::string> head_prefixes = {"lm_head."};

  bool has_norm(BlockNorm norm) const;
};

// `where` names the file in errors. A family that is not in the table, or a setting that the decoder does not know, is
// an error rather than a wrong answer.
ModelSpec ParseModelSpec(const nlohmann::json& config, const std::string& where);

// The config.json of the same model cut to its first `blocks` blocks. One that nests its language model beside other
// parts gives that model's config alone, whose tensors have the names of TensorsOf.
nlohmann::json CutConfig(const nlohmann::json& config, int64_t blocks);

enum class TensorPart { kEmbedding, kNorm, kWeight, kBias, kFinalNorm, kHead };

struct TensorFacts {
  std::string name;
  std::vector<int64_t> shape;
  TensorPart part = TensorPart::kEmbedding;
  int64_t block = -1;  // of kNorm, kWeight, kBias
  int index = 0;       // BlockNorm or Linear
};

// Every tensor of a checkpoint of this spec cut to `blocks` blocks, in forward order; the final norm and head only when
// `with_head`.
std::vector<TensorFacts> TensorsOf(const ModelSpec& spec, int64_t blocks, bool with_head);

// The names that a checkpoint may have for a tensor of TensorsOf, in the order of search.
std::vector<std::string> NamesInCheckpoint(const ModelSpec& spec, const std::string& name);

// "self_attn.q_proj" … "mlp.down_proj".
const std::vector<std::string>& LinearNames();
// [out, in] of a block's linear.
std::pair<int64_t, int64_t> LinearShape(const ModelSpec& spec, int linear);

}  // namespace nla
