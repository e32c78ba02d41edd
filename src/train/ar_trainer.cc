// The reconstructor's training step.
#include "train/ar_trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "base/fail.h"
#include "train/host_tensors.h"
#include "train/packing.h"

namespace nla {
namespace {

std::vector<NamedTensor> TrainedTensors(const ArTrainer::Model& model) {
  std::vector<NamedTensor> tensors = TrainedWeights(model.decoder);
  tensors.push_back({"value_head.weight", model.value_head});
  return tensors;
}

std::vector<IdSequence> SequencesOf(std::span<const ArExample> examples) {
  NLA_CHECK(!examples.empty());
  std::vector<IdSequence> sequences;
  for (const ArExample& example : examples) {
    NLA_CHECK(!example.prompt.empty());
    sequences.emplace_back(example.prompt);
  }
  return sequences;
}

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// Rows scaled to `scale`; as they are without one. A zero row stays zero.
at::Tensor Scaled(const at::Tensor& rows_BD, const std::optional<double>& scale) {
  if (!scale) return rows_BD;
  const at::Tensor norms_B1 = at::linalg_vector_norm(rows_BD, 2, {1}, true);
  return rows_BD * (norms_B1.clamp_min(1e-12).reciprocal() * *scale);
}

}  // namespace

ArTrainer::ArTrainer(const Model& model, const ArTrainerOptions& options, const OptimizerOptions& optimizer,
                     int64_t total_steps, std::shared_ptr<Communicator> ranks)
    : model_(model), options_(options), optimizer_(TrainedTensors(model), optimizer, total_steps, std::move(ranks)) {
  NLA_CHECK(model.value_head.scalar_type() == at::kFloat);
}

at::Tensor ArTrainer::PredictRows(std::span<const ArExample> examples, std::span<const size_t> chosen) const {
  std::vector<IdSequence> sequences;
  for (const size_t index : chosen) sequences.emplace_back(examples[index].prompt);
  const PackedIds packed = PackSequences(sequences, SharedPrefix(sequences, kNoLimit));
  std::vector<int64_t> last;
  for (size_t i = 0; i < chosen.size(); ++i) {
    last.push_back(packed.RowOf(i, static_cast<int64_t>(sequences[i].size()) - 1));
  }
  const at::Tensor hidden_TD = model_.decoder.Forward(model_.decoder.Embed(IndexTensor(packed.ids)), packed.batch);
  return at::linear(at::index_select(hidden_TD, 0, IndexTensor(last)), model_.value_head);
}

ArTrainer::Scored ArTrainer::Score(std::span<const ArExample> examples) {
  const std::vector<IdSequence> sequences = SequencesOf(examples);
  Scored scored;
  scored.predicted_BD = at::empty({static_cast<int64_t>(examples.size()), model_.value_head.size(0)}, at::kFloat);
  BatchLoss& batch = scored.batch;
  batch.rows = static_cast<int64_t>(examples.size());
  batch.weight = static_cast<double>(batch.rows);
  for (const IdSequence& sequence : sequences) batch.tokens += static_cast<int64_t>(sequence.size());
  const int64_t prefix = SharedPrefix(sequences, kNoLimit);
  at::Tensor total = at::zeros({}, at::kDouble);
  for (const std::vector<size_t>& chosen : MicroBatches(sequences, prefix, options_.micro_rows)) {
    std::vector<std::span<const float>> targets;
    targets.reserve(chosen.size());
    for (const size_t index : chosen) targets.emplace_back(examples[index].activation);
    const at::Tensor gold_BD = RowsTensor(targets);
    const std::optional<double> scale = options_.mse_scale.Resolve(gold_BD.size(1));
    const at::Tensor predicted_BD = PredictRows(examples, chosen);
    const at::Tensor difference_BD = Scaled(predicted_BD, scale) - Scaled(gold_BD, scale);
    const at::Tensor loss = difference_BD.square().sum() / static_cast<double>(batch.rows * gold_BD.size(1));
    loss.backward();
    optimizer_.CollectGradients();
    total += loss.detach();
    scored.predicted_BD.index_copy_(0, IndexTensor({chosen.begin(), chosen.end()}), predicted_BD.detach());
  }
  batch.loss = total.item<double>();
  return scored;
}

TrainStep ArTrainer::Step(std::span<const ArExample> examples) {
  const BatchLoss batch = Accumulate(examples);
  return {batch, optimizer_.Step(batch.weight)};
}

at::Tensor ArTrainer::Predict(std::span<const ArExample> examples) const {
  const at::NoGradGuard no_grad;
  const std::vector<IdSequence> sequences = SequencesOf(examples);
  at::Tensor predicted_BD = at::empty({static_cast<int64_t>(examples.size()), model_.value_head.size(0)}, at::kFloat);
  for (const std::vector<size_t>& chosen :
       MicroBatches(sequences, SharedPrefix(sequences, kNoLimit), options_.micro_rows)) {
    predicted_BD.index_copy_(0, IndexTensor({chosen.begin(), chosen.end()}), PredictRows(examples, chosen));
  }
  return predicted_BD;
}

}  // namespace nla
