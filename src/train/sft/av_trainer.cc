// The verbalizer's training step.
#include "train/sft/av_trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "base/fail.h"
#include "model/ops/cross_entropy.h"
#include "train/host_tensors.h"
#include "train/packing.h"

namespace nla {
namespace {

// What the decoder reads for an example: the last response token is predicted, never read.
std::vector<TokenId> InputIds(const AvExample& example) {
  NLA_CHECK(!example.response.empty());
  NLA_CHECK(example.site >= 0 && example.site < static_cast<int64_t>(example.prompt.size()));
  std::vector<TokenId> ids = example.prompt;
  ids.insert(ids.end(), example.response.begin(), example.response.end() - 1);
  return ids;
}

struct Inputs {
  std::vector<std::vector<TokenId>> ids;
  std::vector<IdSequence> sequences;  // views of ids
  int64_t prefix = 0;                 // shared rows before every site
  int64_t targets = 0;                // response tokens
};

Inputs InputsOf(std::span<const AvExample> examples) {
  NLA_CHECK(!examples.empty());
  Inputs inputs;
  int64_t before_sites = std::numeric_limits<int64_t>::max();
  for (const AvExample& example : examples) {
    inputs.ids.push_back(InputIds(example));
    inputs.targets += static_cast<int64_t>(example.response.size());
    before_sites = std::min(before_sites, example.site);
  }
  inputs.sequences.assign(inputs.ids.begin(), inputs.ids.end());
  inputs.prefix = SharedPrefix(inputs.sequences, before_sites);
  return inputs;
}

}  // namespace

AvTrainer::AvTrainer(Decoder& decoder, const AvTrainerOptions& options, const OptimizerOptions& optimizer,
                     int64_t total_steps)
    : decoder_(decoder), options_(options), optimizer_(TrainedWeights(decoder), optimizer, total_steps) {}

at::Tensor AvTrainer::SumLoss(std::span<const AvExample> examples, std::span<const size_t> chosen,
                              int64_t prefix) const {
  std::vector<std::vector<TokenId>> ids;
  for (const size_t index : chosen) ids.push_back(InputIds(examples[index]));
  const std::vector<IdSequence> sequences(ids.begin(), ids.end());
  const PackedIds packed = PackSequences(sequences, prefix);
  std::vector<int64_t> sites, predicting, targets;
  std::vector<std::span<const float>> activations;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const AvExample& example = examples[chosen[i]];
    sites.push_back(packed.RowOf(i, example.site));
    activations.push_back(example.activation);
    const int64_t first = packed.RowOf(i, static_cast<int64_t>(example.prompt.size()) - 1);
    for (size_t t = 0; t < example.response.size(); ++t) {
      predicting.push_back(first + static_cast<int64_t>(t));
      targets.push_back(example.response[t]);
    }
  }
  at::Tensor hidden_TD = decoder_.Embed(IndexTensor(packed.ids));
  hidden_TD = Inject(hidden_TD, RowsTensor(activations), IndexTensor(sites), options_.injection);
  hidden_TD = decoder_.Forward(std::move(hidden_TD), packed.batch);
  const at::Tensor normed_RD = decoder_.FinalNorm(at::index_select(hidden_TD, 0, IndexTensor(predicting)));
  return ops::SumCrossEntropy(normed_RD, decoder_.head(), IndexTensor(targets));
}

BatchLoss AvTrainer::Accumulate(std::span<const AvExample> examples) {
  const Inputs inputs = InputsOf(examples);
  BatchLoss batch;
  batch.rows = static_cast<int64_t>(examples.size());
  batch.weight = static_cast<double>(inputs.targets);
  for (const IdSequence& sequence : inputs.sequences) batch.tokens += static_cast<int64_t>(sequence.size()) + 1;
  at::Tensor total = at::zeros({}, at::kDouble);
  for (const std::vector<size_t>& chosen : MicroBatches(inputs.sequences, inputs.prefix, options_.micro_rows)) {
    const at::Tensor loss = SumLoss(examples, chosen, inputs.prefix) / static_cast<double>(inputs.targets);
    loss.backward();
    optimizer_.CollectGradients();
    total += loss.detach();
  }
  batch.loss = total.item<double>();
  return batch;
}

TrainStep AvTrainer::Step(std::span<const AvExample> examples) {
  const BatchLoss batch = Accumulate(examples);
  return {batch, optimizer_.Step(batch.weight)};
}

double AvTrainer::Evaluate(std::span<const AvExample> examples) const {
  const at::NoGradGuard no_grad;
  const Inputs inputs = InputsOf(examples);
  double total = 0;
  for (const std::vector<size_t>& chosen : MicroBatches(inputs.sequences, inputs.prefix, options_.micro_rows)) {
    total += SumLoss(examples, chosen, inputs.prefix).item<double>();
  }
  return total / static_cast<double>(inputs.targets);
}

}  // namespace nla
