// The verbalizer (AV) at work: activations to explanations with the built-in engine.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/run_requests.h"
#include "nla/injection.h"
#include "nla/prompt.h"
#include "nla/role_checkpoint.h"

namespace nla {

struct VerbalizeOptions {
  // Greedy by default; 150 new tokens at most, as the releases.
  SamplingOptions sampling = {.temperature = 0, .top_p = 1, .top_k = 0, .max_new_tokens = 150, .stop_ids = {}};
  int64_t samples = 1;    // explanations of each activation
  uint64_t seed = 0;      // of all; each reply has its own by ReplySeed
  int64_t slots = 32;     // sequences in flight
  int64_t first_row = 0;  // number of the first row in the file: what seeds count by
};

struct Verbalization {
  int64_t index = 0;  // row of the activation
  int64_t sample = 0;
  std::string raw;                         // the whole reply
  std::optional<std::string> explanation;  // nullopt: the reply has not both tags
  FinishReason finish_reason = FinishReason::kLength;
  std::vector<TokenId> ids;
  double logprob = 0;  // sum over the ids
};

// Not thread-safe.
class Verbalizer {
 public:
  // Checks the marker, its neighbours and the single site in the canonical prompt.
  static Verbalizer Load(const RoleSource& source);

  // `activations` is [n, d] row-major, raw; NaN or Inf is an error that names the row. `done` is called as each ends.
  void Run(std::span<const float> activations, const VerbalizeOptions& options,
           const std::function<void(Verbalization)>& done) const;
  // The same, all in order: sample j of row i at i·samples + j.
  std::vector<Verbalization> Run(std::span<const float> activations, const VerbalizeOptions& options) const;

  // The prompt with one activation [d] in it, as an engine over role().decoder takes it: input embeddings [T, D].
  at::Tensor PromptRows(std::span<const float> activation) const;
  // Tokens that end a reply.
  std::vector<TokenId> StopIds() const { return role_.chat.StopIds(role_.tokenizer); }

  const RoleCheckpoint& role() const { return role_; }
  const ModelSidecar& sidecar() const { return role_.sidecar; }
  int64_t d_model() const { return role_.sidecar.d_model; }

 private:
  Verbalizer(RoleCheckpoint role, ActorPrompt prompt) : role_(std::move(role)), prompt_(std::move(prompt)) {}
  RoleCheckpoint role_;
  ActorPrompt prompt_;
};

}  // namespace nla
