// What a model is, as data: widths, heads, rope, norms. Parsed from config.json by one function a family (families.cc).
// Weights and forward passes are decoder.h's.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace nla {

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
  double rope_theta = 0;
  bool tied_head = false;  // the vocabulary projection is the embedding table
};

// `where` names the file in errors. A family that is not in the table, or a setting that the decoder does not know
// (rope scaling, attention bias), is an error rather than a wrong answer.
ModelSpec ParseModelSpec(const nlohmann::json& config, const std::string& where);

struct TensorFacts {
  std::string name;
  std::vector<int64_t> shape;
  bool operator==(const TensorFacts&) const = default;
};

// Every tensor of a checkpoint of this spec cut to `blocks` blocks, in forward order; the final norm and head only when
// `with_head`.
std::vector<TensorFacts> TensorsOf(const ModelSpec& spec, int64_t blocks, bool with_head);

// The seven linears of a block, in forward order: "self_attn.q_proj" … "mlp.down_proj".
inline constexpr int kLinearsPerBlock = 7;
const std::vector<std::string>& LinearNames();
// [out, in] of a block's linear by its index in LinearNames().
std::pair<int64_t, int64_t> LinearShape(const ModelSpec& spec, int linear);

}  // namespace nla
