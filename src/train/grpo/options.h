// What a reinforcement-learning run is told: the fields of the recipe's section train_rl.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "train/grpo/objective.h"
#include "train/grpo/stop_rules.h"
#include "train/optimizer.h"

namespace nla {

// How a reply becomes a reward.
struct RewardOptions {
  std::string kind = "mse";  // mse: -mse; log_mse: -log mse
  int64_t length_limit = 0;  // tokens of a reply above it cost length_penalty each; 0 = no guard
  double length_penalty = 0.01;
  double repetition_penalty = 0;  // times the share of a reply's token trigrams that it had before; 0 = no guard
};

// Who writes the replies: this process, or servers that load the verbalizer's weights after every step.
struct ServerOptions {
  std::vector<std::string> servers;  // URLs of `nla serve`, SGLang, vLLM; none: this process
  int64_t concurrency = 32;          // requests in flight at each
  std::string weights;               // folder for the weights, by a path that the servers read; empty: in `out`
  double agreement = 0;              // largest distance of log-probabilities in the preflight; 0: as dtype has it
};

struct RlOptions {
  std::string pair;             // directory of the pair to start from
  std::string base_model;       // its base model, where pair.yaml does not lead to it
  std::string dataset;          // Parquet of stage rl (or av_sft)
  std::string heldout;          // activations to evaluate on; explanations in it serve the preflight
  double heldout_fraction = 0;  // without `heldout`: this share of the dataset's documents, never trained on
  std::string out;              // run directory
  int64_t steps = 100;
  int64_t prompts = 16;    // activations a step
  int64_t samples = 8;     // G: replies to each
  int64_t learn_from = 0;  // of these, the replies that the verbalizer learns from: those furthest apart; 0: all
  int64_t epochs = 1;      // updates of both sides on a step's replies
  int64_t ar_updates = 1;  // of the reconstructor in an epoch, each on the replies to an equal part of the prompts
  double temperature = 1;
  int64_t max_new_tokens = 150;
  int64_t slots = 64;  // replies written at the same time
  ServerOptions rollout;
  RewardOptions reward;
  ObjectiveOptions objective;
  OptimizerOptions av{.lr = 1e-5, .schedule = {.shape = "constant"}};
  OptimizerOptions ar{.lr = 5e-5, .schedule = {.shape = "constant"}};
  int64_t micro_rows = 2048;  // most packed token rows of one forward and backward pass
  int64_t seed = 0;
  std::string dtype = "auto";        // auto | fp32 | bf16
  std::string store_dtype = "bf16";  // of the written weights: bf16 | fp32
  bool preflight = true;
  int64_t eval_every = 20;  // steps; 0 = only at the start and the end
  int64_t eval_rows = 128;
  int64_t save_every = 20;         // steps between checkpoints; 0 = only at the end
  int64_t rollouts_every = 10;     // steps between samples of replies in rollouts.jsonl; 0 = none
  double train_seconds_limit = 0;  // stop with a final save after so much training time; 0 = none
  StopOptions stop;
};

FieldList Fields(RlOptions& options);
void CheckOptions(const RlOptions& options);  // usage errors name the field

}  // namespace nla
