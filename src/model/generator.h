// Text generation: a fixed number of KV slots kept full, each request entering as soon as another ends.
// Prompts may be ids or ready embedding rows (an injected activation), behind one shared prefix.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "model/sampler.h"

namespace nla {

struct GenerationRequest {
  at::Tensor prompt_TD;  // input embeddings after the shared prefix, fp32, at least one row
  uint64_t seed = 0;     // each request draws from its own stream
};

enum class FinishReason { kStop, kLength };

struct Generation {
  std::vector<TokenId> ids;     // without the stop token
  std::vector<float> logprobs;  // one per id
  FinishReason reason = FinishReason::kLength;
};

// Results do not depend on what else is in the batch beyond the rounding of matrix products. Borrows the decoder.
class Generator {
 public:
  Generator(const Decoder& decoder, SamplingOptions sampling, int64_t slots = 32);

  // The start that all requests share, computed once. Empty: none.
  void SetPrefix(std::span<const TokenId> ids);
  // `next(i)` makes request i of `count`; `done(i, result)` is called as each finishes, not in order.
  void Run(int64_t count, const std::function<GenerationRequest(int64_t)>& next,
           const std::function<void(int64_t, Generation)>& done);

 private:
  struct Active {
    int64_t index, slot;
    TokenId last;
    CounterRandom random;
    Generation result;
  };
  void Admit(std::vector<Active>& active, int64_t& started, int64_t count,
             const std::function<GenerationRequest(int64_t)>& next);
  void Advance(std::vector<Active>& active, const at::Tensor& residual_BD, size_t first);
  void GrowCache(int64_t capacity);
  bool Finished(const Active& request) const;

  const Decoder& decoder_;
  SamplingOptions sampling_;
  int64_t slots_;
  int64_t slots_in_use_ = 0;
  PrefixKeys prefix_;
  std::vector<int64_t> free_slots_;
  std::unique_ptr<KvCache> cache_;
};

}  // namespace nla
