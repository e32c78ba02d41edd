// A verbalizer's prompts without its decoder, for one that runs elsewhere: sidecar, tokenizer, and of the weights the
// prompt's own embedding rows.
#pragma once

#include <span>
#include <vector>

#include "nla/prompt.h"
#include "nla/role_checkpoint.h"

namespace nla {

// Const members may run from several threads.
class ActorInputs {
 public:
  // Checks what Verbalizer::Load checks of all but the blocks.
  static ActorInputs Load(const RoleSource& source);

  // What Verbalizer::PromptRows gives, as numbers: the input embeddings [T, D] with the activation [D] among them.
  // Computed on the calling thread alone.
  std::vector<float> PromptRows(std::span<const float> activation) const;
  int64_t prompt_tokens() const { return static_cast<int64_t>(prompt_.ids.size()); }
  const std::vector<TokenId>& prompt_ids() const { return prompt_.ids; }
  // Tokens that end a reply.
  std::vector<TokenId> StopIds() const { return chat_.StopIds(tokenizer_); }

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const ModelSidecar& sidecar() const { return sidecar_; }
  int64_t d_model() const { return sidecar_.d_model; }

 private:
  ActorInputs(ModelSidecar sidecar, Tokenizer tokenizer, ChatFormat chat, ActorPrompt prompt, at::Tensor rows_TD);

  ModelSidecar sidecar_;
  Tokenizer tokenizer_;
  ChatFormat chat_;
  ActorPrompt prompt_;
  at::Tensor rows_TD_;  // fp32, the marker's own row among them
};

}  // namespace nla
