// The models that a server holds: the verbalizer with its engine, the base model with its own, the reconstructor.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/engine_thread.h"
#include "model/language_model.h"
#include "nla/pair.h"
#include "nla/prompt.h"
#include "nla/reconstructor.h"
#include "serve/weight_update.h"
#include "serve/worker.h"

namespace nla::serve {

// A decoder that writes, and all that a request to it needs. Borrows the model.
struct ServedModel {
  std::string id;    // in /v1/models
  std::string kind;  // "verbalizer" or "base"
  Decoder* decoder = nullptr;
  const Tokenizer* tokenizer = nullptr;
  const ChatFormat* chat = nullptr;
  std::vector<TokenId> stop_ids = {};
  std::string quant = "none";  // "q8": it writes with 8-bit weights
  int64_t started = 0;         // Unix time
  std::unique_ptr<EngineThread> engine = {};
  // Shared: reads weights beside the engine (embeddings), or what is said of them. Alone: changes them.
  mutable std::shared_mutex weights = {};
  std::filesystem::path directory;         // under `weights`
  std::string weight_version = "default";  // under `weights`
  std::string weights_hash;                // under `weights`; "": not known

  // Input embeddings of ids, on the calling thread.
  at::Tensor Embed(std::span<const TokenId> ids) const;
  int64_t width() const { return decoder->spec().d_model; }
  std::string Version() const;
  std::string Hash() const;
  std::filesystem::path Directory() const;
};

struct ModelChoice {
  std::optional<PairLocation> pair = {};
  std::optional<RoleSource> actor = {};  // a verbalizer alone
  std::filesystem::path model = {};      // a language model alone
  at::ScalarType compute = at::kFloat;
  std::optional<packed::Format> packing = {};  // of main()'s weights (RoleSource)
  EngineOptions engine = {};
};

class Models {
 public:
  explicit Models(const ModelChoice& choice);
  Models(const Models&) = delete;
  Models& operator=(const Models&) = delete;
  ~Models();

  // The one that /generate speaks to: the verbalizer, or the base model where there is none.
  ServedModel& main() { return verbalizer_ ? *verbalizer_ : *base_; }
  // The one that chats: the base model where it is there.
  ServedModel& chat() { return base_ ? *base_ : *verbalizer_; }
  std::vector<ServedModel*> all();
  // New weights for main() from a checkpoint directory, between two of its steps. Errors leave the old ones.
  void UpdateWeights(const std::filesystem::path& directory, const std::optional<std::string>& version);

  // Parts of a pair; HttpError 404 that names the option which would bring what is missing.
  const ServedModel& Verbalizer() const;
  const ServedModel& Base() const;
  const ModelSidecar& ActorSidecar() const;
  const PairLocation* pair() const { return pair_ ? &*pair_ : nullptr; }
  // Errors (HttpError 404) as above.
  std::vector<float> Reconstruct(const std::vector<std::string>& explanations);
  // The residual stream after block K of the base model, [positions, d].
  std::vector<float> Activations(const std::vector<TokenId>& ids, const std::vector<int64_t>& positions);
  int64_t layer() const;
  const std::string& critic_hash() const { return critic_hash_; }

  // The verbalizer's prompt with the activation in it, [T, D].
  at::Tensor ActorPrompt(std::span<const float> activation) const;
  const std::vector<TokenId>& actor_prompt_ids() const { return prompt_.ids; }
  const std::string& actor_prompt_hash() const { return prompt_hash_; }

 private:
  std::string CheckNewActor(const std::filesystem::path& directory) const;
  void LoadActor(const RoleSource& source, const std::optional<packed::Format>& packing);
  void LoadBase(const std::filesystem::path& directory, const std::string& name, const DecoderOptions& options);
  void Start(const EngineOptions& options);

  std::optional<PairLocation> pair_;
  std::unique_ptr<LanguageModel> base_model_;
  std::optional<Decoder> base_cut_;  // blocks 0…K
  std::unique_ptr<RoleCheckpoint> actor_;
  nla::ActorPrompt prompt_;
  std::string prompt_hash_, critic_hash_;
  std::unique_ptr<Reconstructor> reconstructor_;
  std::unique_ptr<ServedModel> verbalizer_, base_;
  std::unique_ptr<Worker> worker_;
  std::mutex update_;            // one change of weights at a time
  WeightUpdate::Loaded loaded_;  // what main() was loaded by
};

}  // namespace nla::serve
