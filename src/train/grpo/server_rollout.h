// Replies written by servers (`nla serve`, SGLang, vLLM), which load the verbalizer's weights from disk after every
// step.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "client/remote_generator.h"
#include "train/collectives/communicator.h"
#include "train/grpo/options.h"
#include "train/grpo/rollout.h"
#include "train/optimizer.h"

namespace nla {

// Borrows model and optimizer. Every rank asks all servers for its own replies; the rank that writes gives them
// weights.
class ServerRollout : public Rollout {
 public:
  // Errors: those of RemoteGenerator, for any of the servers; a vLLM where whole weights are trained. The key is
  // NLA_API_KEY's.
  ServerRollout(const PairModel& model, const RlOptions& options, const Optimizer& actor,
                std::shared_ptr<Communicator> ranks);

  // Requests are dealt out to the servers in turn. A reply of other weights than the last ones is asked for again; a
  // server that stays away ends the run with its name, and the run can go on from its newest checkpoint.
  std::vector<Sample> Run(std::span<const float> activations, const RolloutOptions& options) override;
  // Writes the weights and waits until every server has loaded them: `nla serve` and vLLM adapters as they are, where
  // the pair has them, an SGLang merged ones. Collective.
  void WeightsChanged(int64_t step) override;
  std::optional<double> Agreement() const override;

 private:
  bool HasVllm() const;
  void CheckVllm(const RlOptions& options) const;
  void WriteSide() const;
  void Merge() const;

  const PairModel& model_;
  ServerOptions options_;
  const Optimizer& actor_;
  std::shared_ptr<Communicator> ranks_;
  std::vector<TokenId> stop_ids_;
  std::filesystem::path weights_;  // folder of what the servers load
  std::string run_;                // a name that no other run at these servers has, nor this one before it was resumed
  std::string version_;            // of the weights that the servers have
  std::vector<std::unique_ptr<RemoteGenerator>> servers_;
};

// The rollout that the options ask for.
std::unique_ptr<Rollout> MakeRollout(PairModel& model, const RlOptions& options, const Optimizer& actor,
                                     const std::shared_ptr<Communicator>& ranks);

}  // namespace nla
